//go:build cuda

package cuda

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/cuda/libcuda"
	"gimbal/metalkit/internal/driver/cuda/ptx"
)

// ptxVariable names the folder of `make ptx`; without it, it is ptx beside the program.
const ptxVariable = "GIMBAL_PTX"

// Driver runs the kernels' PTX.
type Driver struct {
	gpu     *libcuda.GPU
	info    libcuda.Info
	folder  string // of PTX
	kernels []libcuda.Kernel
}

// Open returns the driver of an NVIDIA GPU of 2020 or later. It fails with
// device.ErrUnsupported where there is none.
func Open() (*Driver, error) {
	if size := unsafe.Sizeof(driver.Dispatch{}); size != libcuda.DispatchSize {
		return nil, fmt.Errorf("a dispatch has %d bytes, cuda.h has %d", size, libcuda.DispatchSize)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &Driver{folder: cmp.Or(os.Getenv(ptxVariable), filepath.Join(filepath.Dir(program), "ptx"))}
	if d.gpu, d.info, err = libcuda.Open(); err != nil {
		return nil, fmt.Errorf("no NVIDIA GPU: %w: %w", err, device.ErrUnsupported)
	}
	if c := d.info.Capability; c[0] < 8 {
		d.Close()
		return nil, fmt.Errorf("%s has compute capability %d.%d, want 8.0: %w", d.info.Name, c[0], c[1], device.ErrUnsupported)
	}
	return d, nil
}

// commandBufferFLOPs is half a second at 10 TFLOP/s, unless the variable says otherwise: 0 for
// command buffers of any length, to measure what shorter ones cost.
const (
	commandBufferFLOPs    = 5e12
	commandBufferVariable = "GIMBAL_COMMAND_BUFFER_FLOPS"
)

func (d *Driver) Limits() driver.Limits {
	flops, err := strconv.ParseFloat(os.Getenv(commandBufferVariable), 64)
	if err != nil {
		flops = commandBufferFLOPs
	}
	return driver.Limits{
		Name: d.info.Name, System: fmt.Sprintf("CUDA %d.%d", d.info.Version/1000, d.info.Version%1000/10), Timed: true,
		WorkingSet: d.info.Memory, MaxThreads: 1024, MaxShared: 32 << 10, CommandBufferFLOPs: flops,
	}
}

func (d *Driver) Alloc(size int64) (driver.Memory, error) {
	address, err := d.gpu.Alloc(size)
	var failed *libcuda.Error
	if errors.As(err, &failed) && failed.Code == libcuda.OutOfMemory {
		available, total, _ := d.gpu.Room()
		return driver.Memory{}, fmt.Errorf("the GPU refuses %d bytes, with %d of %d free: %w", size, available, total, device.ErrOutOfMemory)
	}
	if err != nil {
		return driver.Memory{}, fmt.Errorf("%w: %w", err, device.ErrDeviceLost)
	}
	return driver.Memory{Handle: address}, nil
}

// Alias has nothing to offer: the GPU's memory is its own.
func (d *Driver) Alias([]byte) (driver.Memory, bool) { return driver.Memory{}, false }

func (d *Driver) Free(m driver.Memory) {
	if m.Handle != 0 {
		d.gpu.Free(m.Handle)
	}
}

func (d *Driver) Zero(m driver.Memory, size int64) error {
	return d.gpu.Zero(m.Handle+uintptr(m.Offset), size)
}

func (d *Driver) Write(m driver.Memory, at int64, src []byte) error {
	return d.gpu.Write(m.Handle+uintptr(m.Offset)+uintptr(at), src)
}

func (d *Driver) Read(dst []byte, m driver.Memory, at int64) error {
	return d.gpu.Read(dst, m.Handle+uintptr(m.Offset)+uintptr(at))
}

func (d *Driver) Pipeline(s driver.Specialisation) (int32, error) {
	k, err := d.load(s)
	if err != nil {
		return 0, fmt.Errorf("metalkit: kernel %s with %+v: %w", s.Kernel, s.Constants, err)
	}
	d.kernels = append(d.kernels, k)
	return int32(len(d.kernels) - 1), nil
}

// load compiles a kernel for the GPU; libcuda keeps results in a folder of its own.
func (d *Driver) load(s driver.Specialisation) (libcuda.Kernel, error) {
	file := filepath.Join(d.folder, ptx.File(s.Kernel, s.Constants.Aligned != 0))
	text, err := os.ReadFile(file)
	if err != nil {
		return libcuda.Kernel{}, fmt.Errorf("make it with 'make ptx', and name its folder in %s: %w", ptxVariable, err)
	}
	c := s.Constants
	special, err := ptx.Specialise(string(text), []uint32{c.A, c.B, c.C, c.Y, c.Func, c.Flags})
	if err != nil {
		return libcuda.Kernel{}, err
	}
	return d.gpu.Load(special, ptx.Entry(s.Kernel))
}

// Groups beyond these cannot be launched.
var maxGroups = [3]uint32{1<<31 - 1, 1<<16 - 1, 1<<16 - 1}

func (d *Driver) Run(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	for i := range dispatches {
		for axis, most := range maxGroups {
			if n := dispatches[i].Groups[axis]; n > most {
				return 0, fmt.Errorf("%d threadgroups along axis %d, CUDA has at most %d: %w", n, axis, most, device.ErrUnsupported)
			}
		}
	}
	err := d.gpu.Begin()
	for i := 0; i < len(dispatches) && err == nil && ctx.Err() == nil; i++ {
		err = d.gpu.Launch(d.kernels[dispatches[i].Pipeline], unsafe.Pointer(&dispatches[i]))
	}
	seconds, late := d.gpu.End()
	if err = errors.Join(err, late); err != nil {
		return 0, fmt.Errorf("the GPU failed (%w): %w", err, device.ErrDeviceLost)
	}
	return seconds, ctx.Err()
}

func (d *Driver) Capture(string) (func() error, error) {
	return nil, fmt.Errorf("captures are for Metal: %w", device.ErrUnsupported)
}

func (d *Driver) Close() {
	for _, k := range d.kernels {
		d.gpu.Unload(k)
	}
	d.kernels = nil
	d.gpu.Close()
}
