package cpu

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"gimbal/inference/device"
)

// encoder runs the operations of one submission as they come.
type encoder struct {
	dev   *cpuDevice
	ctx   context.Context
	err   error  // the first one
	op    string // the kind of the operation at hand
	temps int    // dev.temps in use by the running operation
	count *count // nil to compute; else operations only count the memory they take
}

// worker is what one computing goroutine owns.
type worker struct {
	scratch memory
	offsets []int // of the parts of scratch, in floats

	weights block // that a product widened last, and the first of their rows; -1 for none yet
	panel   int
}

// part returns part i of the scratch memory that the operation asked for.
func (w *worker) part(i int) unsafe.Pointer { return unsafe.Add(w.scratch.p, w.offsets[i]*4) }

// Record implements device.Encoder.
func (e *encoder) Record(op device.Op) {
	device.MustCheck(op)
	e.op = op.Name()
	switch op := op.(type) {
	case device.Linear:
		e.linear(op)
	case device.Attention:
		e.attention(op)
	case device.Norm:
		e.norm(op)
	case device.Rope:
		e.rope(op)
	case device.Conv:
		e.conv(op)
	case device.Unary:
		e.unary(op)
	case device.Binary:
		e.binary(op)
	case device.GatedAdd:
		e.gatedAdd(op)
	case device.Gather:
		e.gather(op)
	case device.Move:
		e.move(op)
	}
}

// run runs the operation at hand unless an earlier one failed.
func (e *encoder) run(f func() error) {
	if e.err != nil {
		return
	}
	e.temps = 0
	if err := f(); err != nil {
		e.err = fmt.Errorf("%s: %w", e.op, err)
	}
}

// scratch gives every worker parts of so many floats, undefined in content, for
// the running operation.
func (e *encoder) scratch(parts ...int) error {
	offsets, total := make([]int, len(parts)), 0
	for i, n := range parts {
		offsets[i] = total
		total += roundUp(n, 16)
	}
	if e.count != nil {
		e.count.worker = max(e.count.worker, int64(total)*4)
		return nil
	}
	for _, w := range e.dev.workers {
		if err := w.scratch.grow(int64(total) * 4); err != nil {
			return err
		}
		w.offsets, w.panel = offsets, -1
	}
	return nil
}

// temp returns memory for n floats that all workers share, undefined in content,
// for the running operation.
func (e *encoder) temp(n int) (unsafe.Pointer, error) {
	if e.count != nil {
		e.count.temp(e.temps, int64(n)*4)
		e.temps++
		return nil, nil
	}
	if e.temps == len(e.dev.temps) {
		e.dev.temps = append(e.dev.temps, memory{})
	}
	m := &e.dev.temps[e.temps]
	e.temps++
	err := m.grow(int64(n) * 4)
	return m.p, err
}

// each calls f for 0 to n-1, on all workers, in no fixed order. It stops early
// and returns the context's error when that ends.
func (e *encoder) each(n int, f func(w *worker, i int)) error {
	if e.count != nil {
		return nil
	}
	var next atomic.Int64
	work := func(w *worker) {
		for e.ctx.Err() == nil {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			f(w, i)
		}
	}
	var group sync.WaitGroup
	for _, w := range e.dev.workers[1:min(len(e.dev.workers), max(n, 1))] {
		group.Go(func() { work(w) })
	}
	work(e.dev.workers[0])
	group.Wait()
	return e.ctx.Err()
}

func unsupported(what string, t device.DType) error {
	return fmt.Errorf("cpu: %s in %v: %w", what, t, device.ErrUnsupported)
}

func roundUp(n, to int) int { return (n + to - 1) / to * to }
func ceilDiv(n, by int) int { return (n + by - 1) / by }

// spread cuts n into the fewest parts of at most size, nearly equal and multiples
// of step, and returns the size of a part.
func spread(n, size, step int) int {
	n = max(n, 1)
	return min(roundUp(ceilDiv(n, ceilDiv(n, size)), step), max(size, step))
}
