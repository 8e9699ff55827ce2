package metalkit

import (
	"context"
	"slices"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/tune"
)

// forced is a variant that is taken for an operation wherever it fits, without timing; the
// zero value is none.
type forced struct {
	op      tune.Op
	variant int
}

// forcedDevice is a device with a forced variant.
type forcedDevice struct {
	*gpu
	forced forced
}

// Do implements device.Device.
func (d forcedDevice) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return d.DoTimed(ctx, label, f, nil)
}

// DoTimed implements device.Device.
func (d forcedDevice) DoTimed(ctx context.Context, label string, f func(device.Encoder), ran func(device.Launch)) error {
	return d.gpu.DoTimed(ctx, label, func(e device.Encoder) {
		d.enc.forced = d.forced
		f(e)
	}, ran)
}

// Variants returns the names of the variants that can run op; none for an operation that
// has one kernel only.
func (d *gpu) Variants(op device.Op) (names []string) {
	for _, c := range d.candidates(op) {
		names = append(names, c.Name)
	}
	return names
}

// WithVariant returns the device with operations such as op run by the variant called name,
// wherever that can. It panics where there is no such variant.
func (d *gpu) WithVariant(op device.Op, name string) device.Device {
	candidates := d.candidates(op)
	i := slices.IndexFunc(candidates, func(c tune.Candidate) bool { return c.Name == name })
	if i < 0 {
		panic("metalkit: " + op.String() + " has no variant " + name)
	}
	return forcedDevice{d, forced{tune.Op(op.Name()), candidates[i].Variant}}
}

// candidates are the variants that can run op.
func (d *gpu) candidates(op device.Op) []tune.Candidate {
	e := encoder{dev: d, ctx: context.Background(), counts: true, lists: true}
	e.Record(op)
	return e.listed
}
