package device

import "context"

// Dry is a Device that keeps sizes only: its buffers hold nothing, its operations
// do nothing. Code that runs on it tells what it would take; contents for it need
// not be made, and Floats, Hold and Fill do not make them.
type Dry interface {
	Device
	// Host counts n bytes of the program's own memory as taken, or, where n is
	// negative, as given back.
	Host(n int64)
}

// IsDry reports whether dev keeps sizes only.
func IsDry(dev Device) bool {
	_, dry := dev.(Dry)
	return dry
}

// Hold counts n bytes of host memory, or gives them back, if dev is Dry.
func Hold(dev Device, n int64) {
	if dry, ok := dev.(Dry); ok {
		dry.Host(n)
	}
}

// Floats returns n values for the host's side of a transfer; for a Dry device it
// counts them and returns none.
func Floats(dev Device, n int) []float32 {
	if dry, ok := dev.(Dry); ok {
		dry.Host(4 * int64(n))
		return nil
	}
	return make([]float32, n)
}

// Fill writes to the whole of dst, an F32 buffer of dev, the values that fill makes.
func Fill(ctx context.Context, dev Device, dst Buffer, fill func(values []float32)) error {
	n := dst.Desc().Len()
	values := Floats(dev, n)
	defer Hold(dev, -4*int64(n))
	if values == nil {
		return ctx.Err()
	}
	fill(values)
	return dev.Write(ctx, dst, Bytes(values))
}

// Sizer is a Device that holds more than its buffers' bytes.
type Sizer interface {
	Device
	// AllocSize returns the bytes that Alloc counts for a buffer of n bytes.
	AllocSize(n int64) int64
	// Count returns an encoder that runs nothing and counts what the device would
	// hold beside buffers, from a start without any, if it ran the operations that
	// are recorded. The operands are not looked into and may be of a Dry device.
	Count() ScratchCounter
}

// ScratchCounter counts the memory that operations take beside their buffers.
type ScratchCounter interface {
	Encoder
	// Scratch returns the bytes held after the operations so far.
	Scratch() int64
}

// SubmissionCounter is a ScratchCounter of a device that takes such memory for a
// submission only: Scratch returns the most that is held at once until Done ends it.
type SubmissionCounter interface {
	ScratchCounter
	Done()
}

// Trimmer is a Device that keeps memory of released buffers for the next ones.
type Trimmer interface {
	Device
	// Trim gives back what is kept.
	Trim()
}

// Trim has dev give back memory that no buffer has: between two phases of work, whose
// buffers differ.
func Trim(dev Device) {
	if t, ok := dev.(Trimmer); ok {
		t.Trim()
	}
}
