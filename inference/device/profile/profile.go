package profile

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gimbal/inference/device"
)

// Device is a device that times what another one runs.
type Device struct {
	device.Device
	now   func() time.Time
	start time.Time

	turn   sync.Mutex // held by a Do
	mu     sync.Mutex // guards what follows
	events []event
}

// event is a span of time.
type event struct {
	name     string // of a Do its label, of an operation what and how large it is
	kind     kind
	start    time.Duration // from the profile's
	duration time.Duration
	device   time.Duration // of an operation's kernels by the device's clock, 0 where it has none
	cost     device.Cost
}

// time is how long e took: by the device's clock, if it has one.
func (e event) time() time.Duration {
	if e.device > 0 {
		return e.device
	}
	return e.duration
}

type kind uint8

const (
	submission kind = iota
	operation
	transfer
	kernel
)

var kindNames = [...]string{submission: "submission", operation: "operation", transfer: "transfer", kernel: "kernel"}

// New returns a profile of what dev runs from now on.
func New(dev device.Device) *Device { return newWith(dev, time.Now) }

func newWith(dev device.Device, now func() time.Time) *Device {
	return &Device{Device: dev, now: now, start: now()}
}

// span runs f, which may return its time by the device's clock, and notes how long it
// took.
func (d *Device) span(name string, k kind, cost device.Cost, f func() (time.Duration, error)) error {
	from := d.now()
	own, err := f()
	d.note(event{name, k, from.Sub(d.start), d.now().Sub(from), own, cost})
	return err
}

func (d *Device) note(e event) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, e)
}

// do runs one operation, and returns its kernels' time where the device knows it.
func (d *Device) do(ctx context.Context, label string, op device.Op) (own time.Duration, err error) {
	err = d.Device.DoTimed(ctx, label, func(e device.Encoder) { e.Record(op) }, func(l device.Launch) {
		took := time.Duration(l.Seconds * float64(time.Second))
		d.note(event{l.Kernel, kernel, d.now().Sub(d.start) - took, took, took, l.Cost})
		own += took
	})
	return own, err
}

// Do implements device.Device. Operations run while f records them, one by one.
func (d *Device) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	d.turn.Lock()
	defer d.turn.Unlock()
	return d.span(label, submission, device.Cost{}, func() (time.Duration, error) {
		if err := ctx.Err(); err != nil {
			return 0, fmt.Errorf("%s: %w", label, err)
		}
		e := encoder{dev: d, ctx: ctx, label: label}
		f(&e)
		return 0, e.err
	})
}

// Write implements device.Device.
func (d *Device) Write(ctx context.Context, dst device.Buffer, src []byte) error {
	return d.span("Write", transfer, device.Cost{Bytes: int64(len(src))}, func() (time.Duration, error) { return 0, d.Device.Write(ctx, dst, src) })
}

// Read implements device.Device.
func (d *Device) Read(ctx context.Context, dst []byte, src device.Buffer) error {
	return d.span("Read", transfer, device.Cost{Bytes: int64(len(dst))}, func() (time.Duration, error) { return 0, d.Device.Read(ctx, dst, src) })
}

// encoder runs operations as they come.
type encoder struct {
	dev   *Device
	ctx   context.Context
	label string
	err   error // the first one
}

// Record runs op, with a submission of its own.
func (e *encoder) Record(op device.Op) {
	device.MustCheck(op)
	if e.err == nil {
		e.err = e.dev.span(op.String(), operation, op.Cost(), func() (time.Duration, error) { return e.dev.do(e.ctx, e.label, op) })
	}
}
