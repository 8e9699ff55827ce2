//go:build cuda

package metalkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/cuda"
	"gimbal/metalkit/internal/ptx"
)

// ptxVariable names the folder of `make ptx`; without it, it is ptx beside the program.
const ptxVariable = "GIMBAL_PTX"

// fixedVariable, where it is set, leaves out the timing of variants, which takes longer
// than a single run of large operations.
const fixedVariable = "GIMBAL_FIXED"

// OpenCUDA returns the device over an NVIDIA GPU of 2020 or later, after a product that
// must come out right: to prove the kernels at the sizes of real checkpoints. It fails
// with device.ErrUnsupported where there is no such GPU.
func OpenCUDA(opts Options) (device.Device, error) {
	drv, err := newCUDADriver()
	if err != nil {
		return nil, fmt.Errorf("metalkit: %w", err)
	}
	return openTried(drv, opts)
}

// cudaDriver runs the kernels' PTX.
type cudaDriver struct {
	gpu     *cuda.GPU
	info    cuda.Info
	folder  string // of PTX
	kernels []cuda.Kernel
}

func newCUDADriver() (*cudaDriver, error) {
	if size := unsafe.Sizeof(call{}); size != cuda.CallSize {
		return nil, fmt.Errorf("a call has %d bytes, cuda.h has %d", size, cuda.CallSize)
	}
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &cudaDriver{folder: cmp.Or(os.Getenv(ptxVariable), filepath.Join(filepath.Dir(program), "ptx"))}
	if d.gpu, d.info, err = cuda.Open(); err != nil {
		return nil, fmt.Errorf("no NVIDIA GPU: %w: %w", err, device.ErrUnsupported)
	}
	if c := d.info.Capability; c[0] < 8 {
		d.close()
		return nil, fmt.Errorf("%s has compute capability %d.%d, want 8.0: %w", d.info.Name, c[0], c[1], device.ErrUnsupported)
	}
	return d, nil
}

// cudaWork is limits.work: half a second at 10 TFLOP/s.
const cudaWork = 5e12

func (d *cudaDriver) limits() limits {
	return limits{
		name: d.info.Name, system: fmt.Sprintf("CUDA %d.%d", d.info.Version/1000, d.info.Version%1000/10), timed: os.Getenv(fixedVariable) == "",
		workingSet: d.info.Memory, maxThreads: 1024, maxShared: 32 << 10, work: cudaWork,
	}
}

func (d *cudaDriver) alloc(size int64) (memory, error) {
	address, err := d.gpu.Alloc(size)
	var failed *cuda.Error
	if errors.As(err, &failed) && failed.Code == cuda.OutOfMemory {
		available, total, _ := d.gpu.Room()
		return memory{}, fmt.Errorf("the GPU refuses %d bytes, with %d of %d free: %w", size, available, total, device.ErrOutOfMemory)
	}
	if err != nil {
		return memory{}, fmt.Errorf("%w: %w", err, device.ErrDeviceLost)
	}
	return memory{handle: address}, nil
}

// alias has nothing to offer: the GPU's memory is its own.
func (d *cudaDriver) alias([]byte) (memory, bool) { return memory{}, false }

func (d *cudaDriver) free(m memory) {
	if m.handle != 0 {
		d.gpu.Free(m.handle)
	}
}

func (d *cudaDriver) zero(m memory, size int64) error {
	return d.gpu.Zero(m.handle+uintptr(m.offset), size)
}

func (d *cudaDriver) write(m memory, at int64, src []byte) error {
	return d.gpu.Write(m.handle+uintptr(m.offset)+uintptr(at), src)
}

func (d *cudaDriver) read(dst []byte, m memory, at int64) error {
	return d.gpu.Read(dst, m.handle+uintptr(m.offset)+uintptr(at))
}

func (d *cudaDriver) pipeline(s specialisation) (int32, error) {
	if s.kernel == matmulKernel {
		return 0, errNoMatmul(s.constants)
	}
	k, err := d.load(s)
	if err != nil {
		return 0, fmt.Errorf("metalkit: kernel %s with %+v: %w", s.kernel, s.constants, err)
	}
	d.kernels = append(d.kernels, k)
	return int32(len(d.kernels) - 1), nil
}

// load compiles a kernel for the GPU; libcuda keeps results in a folder of its own.
func (d *cudaDriver) load(s specialisation) (cuda.Kernel, error) {
	file := filepath.Join(d.folder, ptx.File(s.kernel, s.constants.aligned != 0))
	text, err := os.ReadFile(file)
	if err != nil {
		return cuda.Kernel{}, fmt.Errorf("make it with 'make ptx', and name its folder in %s: %w", ptxVariable, err)
	}
	c := s.constants
	special, err := ptx.Specialise(string(text), []uint32{c.a, c.b, c.c, c.y, c.fn, c.flags})
	if err != nil {
		return cuda.Kernel{}, err
	}
	return d.gpu.Load(special, ptx.Entry(s.kernel))
}

// Groups beyond these cannot be launched.
var cudaGroups = [3]uint32{1<<31 - 1, 1<<16 - 1, 1<<16 - 1}

func (d *cudaDriver) run(ctx context.Context, label string, calls []call) (float64, error) {
	for i := range calls {
		for axis, most := range cudaGroups {
			if n := calls[i].groups[axis]; n > most {
				return 0, fmt.Errorf("%d threadgroups along axis %d, CUDA has at most %d: %w", n, axis, most, device.ErrUnsupported)
			}
		}
	}
	err := d.gpu.Begin()
	for i := 0; i < len(calls) && err == nil && ctx.Err() == nil; i++ {
		err = d.gpu.Launch(d.kernels[calls[i].pipeline], unsafe.Pointer(&calls[i]))
	}
	seconds, late := d.gpu.End()
	if err = errors.Join(err, late); err != nil {
		return 0, fmt.Errorf("the GPU failed (%w): %w", err, device.ErrDeviceLost)
	}
	return seconds, ctx.Err()
}

func (d *cudaDriver) capture(string) (func() error, error) {
	return nil, fmt.Errorf("captures are for Metal: %w", device.ErrUnsupported)
}

func (d *cudaDriver) close() {
	for _, k := range d.kernels {
		d.gpu.Unload(k)
	}
	d.kernels = nil
	d.gpu.Close()
}
