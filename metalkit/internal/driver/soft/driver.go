//go:build !darwin

package soft

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// Driver runs kernels on the processor.
type Driver struct {
	workers   []*worker
	backward  bool
	pipelines []*pipeline
}

type pipeline struct {
	name      string
	kernel    kernel
	constants *driver.Constants // on its own, since C may not see the pointers beside it
}

// New returns a driver of so many workers, see newWorker. One that is
// backward starts threadgroups with the last one, too.
func New(workers int, backward bool) (*Driver, error) {
	if size := int(unsafe.Sizeof(driver.Dispatch{})); size != dispatchSize() {
		return nil, fmt.Errorf("metalkit: a dispatch has %d bytes, the software driver reads %d", size, dispatchSize())
	}
	d := &Driver{backward: backward}
	for range workers {
		w, err := newWorker(backward)
		if err != nil {
			d.Close()
			return nil, err
		}
		d.workers = append(d.workers, w)
	}
	return d, nil
}

// Registers is where the elements of matmul2d's cooperative tensors lie, which Apple leaves open.
type Registers uint32

// Elements of a left factor lie where a result has the same ones; some in other lanes; and those
// of a result's rows lie in other lanes than its elements, so that none is mapped to its row.
const (
	Together Registers = iota
	Apart
	Unmapped
)

// Lay has the elements of cooperative tensors lie so; a new driver's lie Together.
func (d *Driver) Lay(r Registers) {
	for _, w := range d.workers {
		w.registers(r)
	}
}

// Passes counts, so far, the threads that passed barriers of simd-groups for threadgroup memory: as many
// took part in bringing something from lane to lane by way of it.
func (d *Driver) Passes() (n uint64) {
	for _, w := range d.workers {
		n += w.passes()
	}
	return n
}

func (d *Driver) Limits() driver.Limits {
	return driver.Limits{
		Name: fmt.Sprintf("Metal kernels on the CPU (%s)", runtime.GOARCH), System: runtime.GOOS,
		WorkingSet: physicalMemory(), MaxBuffer: physicalMemory(), MaxThreads: 1024, MaxShared: 32 << 10, Matmul2D: true,
	}
}

func (d *Driver) Alloc(size int64) (driver.Memory, error) {
	host := alloc(size)
	if host == nil {
		return driver.Memory{}, fmt.Errorf("the system refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return driver.Memory{Handle: uintptr(unsafe.Pointer(unsafe.SliceData(host))), Host: host}, nil
}

func (d *Driver) Alias(mem []byte) (driver.Memory, bool) {
	pin := new(runtime.Pinner)
	pin.Pin(unsafe.SliceData(mem))
	pages, _, offset := driver.WholePages(mem)
	return driver.Memory{Handle: pages, Offset: offset, Host: mem, Unpin: pin.Unpin}, true
}

func (d *Driver) Free(m driver.Memory) {
	if m.Unpin != nil {
		m.Unpin()
		return
	}
	free(m.Host)
}

func (d *Driver) Pipeline(s driver.Specialisation) (int32, error) {
	k, ok := lookup(s.Kernel)
	if !ok {
		return 0, fmt.Errorf("metalkit: no kernel %s", s.Kernel)
	}
	with := s.Constants
	d.pipelines = append(d.pipelines, &pipeline{s.Kernel, k, &with})
	return int32(len(d.pipelines) - 1), nil
}

func (d *Driver) Run(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	start := time.Now()
	for i := range dispatches {
		if err := d.dispatch(ctx, &dispatches[i]); err != nil {
			return 0, fmt.Errorf("%s: %w", d.pipelines[dispatches[i].Pipeline].name, err)
		}
	}
	return time.Since(start).Seconds(), nil
}

func (d *Driver) Capture(string) (func() error, error) {
	return nil, fmt.Errorf("the software driver has no GPU to capture: %w", device.ErrUnsupported)
}

// dispatch spreads the threadgroups of c over the workers, some at a time.
func (d *Driver) dispatch(ctx context.Context, c *driver.Dispatch) error {
	p := d.pipelines[c.Pipeline]
	groups := uint64(c.Groups[0]) * uint64(c.Groups[1]) * uint64(c.Groups[2])
	some := max(1, min(groups/64, 256))
	var next atomic.Uint64
	work := func(w *worker) error {
		for {
			last := next.Add(some)
			first := last - some
			if first >= groups {
				return nil
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			last = min(last, groups)
			if d.backward {
				first, last = groups-last, groups-first
			}
			if err := w.run(p.kernel, p.constants, c, first, last); err != nil {
				return err
			}
		}
	}
	if groups == 1 || len(d.workers) == 1 {
		return work(d.workers[0])
	}
	errs := make([]error, len(d.workers))
	var group sync.WaitGroup
	for i, w := range d.workers {
		group.Go(func() { errs[i] = work(w) })
	}
	group.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func (d *Driver) Close() {
	for _, w := range d.workers {
		w.close()
	}
	d.workers = nil
}
