//go:build !darwin

package metalkit

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/soft"
)

// OpenSoftware returns the device over the software driver, which runs the
// kernels on the processor: to test them, it is slow.
func OpenSoftware(opts Options) (device.Device, error) {
	drv, err := newSoftDriver(runtime.GOMAXPROCS(0), false)
	if err != nil {
		return nil, err
	}
	return open(drv, opts)
}

// softDriver runs kernels on the processor.
type softDriver struct {
	workers   []*soft.Worker
	backward  bool
	pipelines []*softPipeline
}

type softPipeline struct {
	name      string
	kernel    soft.Kernel
	constants *constants // on its own, since C may not see the pointers beside it
}

// newSoftDriver returns a driver of so many workers, see soft.NewWorker. One that is
// backward starts threadgroups with the last one, too.
func newSoftDriver(workers int, backward bool) (*softDriver, error) {
	if size := int(unsafe.Sizeof(call{})); size != soft.CallSize() {
		return nil, fmt.Errorf("metalkit: a call has %d bytes, the software driver reads %d", size, soft.CallSize())
	}
	d := &softDriver{backward: backward}
	for range workers {
		w, err := soft.NewWorker(backward)
		if err != nil {
			d.close()
			return nil, err
		}
		d.workers = append(d.workers, w)
	}
	return d, nil
}

func (d *softDriver) limits() limits {
	return limits{
		name: fmt.Sprintf("Metal kernels on the CPU (%s)", runtime.GOARCH), system: runtime.GOOS,
		workingSet: soft.PhysicalMemory(), maxBuffer: soft.PhysicalMemory(), maxThreads: 1024, maxShared: 32 << 10,
	}
}

func (d *softDriver) alloc(size int64) (memory, error) {
	host := soft.Alloc(size)
	if host == nil {
		return memory{}, fmt.Errorf("the system refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return memory{handle: uintptr(unsafe.Pointer(unsafe.SliceData(host))), host: host}, nil
}

func (d *softDriver) alias(mem []byte) (memory, bool) {
	pin := new(runtime.Pinner)
	pin.Pin(unsafe.SliceData(mem))
	pages, _, offset := wholePages(mem)
	return memory{handle: pages, offset: offset, host: mem, unpin: pin.Unpin}, true
}

func (d *softDriver) free(m memory) {
	if m.unpin != nil {
		m.unpin()
		return
	}
	soft.Free(m.host)
}

func (d *softDriver) pipeline(s specialisation) (int32, error) {
	if s.kernel == matmulKernel && !matmulTypes(s.constants) {
		return 0, errNoMatmul(s.constants)
	}
	k, ok := soft.Lookup(s.kernel)
	if !ok {
		return 0, fmt.Errorf("metalkit: no kernel %s", s.kernel)
	}
	with := s.constants
	d.pipelines = append(d.pipelines, &softPipeline{s.kernel, k, &with})
	return int32(len(d.pipelines) - 1), nil
}

func (d *softDriver) run(ctx context.Context, label string, calls []call) (float64, error) {
	start := time.Now()
	for i := range calls {
		if err := d.dispatch(ctx, &calls[i]); err != nil {
			return 0, fmt.Errorf("%s: %w", d.pipelines[calls[i].pipeline].name, err)
		}
	}
	return time.Since(start).Seconds(), nil
}

func (d *softDriver) capture(string) (func() error, error) {
	return nil, fmt.Errorf("the software driver has no GPU to capture: %w", device.ErrUnsupported)
}

// dispatch spreads the threadgroups of c over the workers, some at a time.
func (d *softDriver) dispatch(ctx context.Context, c *call) error {
	p := d.pipelines[c.pipeline]
	if p.name == matmulKernel { // its stand-in takes 256 elements of Y a threadgroup
		own := *c
		of := (*matmulArgs)(unsafe.Pointer(&own.args))
		own.threads, own.groups = 256, [3]uint32{(of.m*of.n + 255) / 256, 1, 1}
		c = &own
	}
	groups := uint64(c.groups[0]) * uint64(c.groups[1]) * uint64(c.groups[2])
	some := max(1, min(groups/64, 256))
	var next atomic.Uint64
	work := func(w *soft.Worker) error {
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
			if err := w.Run(p.kernel, unsafe.Pointer(p.constants), unsafe.Pointer(c), first, last); err != nil {
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

func (d *softDriver) close() {
	for _, w := range d.workers {
		w.Close()
	}
	d.workers = nil
}
