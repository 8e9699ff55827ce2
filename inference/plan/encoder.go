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

// count adds an operation of a kind, and the mapped operands that it reads.
func (e encoder) count(kind string, c device.Cost, operands ...device.Mat) {
	kinds := e.d.phase.Work.Kinds
	kinds[kind] = kinds[kind].Plus(c)
	for _, m := range operands {
		if b, ok := m.Buf.(*buffer); ok && b.mapped && !e.d.used[b] {
			e.d.used[b] = true
		}
	}
}

// LinearKind returns the kind of a product.
func LinearKind(l device.Linear) string {
	switch {
	case l.X.Rows < fewRows:
		return Memory
	case l.W.NF4:
		return "linear nf4"
	}
	return "linear " + strings.ToLower(l.W.Data.DType.String())
}

// AttentionKind returns the kind of an attention, by the type of its operands.
func AttentionKind(a device.Attention) string {
	return "attention " + strings.ToLower(a.Q.DType.String())
}

// Conv is the kind of convolutions.
const Conv = "conv"

func (e encoder) Linear(l device.Linear) {
	l.Check()
	e.count(LinearKind(l), l.Cost(), l.W.Data, l.W.Scale)
	if s := e.d.scratch; s != nil {
		s.Linear(l)
	}
}

func (e encoder) Attention(a device.Attention) {
	a.Check()
	e.count(AttentionKind(a), a.Cost())
	if s := e.d.scratch; s != nil {
		s.Attention(a)
	}
}

func (e encoder) Conv(c device.Conv) {
	c.Check()
	e.count(Conv, c.Cost(), c.W)
	if s := e.d.scratch; s != nil {
		s.Conv(c)
	}
}

func (e encoder) Norm(n device.Norm) {
	n.Check()
	e.count(Memory, n.Cost())
	if s := e.d.scratch; s != nil {
		s.Norm(n)
	}
}

func (e encoder) Rope(r device.Rope) {
	r.Check()
	e.count(Memory, r.Cost())
	if s := e.d.scratch; s != nil {
		s.Rope(r)
	}
}

func (e encoder) Unary(u device.Unary) {
	u.Check()
	e.count(Memory, u.Cost())
	if s := e.d.scratch; s != nil {
		s.Unary(u)
	}
}

func (e encoder) Binary(b device.Binary) {
	b.Check()
	e.count(Memory, b.Cost())
	if s := e.d.scratch; s != nil {
		s.Binary(b)
	}
}

func (e encoder) GatedAdd(g device.GatedAdd) {
	g.Check()
	e.count(Memory, g.Cost())
	if s := e.d.scratch; s != nil {
		s.GatedAdd(g)
	}
}

// Gather reads some rows of a table, which is not counted as used.
func (e encoder) Gather(g device.Gather) {
	g.Check()
	e.count(Memory, g.Cost())
	if s := e.d.scratch; s != nil {
		s.Gather(g)
	}
}

func (e encoder) Move(m device.Move) {
	m.Check()
	e.count(Memory, m.Cost())
	if s := e.d.scratch; s != nil {
		s.Move(m)
	}
}
