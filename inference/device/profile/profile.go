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
func (d *Device) do(ctx context.Context, label string, f func(device.Encoder)) (own time.Duration, err error) {
	timer, ok := d.Device.(device.Timer)
	if !ok {
		return 0, d.Device.Do(ctx, label, f)
	}
	err = timer.DoTimed(ctx, label, f, func(l device.Launch) {
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

// AllocSize implements device.Sizer as the other device does, or as one that holds
// its buffers' bytes only.
func (d *Device) AllocSize(n int64) int64 {
	if s, ok := d.Device.(device.Sizer); ok {
		return s.AllocSize(n)
	}
	return n
}

// Count implements device.Sizer; it is nil for a device that holds its buffers' bytes only.
func (d *Device) Count() device.ScratchCounter {
	if s, ok := d.Device.(device.Sizer); ok {
		return s.Count()
	}
	return nil
}

// Trim implements device.Trimmer as the other device does, if it does.
func (d *Device) Trim() { device.Trim(d.Device) }

// encoder runs operations as they come.
type encoder struct {
	dev   *Device
	ctx   context.Context
	label string
	err   error // the first one
}

// run runs one operation, of which record tells the device.
func (e *encoder) run(name string, cost device.Cost, record func(device.Encoder)) {
	if e.err == nil {
		e.err = e.dev.span(name, operation, cost, func() (time.Duration, error) { return e.dev.do(e.ctx, e.label, record) })
	}
}

func (e *encoder) Linear(op device.Linear) {
	op.Check()
	weights := op.W.Data.DType.String()
	if op.W.NF4 {
		weights = "NF4"
	}
	name := fmt.Sprintf("Linear %dx%dx%d %v*%s", op.X.Rows, op.W.In, op.W.Out, op.X.DType, weights)
	e.run(name, op.Cost(), func(enc device.Encoder) { enc.Linear(op) })
}

func (e *encoder) Attention(op device.Attention) {
	op.Check()
	name := fmt.Sprintf("Attention %dx%dx%dx%d %v", op.Heads, op.Q.Rows, op.K.Rows, op.Q.Cols/op.Heads, op.Q.DType)
	e.run(name, op.Cost(), func(enc device.Encoder) { enc.Attention(op) })
}

func (e *encoder) Conv(op device.Conv) {
	op.Check()
	name := fmt.Sprintf("Conv %dx%dx%d of %d to %dx%dx%d of %d", op.X.T, op.X.H, op.X.W, op.X.C, op.Y.T, op.Y.H, op.Y.W, op.Y.C)
	e.run(name, op.Cost(), func(enc device.Encoder) { enc.Conv(op) })
}

func (e *encoder) Norm(op device.Norm) {
	op.Check()
	e.run(named("Norm", op.Y), op.Cost(), func(enc device.Encoder) { enc.Norm(op) })
}

func (e *encoder) Rope(op device.Rope) {
	op.Check()
	e.run(named("Rope", op.Y), op.Cost(), func(enc device.Encoder) { enc.Rope(op) })
}

func (e *encoder) Unary(op device.Unary) {
	op.Check()
	e.run(named("Unary", op.Y), op.Cost(), func(enc device.Encoder) { enc.Unary(op) })
}

func (e *encoder) Binary(op device.Binary) {
	op.Check()
	e.run(named("Binary", op.Y), op.Cost(), func(enc device.Encoder) { enc.Binary(op) })
}

func (e *encoder) GatedAdd(op device.GatedAdd) {
	op.Check()
	e.run(named("GatedAdd", op.Y), op.Cost(), func(enc device.Encoder) { enc.GatedAdd(op) })
}

func (e *encoder) Gather(op device.Gather) {
	op.Check()
	e.run(named("Gather", op.Y), op.Cost(), func(enc device.Encoder) { enc.Gather(op) })
}

func (e *encoder) Move(op device.Move) {
	op.Check()
	e.run(named("Move", op.Y), op.Cost(), func(enc device.Encoder) { enc.Move(op) })
}

func named(op string, y device.Mat) string { return fmt.Sprintf("%s %dx%d", op, y.Rows, y.Cols) }
