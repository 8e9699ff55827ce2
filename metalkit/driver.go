package metalkit

import "context"

// driver is what the device needs of a GPU. Its methods are not called from two
// goroutines at once, except alloc, alias and free.
type driver interface {
	limits() limits
	// alloc returns zeroed memory. It fails with device.ErrOutOfMemory.
	alloc(size int64) (memory, error)
	// alias returns memory that is mem, without a copy, where the driver can: ok
	// is false where it cannot.
	alias(mem []byte) (m memory, ok bool)
	free(m memory)
	// pipeline makes the kernel called s.kernel with s.constants ready to run and
	// returns its number for call.pipeline. s.kernel may be matmulKernel, for
	// which it fails with device.ErrUnsupported where the driver has none.
	pipeline(s specialisation) (int32, error)
	// run runs the calls in order, as one command buffer, waits for them and
	// returns the seconds that the GPU took. What they had written when ctx ended
	// is undefined.
	run(ctx context.Context, label string, calls []call) (seconds float64, err error)
	// capture records what runs until stop is called into a file for Xcode. It
	// fails with device.ErrUnsupported where there is no such thing.
	capture(file string) (stop func() error, err error)
	close()
}

// discrete is a driver of a GPU with memory of its own: memory.host is nil. Its methods
// may be called at any time.
type discrete interface {
	zero(m memory, size int64) error
	write(m memory, at int64, src []byte) error
	read(dst []byte, m memory, at int64) error
}

// workOfRun is limits.work of a Mac's GPU: a quarter of a second for the slowest,
// that of an M1, and some hundred times as long as starting a run takes for the
// quickest.
const workOfRun = 5e11

// limits describes a driver's GPU.
type limits struct {
	name       string
	system     string  // and its version: what else decides how fast a kernel is
	timed      bool    // run's seconds are those of a GPU, so that it is worth choosing kernels by them
	workingSet int64   // bytes that it holds without slowing down
	maxBuffer  int64   // bytes of one memory at most; 0 for no limit
	maxThreads int     // of a threadgroup
	maxShared  int     // bytes of threadgroup memory
	work       float64 // flops of one run: more are cut into several, between which ctx is heard; 0 for no limit
}

// memory is a piece of memory that the GPU and the host share, unless the driver is
// discrete.
type memory struct {
	handle  uintptr // the driver's name for it, which begins at a multiple of 16 bytes; 0 for no memory
	offset  uint64  // of its first byte from where the handle begins
	host    []byte
	unpin   func() // for the driver's own use in free
	scratch int64  // bytes, if it is for scratch
}

// specialisation is a kernel with values for its function constants, for
// threadgroups of so many threads.
type specialisation struct {
	kernel    string
	constants constants
	threads   int
}

// constants are the function constants of kernels/common.h, in order of index.
type constants struct {
	a, b, c, y uint32 // types of operands
	fn, flags  uint32
	aligned    uint32 // 1: rows, and the parts of them that a kernel reads, begin at multiples of 4 elements
}

// The types that a weight may have beyond those of package device, numbered as in
// kernels/common.h.
const (
	typeNF4       = 9
	typeNF4Nested = 10
)

const (
	maxBuffers = 12  // operands of a kernel
	maxArgs    = 192 // bytes of a kernel's structure of arguments
)

// call is one dispatch of groups threadgroups of threads threads: its structure of
// arguments is buffer 0 of the kernel, bind[i] is buffer i+1. It holds no pointer,
// and metalkit/internal/soft reads it as it lies in memory.
type call struct {
	pipeline int32
	threads  uint32
	groups   [3]uint32
	buffers  uint32
	bind     [maxBuffers]binding
	args     [maxArgs]byte
}

type binding struct {
	handle uintptr
	offset uint64
}
