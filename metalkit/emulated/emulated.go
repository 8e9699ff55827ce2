//go:build !darwin

package emulated

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"

	"gimbal/inference/device"
	"gimbal/metalkit"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/soft"
)

// The faults by name. Those of kernels stand before a colon and the beginning of the kernels' names.
const (
	faultNil     = "nil"     // the system names no GPU
	faultWrong   = "wrong"   // :KERNELS compute nothing
	faultRefused = "refused" // :KERNELS do not compile
	faultHang    = "hang"    // no work ends
	faultKilled  = "killed"  // the system stops all work, as it keeps the screen waiting
	faultMemory  = "memory"  // the GPU has no memory
	faultAbort   = "abort"   // the process ends, as where Metal's validation finds a mistake
)

// Open is metalkit.Open over the software driver, with a fault unless it is "".
func Open(opts metalkit.Options, fault string) (device.Device, error) {
	kind, kernels, _ := strings.Cut(fault, ":")
	switch kind {
	case "":
	case faultWrong, faultRefused:
		if kernels == "" {
			return nil, fmt.Errorf("fault %q: want the beginning of kernels' names after a colon", fault)
		}
	case faultNil:
		return nil, fmt.Errorf("metalkit: the system has no Metal GPU: %w", device.ErrUnsupported)
	case faultHang, faultKilled, faultMemory, faultAbort:
	default:
		return nil, fmt.Errorf("there is no fault %q", fault)
	}
	drv, err := soft.New(runtime.GOMAXPROCS(0), false)
	if err != nil {
		return nil, err
	}
	return metalkit.OpenDriver(&faulty{Driver: drv, kind: kind, kernels: kernels}, opts)
}

// faulty is a driver with a fault.
type faulty struct {
	driver.Driver
	kind, kernels string

	mu    sync.Mutex
	names []string // of the kernels, by pipeline
}

func (d *faulty) Alloc(size int64) (driver.Memory, error) {
	if d.kind == faultMemory {
		return driver.Memory{}, fmt.Errorf("the GPU refuses %d bytes: %w", size, device.ErrOutOfMemory)
	}
	return d.Driver.Alloc(size)
}

func (d *faulty) Pipeline(s driver.Specialisation) (int32, error) {
	if d.kind == faultRefused && strings.HasPrefix(s.Kernel, d.kernels) {
		return 0, fmt.Errorf("metalkit: kernel %s does not compile: planted", s.Kernel)
	}
	id, err := d.Driver.Pipeline(s)
	if err == nil {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.names = append(d.names, s.Kernel)
		if len(d.names) != int(id)+1 {
			err = errors.New("the software driver numbers its pipelines otherwise than one by one")
		}
	}
	return id, err
}

func (d *faulty) Run(ctx context.Context, label string, dispatches []driver.Dispatch) (seconds float64, err error) {
	switch d.kind {
	case faultHang:
		select {}
	case faultKilled:
		return 0, &driver.StoppedError{TooLong: true, Text: "Impacting Interactivity (0000000e:planted)"}
	case faultAbort:
		fmt.Fprintln(os.Stderr, "-[MTLDebugDevice validate]: failed assertion (planted)")
		os.Exit(134) // as a shell tells of SIGABRT
	case faultWrong:
		for i, c := range dispatches {
			if d.wrong(c) {
				continue
			}
			took, err := d.Driver.Run(ctx, label, dispatches[i:i+1])
			if err != nil {
				return 0, err
			}
			seconds += took
		}
		return seconds, nil
	}
	return d.Driver.Run(ctx, label, dispatches)
}

// wrong reports whether c is of a kernel that computes nothing.
func (d *faulty) wrong(c driver.Dispatch) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.HasPrefix(d.names[c.Pipeline], d.kernels)
}
