package metalkit

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// On a chip, a system or a build that is new, a kernel is checked when a submission first
// wants it: a small twin of the operation at hand (twin.go) has to give what the oracle gives, up
// to rounding. A variant that does not is switched off, by name, and another one taken.

// oracle is the device that kernels are checked against, opened when it is first asked.
type oracle struct {
	open func() (device.Device, error) // nil for no checks
	dev  device.Device
}

func (o *oracle) get() (dev device.Device, err error) {
	if o.dev == nil {
		o.dev, err = o.open()
	}
	return o.dev, err
}

func (o *oracle) close() error {
	if o.dev == nil {
		return nil
	}
	return o.dev.Close()
}

// trusted records op, and again by other variants as long as a kernel is found wrong, or is not to be
// had.
func (e *encoder) trusted(op device.Op) {
	from, ops := len(e.plan), e.ops
	for last := ""; ; {
		e.recordOnce(op)
		if refused := e.refused; e.err != nil && refused != "" && refused != last && !e.checking && e.variant >= 0 && e.forced.op == "" {
			e.dev.switchOff(refused, doesNotCompile+e.err.Error())
			last, e.err, e.refused = refused, nil, ""
			e.plan, e.dispatches, e.ops = e.plan[:from], e.dispatches[:from], ops
			continue
		}
		if e.err != nil || e.checking {
			return
		}
		wrong := e.firstWrong(op, from)
		if wrong == "" {
			return
		}
		if wrong == last || e.forced.op != "" {
			e.err = fmt.Errorf("metalkit: %s: this GPU computes wrongly with the kernel %s; please report it with what 'gimbal doctor' packs, and use the CPU: %w", op.Name(), wrong, device.ErrUnsupported)
			return
		}
		last = wrong
		e.plan, e.dispatches, e.ops = e.plan[:from], e.dispatches[:from], ops
	}
}

// firstWrong checks the kernels of the plan from dispatch number from on that were not
// before, and returns the first that is wrong.
func (e *encoder) firstWrong(op device.Op, from int) string {
	for i := from; i < len(e.plan); i++ {
		p := &e.plan[i]
		s := driver.Specialisation{Kernel: p.kernel, Constants: p.with, Threads: p.threads}
		if !e.dev.verified[s] {
			e.dev.verify(e.ctx, op, p.variant, s)
		}
		if e.dev.choices.Wrong(p.kernel) != "" {
			return p.kernel
		}
	}
	return ""
}

// verify checks s, and what else a twin of op by a variant takes. What cannot be checked counts
// as right.
func (d *gpu) verify(ctx context.Context, op device.Op, v int, s driver.Specialisation) {
	d.verified[s] = true
	if d.choices.Right(fmt.Sprint(s)) || d.choices.Wrong(s.Kernel) != "" {
		return
	}
	align := 1
	if s.Constants.Aligned != 0 {
		align = 8
	}
	used, off, err := d.compareTwins(ctx, op, v, align)
	if err == nil && align == 8 && !slices.Contains(used, s) {
		used, off, err = d.compareTwins(ctx, op, v, 4)
	}
	switch {
	case ctx.Err() != nil:
		d.verified[s] = false
	case err != nil:
		d.log.Debug("a kernel is not checked", "kernel", s.Kernel, "operation", op.String(), "error", err)
		return
	case !slices.Contains(used, s):
		d.log.Debug("a kernel is not checked: its twin takes others", "kernel", s.Kernel, "operation", op.String())
		return
	case off != "":
		d.switchOff(s.Kernel, "differs from the CPU "+off)
		return
	}
	for _, s := range used {
		d.verified[s] = true
		d.choices.SetRight(fmt.Sprint(s))
	}
}

// switchOff keeps a kernel from being taken, and says so.
func (d *gpu) switchOff(kernel, why string) {
	d.log.Warn("a kernel fails on this GPU and is switched off; please report it with what 'gimbal doctor' packs", "kernel", kernel, "why", why)
	d.choices.SetWrong(kernel, why)
}

// errNoTwin says that an operation has no small twin.
var errNoTwin = errors.New("there is no small operation like it")

// compareTwins runs twins of op, aligned so, on the GPU, by a variant, and on the oracle, and says by
// how much they differ, if by too much. used are the kernels that it takes.
func (d *gpu) compareTwins(ctx context.Context, op device.Op, v, align int) (used []driver.Specialisation, off string, err error) {
	e := &encoder{dev: d, ctx: ctx, op: "self-check", checking: true}
	if names := tune.Op(op.Name()); v >= 0 {
		e.forced = forced{names, v}
	}
	var release []device.Buffer
	defer func() {
		for _, b := range release {
			b.Release()
		}
	}()
	operands := func(dev device.Device) (device.Op, device.Mat, error) {
		var failed error
		w := twin{align: align, made: map[device.Mat]device.Mat{}, alloc: func(t device.DType, n int, seed uint32, limit int) device.Buffer {
			b, err := dev.Alloc(device.Desc{Label: "self-check", DType: t, Shape: []int{n}})
			if err == nil {
				release = append(release, b)
				err = dev.Write(ctx, b, sampleBytes(t, n, seed, limit))
			}
			failed = errors.Join(failed, err)
			return b
		}}
		like, result, ok := w.of(op)
		if !ok && failed == nil {
			failed = errNoTwin
		}
		return like, result, failed
	}
	like, y, err := operands(d)
	if err != nil {
		return nil, "", err
	}
	e.recordOnce(like)
	if e.err != nil {
		return nil, "", e.err
	}
	b, err := e.acquire()
	if err != nil {
		return nil, "", err
	}
	_, err = d.try(ctx, "self-check", e.dispatches)
	b()
	if err != nil {
		return nil, "", err
	}
	for _, p := range e.plan {
		used = append(used, driver.Specialisation{Kernel: p.kernel, Constants: p.with, Threads: p.threads})
	}
	cpu, err := d.oracle.get()
	if err != nil {
		return nil, "", err
	}
	likeCPU, want, err := operands(cpu)
	if err == nil {
		err = cpu.Do(ctx, "self-check", func(e device.Encoder) { e.Record(likeCPU) })
	}
	if err != nil {
		return nil, "", err
	}
	got, expected := make([]byte, y.Buf.Desc().Bytes()), make([]byte, y.Buf.Desc().Bytes())
	if err := errors.Join(d.Read(ctx, got, y.Buf), cpu.Read(ctx, expected, want.Buf)); err != nil {
		return nil, "", err
	}
	if by := difference(y.DType, got, expected); by > d.tolerance(y.DType) {
		off = fmt.Sprintf("by %.2g of the largest result, in %s", by, like)
	}
	return used, off, nil
}
