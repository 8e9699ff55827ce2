package plan

import (
	"context"
	"fmt"
	"slices"

	"gimbal/inference"
	"gimbal/inference/device"
)

// Device counts what a job takes: a dry device that stands for another one. It is used by
// one goroutine.
type Device struct {
	info    device.Info
	of      device.Device // asked for sizes only
	scratch device.Counter
	strict  bool // Alloc keeps to the limit

	host    int64 // held by the program
	garbage int64 // given back by the program in this phase, until the collector runs
	phase   inference.Phase
	phases  []inference.Phase
	used    map[*buffer]bool // mapped buffers that the phase reads
}

// NewDevice returns a device that counts for of. With strict, Alloc fails with
// ErrOutOfMemory where of would; else it counts on.
func NewDevice(of device.Device, strict bool) *Device {
	d := &Device{info: of.Info(), of: of, scratch: of.Count(), strict: strict}
	d.info.Dry, d.info.Allocated, d.info.Peak = true, 0, 0
	d.begin("")
	return d
}

func (d *Device) begin(name string) {
	d.phase = inference.Phase{Name: name, Times: 1, Work: inference.Work{Kinds: map[string]device.Cost{}}}
	d.used = map[*buffer]bool{}
	d.garbage = 0
	d.note()
}

// Phase runs work, times of which are the same, and returns what it takes. What is held
// before counts. Phases of one name become one.
func (d *Device) Phase(name string, times int, work func() error) (inference.Phase, error) {
	d.begin(name)
	err := work()
	for b := range d.used {
		d.phase.Weights += b.desc.Bytes()
	}
	d.phase.Work = repeated(d.phase.Work, times)
	if d.phase.Kind() == "sample" {
		d.phase.Times = times
	}
	if i := slices.IndexFunc(d.phases, func(p inference.Phase) bool { return p.Name == name }); i >= 0 {
		d.phases[i].Add(d.phase)
	} else {
		d.phases = append(d.phases, d.phase)
	}
	return d.phase, err
}

// Phases returns what the phases took, in order.
func (d *Device) Phases() []inference.Phase { return d.phases }

// repeated returns the work done n times.
func repeated(once inference.Work, n int) inference.Work {
	all := inference.Work{Kinds: make(map[string]device.Cost, len(once.Kinds)), Submissions: int64(n) * once.Submissions}
	for kind, c := range once.Kinds {
		all.Kinds[kind] = device.Cost{FLOPs: int64(n) * c.FLOPs, Bytes: int64(n) * c.Bytes}
	}
	return all
}

// note keeps the peaks: of the device, and of the phase the moment at which all memory together
// is the most.
func (d *Device) note() {
	now := inference.Phase{Buffers: d.info.Allocated, Scratch: d.scratch.Scratch(), Host: d.host + d.garbage}
	d.info.Peak = max(d.info.Peak, now.Buffers+now.Scratch)
	if now.Memory() > d.phase.Memory() {
		d.phase.Buffers, d.phase.Scratch, d.phase.Host = now.Buffers, now.Scratch, now.Host
	}
}

// Hold implements device.Device. What is given back counts until the phase ends.
func (d *Device) Hold(n int64) {
	d.host += n
	d.garbage += max(0, -n)
	d.note()
}

// Info implements device.Device. As a device's own, its Peak counts scratch: it is the most that
// the work so far takes there, at any moment of any phase.
func (d *Device) Info() device.Info { return d.info }

// Describe implements device.Device.
func (d *Device) Describe() []device.Property { return d.of.Describe() }

// AllocSize implements device.Device.
func (d *Device) AllocSize(n int64) int64 { return d.of.AllocSize(n) }

// Count implements device.Device.
func (d *Device) Count() device.Counter { return d.of.Count() }

// Trim implements device.Device: nothing is kept.
func (d *Device) Trim() {}

type buffer struct {
	dev    *Device
	desc   device.Desc
	size   int64
	mapped bool
	gone   bool
}

func (b *buffer) Desc() device.Desc { return b.desc }

func (b *buffer) Release() {
	if !b.gone {
		b.gone = true
		b.dev.info.Allocated -= b.size
	}
}

// Alloc implements device.Device.
func (d *Device) Alloc(desc device.Desc) (device.Buffer, error) {
	size := d.of.AllocSize(desc.Bytes())
	if limit := d.info.WorkingSet; d.strict && limit > 0 && size > limit-d.info.Allocated {
		return nil, fmt.Errorf("plan: no %d bytes for %q, with %d of %d in use: %w", size, desc.Label, d.info.Allocated, limit, device.ErrOutOfMemory)
	}
	d.info.Allocated += size
	d.note()
	return &buffer{dev: d, desc: desc, size: size}, nil
}

// Map implements device.Device; mem may be nil.
func (d *Device) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	return &buffer{dev: d, desc: desc, mapped: true}, nil
}

// Write implements device.Device: it does nothing.
func (d *Device) Write(ctx context.Context, _ device.Buffer, _ []byte) error { return ctx.Err() }

// Read implements device.Device: it does nothing.
func (d *Device) Read(ctx context.Context, _ []byte, _ device.Buffer) error { return ctx.Err() }

// Do implements device.Device.
func (d *Device) Do(ctx context.Context, _ string, f func(device.Encoder)) error {
	d.phase.Work.Submissions++
	f(encoder{d})
	d.note()
	d.scratch.Done()
	return ctx.Err()
}

// DoTimed implements device.Device: no kernel runs.
func (d *Device) DoTimed(ctx context.Context, label string, f func(device.Encoder), _ func(device.Launch)) error {
	return d.Do(ctx, label, f)
}

// Close implements device.Device.
func (d *Device) Close() error { return nil }
