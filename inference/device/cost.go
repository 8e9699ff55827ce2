package device

// Cost is what an operation asks of a machine at the least.
type Cost struct {
	// FLOPs counts the additions, multiplications and functions of one element; a
	// product of matrices has 2 for each pair of factors. Linear, Attention and Conv
	// count their products only.
	FLOPs int64
	// Bytes counts every operand read once and every result written once, at the
	// sizes of their types, quantised weights as they are stored.
	Bytes int64
}

// Plus returns the sum of both.
func (c Cost) Plus(o Cost) Cost { return Cost{c.FLOPs + o.FLOPs, c.Bytes + o.Bytes} }

// Bytes returns the size in bytes of m's elements; of none, 0.
func (m Mat) Bytes() int64 {
	if m.IsZero() {
		return 0
	}
	return int64(m.Rows) * int64(m.Cols) * int64(m.DType.Size())
}

// Bytes returns the size in bytes of f's elements; of none, 0.
func (f Frames) Bytes() int64 {
	if f.IsZero() {
		return 0
	}
	return f.rows().Bytes()
}

// Cost returns what l costs at the least.
func (l Linear) Cost() Cost {
	return Cost{
		FLOPs: 2 * int64(l.X.Rows) * int64(l.W.In) * int64(l.W.Out),
		Bytes: l.X.Bytes() + l.W.Bytes() + l.Bias.Bytes() + l.Gate.Bytes() + l.Add.Bytes() + l.Y.Bytes(),
	}
}

// Cost returns what a costs at the least.
func (a Attention) Cost() Cost {
	return Cost{
		FLOPs: 4 * int64(a.Q.Rows) * int64(a.K.Rows) * int64(a.Q.Cols),
		Bytes: a.Q.Bytes() + a.K.Bytes() + a.V.Bytes() + a.RelBias.Bytes() + a.KeyBias.Bytes() + a.O.Bytes(),
	}
}

// Cost returns what n costs at the least.
func (n Norm) Cost() Cost {
	each := 3 + present(n.Weight) + present(n.Bias) + 2*present(n.Scale) + present(n.Shift) + n.Act.flops()
	if n.Kind == LayerNorm {
		each += 2
	}
	return Cost{
		FLOPs: each * n.Y.len(),
		Bytes: n.X.Bytes() + n.Weight.Bytes() + n.Bias.Bytes() + n.Scale.Bytes() + n.Shift.Bytes() + n.Y.Bytes(),
	}
}

// Cost returns what r costs at the least.
func (r Rope) Cost() Cost {
	return Cost{
		FLOPs: (3 + 4*present(r.Weight)) * r.Y.len(),
		Bytes: r.X.Bytes() + r.Cos.Bytes() + r.Sin.Bytes() + r.Weight.Bytes() + r.Y.Bytes(),
	}
}

// Cost returns what c costs at the least; padding and black frames count as
// pictures do.
func (c Conv) Cost() Cost {
	return Cost{
		FLOPs: 2 * int64(c.Y.T) * int64(c.Y.H) * int64(c.Y.W) * int64(c.Y.C) * int64(c.W.Cols),
		Bytes: c.X.Bytes() + c.Prev[0].Bytes() + c.Prev[1].Bytes() + c.W.Bytes() + c.Bias.Bytes() + c.Add.Bytes() + c.Y.Bytes(),
	}
}

// Cost returns what u costs at the least.
func (u Unary) Cost() Cost {
	return Cost{FLOPs: u.F.flops() * u.Y.len(), Bytes: u.X.Bytes() + u.Y.Bytes()}
}

// Cost returns what b costs at the least.
func (b Binary) Cost() Cost {
	return Cost{FLOPs: b.Y.len(), Bytes: b.A.Bytes() + b.B.Bytes() + b.Y.Bytes()}
}

// Cost returns what g costs at the least.
func (g GatedAdd) Cost() Cost {
	each := int64(2)
	if g.Plus != 0 {
		each++
	}
	return Cost{FLOPs: each * g.Y.len(), Bytes: g.A.Bytes() + g.Gate.Bytes() + g.B.Bytes() + g.Y.Bytes()}
}

// Cost returns what g costs at the least: the rows that are copied count, not the
// table.
func (g Gather) Cost() Cost {
	return Cost{Bytes: g.Y.len()*int64(g.Table.DType.Size()) + g.IDs.Bytes() + g.Y.Bytes()}
}

// Cost returns what m costs at the least.
func (m Move) Cost() Cost { return Cost{Bytes: m.X.Bytes() + m.Y.Bytes()} }

func (m Mat) len() int64 { return int64(m.Rows) * int64(m.Cols) }

// flops returns what f costs for one element.
func (f Func) flops() int64 {
	switch f {
	case SiLU:
		return 3
	case GELU:
		return 8
	case Clamp1:
		return 2
	case ReLU:
		return 1
	}
	return 0
}

func present(m Mat) int64 {
	if m.IsZero() {
		return 0
	}
	return 1
}
