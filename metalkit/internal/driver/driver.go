package driver

import "context"

// Driver runs kernels on one GPU. Its methods are not called from two goroutines at
// once, except Alloc, Alias and Free, and Pipeline where Limits.Compilers is not 0.
type Driver interface {
	Limits() Limits
	// Alloc returns zeroed memory. It fails with device.ErrOutOfMemory.
	Alloc(size int64) (Memory, error)
	// Alias returns memory that is host, without a copy, where the driver can: ok is
	// false where it cannot.
	Alias(host []byte) (m Memory, ok bool)
	Free(m Memory)
	// Pipeline makes the kernel called s.Kernel with s.Constants ready to run and
	// returns its number for Dispatch.Pipeline.
	Pipeline(s Specialisation) (int32, error)
	// Run runs the dispatches in order, as one command buffer, waits for them and
	// returns the seconds that the GPU took. What they had written when ctx ended is
	// undefined.
	Run(ctx context.Context, label string, dispatches []Dispatch) (seconds float64, err error)
	// Capture records what runs until stop is called into a file for Xcode. It fails
	// with device.ErrUnsupported where there is no such thing.
	Capture(file string) (stop func() error, err error)
	Close()
}

// Discrete is a driver of a GPU with memory of its own: Memory.Host is nil. Its methods
// may be called at any time.
type Discrete interface {
	Driver
	Zero(m Memory, size int64) error
	Write(m Memory, at int64, src []byte) error
	Read(dst []byte, m Memory, at int64) error
}

// Limits describes a driver's GPU.
type Limits struct {
	Name       string
	System     string // and its version: what else decides how fast a kernel is
	Timed      bool   // Run's seconds are those of a GPU, so that it is worth choosing kernels by them
	WorkingSet int64  // bytes that it holds without slowing down
	MaxBuffer  int64  // bytes of one memory at most; 0 for no limit
	MaxThreads int    // of a threadgroup
	MaxShared  int    // bytes of threadgroup memory
	Compilers  int    // pipelines that are made at a time, beside runs; 0 for one, and not beside runs
	Matmul2D   bool   // it takes the kernels of the second source, see HasMatmul2D
	// CommandBufferFLOPs is how much one command buffer may compute: more is cut into
	// several, between which the end of a context is heard; 0 for no limit.
	CommandBufferFLOPs float64
}

// Memory is a piece of memory that the GPU and the host share, unless the driver is
// Discrete.
type Memory struct {
	Handle uintptr // the driver's name for it, which begins at a multiple of 16 bytes; 0 for no memory
	Offset uint64  // of its first byte from where the handle begins
	Host   []byte
	Unpin  func() // for the driver's own use in Free
}

// Bytes returns the memory as the host sees it.
func (m Memory) Bytes() []byte { return m.Host }

// Specialisation is a kernel with values for its function constants, for
// threadgroups of so many threads.
type Specialisation struct {
	Kernel    string
	Constants Constants
	Threads   int
}

// Constants are the function constants of kernels/common.h, in order of index.
type Constants struct {
	A, B, C, Y  uint32 // types of operands
	Func, Flags uint32
	Aligned     uint32 // 1: rows, and the parts of them that a kernel reads, begin at multiples of 4 elements
}

const (
	MaxBuffers = 12  // operands of a kernel
	MaxArgs    = 192 // bytes of a kernel's structure of arguments
)

// Dispatch is Groups threadgroups of Threads threads of a pipeline: the structure of
// arguments is buffer 0 of the kernel, Bind[i] is buffer i+1. It holds no pointer, and
// the drivers' C reads it as it lies in memory.
type Dispatch struct {
	Pipeline int32
	Threads  uint32
	Groups   [3]uint32
	Buffers  uint32
	Bind     [MaxBuffers]Binding
	Args     [MaxArgs]byte
}

// Binding is a place in memory that a dispatch is given as a buffer.
type Binding struct {
	Handle uintptr
	Offset uint64
}

// DefaultCommandBufferFLOPs is Limits.CommandBufferFLOPs of a Mac's GPU whose speed is
// not known: a twentieth of a second for the slowest, that of an M1, at its peak.
const DefaultCommandBufferFLOPs = 1e11
