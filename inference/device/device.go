package device

import (
	"context"
	"errors"
)

// Errors that every device wraps with what was asked for and what to do.
var (
	// ErrUnsupported says that the device has no such operation or data type.
	ErrUnsupported = errors.New("not supported by this device")
	// ErrOutOfMemory says that a buffer does not fit the device's memory.
	ErrOutOfMemory = errors.New("out of device memory")
	// ErrInterrupted says that the system stopped a submission, and that the device goes on:
	// what the submission was to write is undefined, other buffers are as they were. The same
	// work, begun again from those, may pass.
	ErrInterrupted = errors.New("stopped by the system")
	// ErrDeviceLost says that the device stopped answering; no buffer survives.
	ErrDeviceLost = errors.New("device lost")
)

// Info describes a device and what it holds at the moment.
//
// What Map takes counts nowhere here: where device and host share one memory, it is the
// system's file cache, which is held only while a submission uses it, and else can be
// dropped and read again. A plan counts it on its own, as weights. A device that has to
// copy it does not count the copy either.
type Info struct {
	Name       string // for people, such as "Apple M3 Ultra"
	Unified    bool   // device and host share one memory
	WorkingSet int64  // bytes that the device can hold before it slows down; 0 if not known
	Allocated  int64  // bytes held by Alloc and, while they run, by operations; not by Map
	Peak       int64  // largest Allocated so far

	// Dry says that the device keeps sizes only, so that code which runs on it tells what it
	// would take: its buffers need no contents, which Floats and Fill then do not make.
	Dry bool

	// ComputeType is the type that products round their inputs to, which may be stored in it
	// without a change of the result; 0 where they are not.
	ComputeType DType
}

// Desc says what a buffer holds. Elements are stored row-major without gaps.
type Desc struct {
	Label string // for messages and profiles, such as "blocks.3.ffn.0.weight"
	DType DType
	Shape []int
}

// Len returns the number of elements.
func (d Desc) Len() int {
	n := 1
	for _, s := range d.Shape {
		n *= s
	}
	return n
}

// Bytes returns the size in bytes.
func (d Desc) Bytes() int64 { return int64(d.Len()) * int64(d.DType.Size()) }

// Buffer is memory of one device. A buffer is used with the device that made it
// only, and not after Release.
type Buffer interface {
	Desc() Desc
	// Release gives the memory back; for a mapped buffer it calls the release
	// function of Map. A second call does nothing.
	Release()
}

// Device is a machine that runs operations. Its methods may be called from
// several goroutines; Do runs one submission after the other.
type Device interface {
	Info() Info
	// Describe returns what there is to say besides, such as limits.
	Describe() []Property

	// Alloc returns a buffer of zeros. It fails with ErrOutOfMemory.
	Alloc(d Desc) (Buffer, error)
	// AllocSize returns the bytes that Alloc counts for a buffer of n bytes.
	AllocSize(n int64) int64
	// Trim gives back memory that the device keeps of released buffers for the next ones:
	// between two phases of work, whose buffers differ.
	Trim()

	// Map returns a read-only buffer over mem, which holds d's elements in
	// little-endian order and stays valid and unchanged until release is called.
	// The device aliases mem without a copy where it can; where it must copy, it
	// calls release at once. release may be nil.
	Map(d Desc, mem []byte, release func()) (Buffer, error)

	// Write copies src over the whole of dst; the lengths must be equal.
	Write(ctx context.Context, dst Buffer, src []byte) error
	// Read copies the whole of src to dst; the lengths must be equal.
	Read(ctx context.Context, dst []byte, src Buffer) error

	// Do runs the operations that f records, in order, and waits for them: one
	// command buffer, about one transformer block of work. The first error that
	// an operation records sticks: later operations do nothing, and Do returns
	// it wrapped with label. If ctx ends, Do returns its error within a second
	// and the contents of the buffers written are undefined.
	Do(ctx context.Context, label string, f func(Encoder)) error
	// DoTimed is Do, but runs each kernel on its own, and calls ran right after it. A device
	// without a clock of its own does not call ran.
	DoTimed(ctx context.Context, label string, f func(Encoder), ran func(Launch)) error

	// Count returns a counter of the memory that operations take beside their buffers,
	// from a start without any.
	Count() Counter
	// Hold counts n bytes of the program's own memory as taken, or, where n is negative, as
	// given back, on a dry device; on others it does nothing.
	Hold(n int64)

	Close() error
}

// Preparer is a device that goes on choosing its kernels while it works.
type Preparer interface {
	// OnPreparation has tell be called, by the goroutine of a Do, with how far that is; nil for
	// nobody.
	OnPreparation(tell func(Preparation))
}

// Preparation is how many of the things that are to be prepared are done, and for how long
// that has gone on.
type Preparation struct {
	Done, Total int
	Seconds     float64
}

// Property is one thing that a device says of itself, for people.
type Property struct{ Name, Value string }

// SwitchedOff is the name of a Property that tells of a kernel which failed on this device, and why:
// another one does its work.
const SwitchedOff = "switched off"

// Launch is one kernel that a device ran.
type Launch struct {
	Kernel  string
	Seconds float64 // by the device's clock
	Cost    Cost    // with the bytes that the kernel moves, not the least
}

// Counter is an encoder that runs nothing and counts the memory that the recorded
// operations would take beside their buffers. Operands are not looked into and may be of
// another device.
type Counter interface {
	Encoder
	// Scratch returns the bytes held after the operations so far.
	Scratch() int64
	// Done ends a submission: a device that takes such memory for one only holds none then.
	Done()
}
