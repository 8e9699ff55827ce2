package plan

import (
	"strings"

	"gimbal/inference/device"
)

// Memory is the kind of the operations that take as long as moving their operands
// does.
const Memory = "memory"

// fewRows is the height below which a product takes as long as reading its weights.
const fewRows = 16

// encoder counts operations.
type encoder struct{ d *Device }

// Record implements device.Encoder. The device that tells its scratch checks op.
func (e encoder) Record(op device.Op) {
	e.d.scratch.Record(op)
	kind, kinds := Kind(op), e.d.phase.Work.Kinds
	kinds[kind] = kinds[kind].Plus(op.Cost())
	switch op := op.(type) {
	case device.Linear:
		e.use(op.W.Data)
		e.use(op.W.Scale)
	case device.Conv:
		e.use(op.W)
	}
}

// use notes that the phase reads all of m. A Gather's table, of which some rows are read,
// does not count.
func (e encoder) use(m device.Mat) {
	if b, ok := m.Buf.(*buffer); ok && b.mapped {
		e.d.used[b] = true
	}
}

// Kind returns the kind of an operation: those of one kind take time in proportion to
// their products, or, where the kind is Memory, to their bytes.
func Kind(op device.Op) string {
	switch op := op.(type) {
	case device.Linear:
		if op.X.Rows >= fewRows {
			return "linear " + strings.ToLower(op.W.Type())
		}
	case device.Attention:
		return "attention " + strings.ToLower(op.Q.DType.String())
	case device.Conv:
		return "conv"
	}
	return Memory
}
