package metalkit

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"unsafe"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// encoder records operations as a plan of dispatches; the slices are used again by the
// next submission.
type encoder struct {
	dev        *gpu
	ctx        context.Context
	err        error             // the first one
	refused    string            // the kernel that it is about, where that is not to be had
	dispatches []driver.Dispatch // as the driver takes them
	plan       []planned         // what each of them is for
	ops        int               // operations so far
	op         string            // the last of them
	variant    int               // that it takes, of those of its kind; below 0 for none
	cost       device.Cost       // of it, until its first dispatch has it

	whole int // rows of the operation that is recorded in parts; 0 for none

	scratch scratch
	counts  bool // scratch, and nothing else: operands may be of another device

	checking bool                           // twins, which no kernel is checked for
	lacks    map[driver.Specialisation]bool // takes the pipelines that there are not, instead of recording

	forced forced           // the variant that is taken wherever it fits
	lists  bool             // candidates, for Variants
	listed []tune.Candidate // of the last operation
}

// planned is a dispatch and what it is for.
type planned struct {
	op      string       // of which operation
	number  int          // of that operation in the submission, from 1
	least   device.Cost  // of the operation, for the first of its dispatches
	args    reflect.Type // the structure that the kernel takes
	absent  uint32       // bit i: operand i is not there
	variant int          // that the operation takes
	dispatch
}

// flops is how much p computes. Of the dispatches of an operation with products, those
// with products count.
func (p planned) flops() float64 {
	switch p.op {
	case "Linear", "Attention", "Conv":
		return p.productFLOPs
	}
	return float64(p.least.FLOPs)
}

// launch says that p took so many seconds.
func (p planned) launch(seconds float64) device.Launch {
	return device.Launch{Kernel: p.kernel, Seconds: seconds, Cost: device.Cost{FLOPs: int64(p.flops()), Bytes: p.moved}}
}

func (e *encoder) reset(ctx context.Context) {
	e.ctx, e.err, e.refused, e.dispatches, e.plan, e.ops, e.scratch, e.forced = ctx, nil, "", e.dispatches[:0], e.plan[:0], 0, scratch{}, forced{}
}

// operand is a view that a kernel is given; the zero operand is none.
type operand struct {
	driver.Binding
	dt      uint32
	ld      uint32
	aligned bool // every row begins at a multiple of 4 elements in memory
	octs    bool // and of 8 elements
}

func (o operand) none() bool { return o.dt == 0 }

// flag returns bit where the operand is there.
func (o operand) flag(bit uint32) uint32 {
	if o.none() {
		return 0
	}
	return bit
}

// orZeroStep returns the step from row to row of an operand whose only row goes
// with every one.
func (o operand) orZeroStep(rows int) uint32 {
	if rows == 1 {
		return 0
	}
	return o.ld
}

// in finds m in memory.
func (e *encoder) in(m device.Mat) operand {
	if m.IsZero() {
		return operand{}
	}
	size := uint64(m.DType.Size())
	handle, at := scratchHandle, uint64(m.Offset)*size
	if _, own := m.Buf.(*scratch); !own && !e.counts {
		b := e.dev.Find(m.Buf)
		if b.Mapped && m.Rows > 0 && b.Mem.Host != nil { // a GPU of its own memory has a copy
			e.touch(b.Bytes()[at : at+uint64((m.Rows-1)*m.Stride+m.Cols)*size])
		}
		handle, at = b.Mem.Handle, at+b.Mem.Offset
	}
	return operand{
		Binding: driver.Binding{Handle: handle, Offset: at},
		dt:      uint32(m.DType),
		ld:      uint32(m.Stride),
		aligned: at%(4*size) == 0 && (m.Stride%4 == 0 || m.Rows <= 1),
		octs:    at%(8*size) == 0 && (m.Stride%8 == 0 || m.Rows <= 1),
	}
}

// touchStep is how much of a mapped file is read for one byte of it that the host reads first.
const touchStep = 1 << 20

// touch reads some of what the GPU will read of a mapped file: the loss of it raises a signal
// here, and none on a GPU.
func (e *encoder) touch(data []byte) {
	mapped.Touch(data, touchStep)
	if err := mapped.Lost(); err != nil && e.err == nil {
		e.err = err
	}
}

// out is in for a destination.
func (e *encoder) out(m device.Mat) operand {
	if !e.counts {
		e.dev.FindWritable(m.Buf)
	}
	return e.in(m)
}

// aligned is 1 if the operands that are there are aligned, and so are parts of so
// many columns.
func aligned(columns int, operands ...operand) uint32 {
	for _, o := range operands {
		if !o.none() && !o.aligned {
			return 0
		}
	}
	if columns%4 != 0 {
		return 0
	}
	return 1
}

// Record implements device.Encoder.
func (e *encoder) Record(op device.Op) {
	device.MustCheck(op)
	if e.dev.oracle.open == nil || e.dev.choices == nil || e.counts || e.lists {
		e.recordOnce(op)
		return
	}
	e.trusted(op)
}

// recordOnce records op, which has no mistake.
func (e *encoder) recordOnce(op device.Op) {
	if e.splitElementwise(op) {
		return
	}
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

// begin reports whether operation op of n elements, say, may be recorded: nothing
// has failed, there is something to do, and n and the other sizes that its kernel
// is told can be counted in 32 bits.
func (e *encoder) begin(op string, cost device.Cost, n int, sizes ...int) bool {
	e.op, e.cost, e.ops, e.scratch.used, e.variant = op, cost, e.ops+1, 0, -1
	if e.err == nil {
		e.err = e.ctx.Err()
	}
	for _, size := range sizes {
		n = max(n, size) * min(n, 1) // stays 0
	}
	if e.err == nil && n > math.MaxUint32 {
		e.err = fmt.Errorf("metalkit: %s of a size of %d: %w", op, n, device.ErrUnsupported)
	}
	return e.err == nil && n > 0
}

// readable and writable fail for types that the kernels' load and store do not take.
func (e *encoder) readable(op string, operands ...operand) bool {
	for _, o := range operands {
		if o.dt > uint32(device.F8E4M3) && o.dt != uint32(device.F8E5M2) {
			e.unsupported(op, "reading", o.dt)
		}
	}
	return e.err == nil
}

func (e *encoder) writable(op string, o operand) bool {
	if o.dt > uint32(device.BF16) {
		e.unsupported(op, "writing", o.dt)
	}
	return e.err == nil
}

func (e *encoder) unsupported(op, what string, dt uint32) {
	if e.err == nil {
		e.err = fmt.Errorf("metalkit: %s, %s %v: %w", op, what, device.DType(dt), device.ErrUnsupported)
	}
}

// dispatch is one before its arguments.
type dispatch struct {
	kernel  string
	with    driver.Constants
	groups  [3]int
	threads int
	sizes   [4]int  // of the operation, for people
	useful  float64 // the share of what the threads compute that is asked for; 0 for all
	moved   int64   // bytes that come from and go to memory
	// productFLOPs is how much it computes, where the operation is one of products.
	productFLOPs float64
	matmul2d     bool // by Neural Accelerators, at their rate
}

// record appends a dispatch with a structure of 32-bit arguments, as the kernel
// declares it, and its operands; the last one must be there and stands in for
// those that are not.
func record[A any](e *encoder, d dispatch, args *A, operands ...operand) {
	if unsafe.Sizeof(*args) > driver.MaxArgs {
		panic(fmt.Sprintf("metalkit: %s takes %d bytes of arguments", d.kernel, unsafe.Sizeof(*args)))
	}
	if e.counts {
		return
	}
	if e.lacks != nil {
		if s := (driver.Specialisation{Kernel: d.kernel, Constants: d.with, Threads: d.threads}); !e.dev.hasPipeline(s) {
			e.lacks[s] = true
		}
		return
	}
	id, err := e.dev.pipeline(driver.Specialisation{Kernel: d.kernel, Constants: d.with, Threads: d.threads})
	if err != nil {
		e.err, e.refused = err, d.kernel
		return
	}
	if len(e.dispatches) == cap(e.dispatches) {
		e.dispatches = append(e.dispatches, driver.Dispatch{})
	} else {
		e.dispatches = e.dispatches[:len(e.dispatches)+1]
	}
	e.plan = append(e.plan, planned{e.op, e.ops, e.cost, reflect.TypeFor[A](), 0, e.variant, d})
	e.cost = device.Cost{}
	c := &e.dispatches[len(e.dispatches)-1]
	c.Pipeline, c.Threads, c.Buffers = id, uint32(d.threads), uint32(len(operands))
	for i, n := range d.groups {
		c.Groups[i] = uint32(n)
	}
	for i, o := range operands {
		if o.none() {
			o = operands[len(operands)-1]
			e.plan[len(e.plan)-1].absent |= 1 << i
		}
		c.Bind[i] = o.Binding
	}
	*(*A)(unsafe.Pointer(&c.Args)) = *args
}

// pipeline returns the number of a pipeline, which it makes at first use.
func (d *gpu) pipeline(s driver.Specialisation) (int32, error) {
	d.making.Lock()
	id, ok := d.pipelines[s]
	d.making.Unlock()
	if ok {
		return id, nil
	}
	id, err := d.drv.Pipeline(s)
	if err == nil {
		d.making.Lock()
		d.pipelines[s] = id
		d.making.Unlock()
	}
	return id, err
}

// hasPipeline reports whether a pipeline is made.
func (d *gpu) hasPipeline(s driver.Specialisation) bool {
	d.making.Lock()
	defer d.making.Unlock()
	_, ok := d.pipelines[s]
	return ok
}

func ceilDiv(n, by int) int { return (n + by - 1) / by }
