package metalkit

import "gimbal/inference/device"

// splitRows is what parts of a Linear or an Attention are a multiple of: the rows of the
// largest tiles.
const splitRows = 128

// inParts records an operation of so many rows in parts of n rows: record is told where each
// begins and ends. whole is the cost of all.
func (e *encoder) inParts(rows, n int, whole device.Cost, record func(first, last int)) {
	from := len(e.plan)
	e.whole = rows
	for first := 0; first < rows; first += n {
		record(first, min(first+n, rows))
	}
	e.whole = 0
	e.join(from, rows, whole)
}

// splitLinear records l in parts of n rows.
func (e *encoder) splitLinear(l device.Linear, n int) {
	e.inParts(l.X.Rows, n, l.Cost(), func(first, last int) {
		part := l
		part.X, part.Y, part.Add = l.X.RowRange(first, last), l.Y.RowRange(first, last), rowsOf(l.Add, first, last)
		e.linear(part)
	})
}

// splitAttention records a in parts of n queries. The bias of a query and a key is in the
// column that their distance gives, counted from that of the last query.
func (e *encoder) splitAttention(a device.Attention, n int) {
	rows := a.Q.Rows
	e.inParts(rows, n, a.Cost(), func(first, last int) {
		part := a
		part.Q, part.O = a.Q.RowRange(first, last), a.O.RowRange(first, last)
		if !a.RelBias.IsZero() {
			part.RelBias = a.RelBias.ColRange(rows-last, a.RelBias.Cols-first)
		}
		e.attention(part)
	})
}

// rowsOf returns rows first to last-1 of m, which may be missing, or have one row for all.
func rowsOf(m device.Mat, first, last int) device.Mat {
	if m.IsZero() || m.Rows == 1 {
		return m
	}
	return m.RowRange(first, last)
}

// splitElementwise records op in parts if it is one that goes over its elements once and moves
// more than a command buffer may. It reports whether it did.
func (e *encoder) splitElementwise(op device.Op) bool {
	cost, most := op.Cost(), e.bytesOfCommandBuffer()
	if most == 0 || float64(cost.Bytes) <= most {
		return false
	}
	parts := func(rows int, record func(first, last int)) bool {
		e.inParts(rows, max(1, int(float64(rows)*most/float64(cost.Bytes))), cost, record)
		return true
	}
	switch op := op.(type) {
	case device.Norm:
		return parts(op.X.Rows, func(first, last int) {
			part := op
			part.X, part.Y = op.X.RowRange(first, last), op.Y.RowRange(first, last)
			e.norm(part)
		})
	case device.Rope:
		return parts(op.X.Rows, func(first, last int) {
			part := op
			part.X, part.Y = op.X.RowRange(first, last), op.Y.RowRange(first, last)
			part.Cos, part.Sin = op.Cos.RowRange(first, last), op.Sin.RowRange(first, last)
			e.rope(part)
		})
	case device.Unary:
		return parts(op.X.Rows, func(first, last int) {
			part := op
			part.X, part.Y = op.X.RowRange(first, last), op.Y.RowRange(first, last)
			e.unary(part)
		})
	case device.Binary:
		return parts(op.A.Rows, func(first, last int) {
			part := op
			part.A, part.B, part.Y = op.A.RowRange(first, last), rowsOf(op.B, first, last), op.Y.RowRange(first, last)
			e.binary(part)
		})
	case device.GatedAdd:
		return parts(op.A.Rows, func(first, last int) {
			part := op
			part.A, part.Gate, part.B = op.A.RowRange(first, last), rowsOf(op.Gate, first, last), op.B.RowRange(first, last)
			part.Y = op.Y.RowRange(first, last)
			e.gatedAdd(part)
		})
	case device.Move:
		if op.Transpose {
			return false
		}
		return parts(op.X.Rows, func(first, last int) {
			part := op
			part.X, part.Y = op.X.RowRange(first, last), op.Y.RowRange(first, last)
			e.move(part)
		})
	}
	return false
}

// join makes one operation, of so many rows, of the parts that are in the plan from dispatch
// number from on. What they read again is not among the least that it moves.
func (e *encoder) join(from, rows int, whole device.Cost) {
	parts := e.plan[from:]
	for i := range parts {
		n := &parts[i]
		n.number, n.least.Bytes = parts[0].number, 0
		if n.sizes[0] > 0 {
			n.sizes[0] = rows
		}
	}
	if len(parts) > 0 {
		parts[0].least.Bytes = whole.Bytes
		e.ops = parts[0].number
	}
}

// splitConv records f by number v of the variants: all at once, some frames at a time, or
// some rows of one.
func (e *encoder) splitConv(f *filter, v int) {
	cols := e.dev.variants.conv[v].cols
	computed := ceilDiv(f.Y.C, cols) * cols // with what reaches beyond the edge
	share := e.flopsOfCommandBuffer() / float64(f.Cost().FLOPs) * float64(f.Y.C) / float64(computed)
	if share == 0 || share >= 1 {
		e.convolve(f, v)
		return
	}
	frames, rows := int(share*float64(f.Y.T)), f.Y.H
	if frames == 0 {
		frames, rows = 1, max(1, int(share*float64(f.Y.T*f.Y.H)))
	}
	from := len(e.plan)
	for t := 0; t < f.Y.T; t += frames {
		for row := 0; row < f.Y.H; row += rows {
			part := f.part(e, t, min(t+frames, f.Y.T), row, min(row+rows, f.Y.H))
			e.convolve(&part, v)
		}
	}
	for i := range e.plan[from:] {
		e.plan[from+i].sizes = f.sizes()
	}
}

// part is what gives frames t to end-1 of f's results, and of each of them rows row to
// bottom-1. What is before its inputs is of f's inputs, or before those.
func (f filter) part(e *encoder, t, end, row, bottom int) filter {
	p, n := f, len(f.Prev)
	first := t * f.StrideT
	for i := range p.Prev {
		switch at := first - n + i; {
		case at < 0:
			p.Prev[i] = f.Prev[n+at]
		case i > n-f.KT:
			p.Prev[i] = f.X.Range(at, at+1)
		}
	}
	p.X, p.Y = f.X.Range(first, first+(end-t-1)*f.StrideT+1), lines(f.Y.Range(t, end), row, bottom)
	if !f.Add.IsZero() {
		p.Add = lines(f.Add.Range(t, end), row, bottom)
	}
	p.x, p.prev0, p.prev1 = e.frames(p.X), e.frames(p.Prev[0]), e.frames(p.Prev[1])
	p.y, p.add = e.frames(p.Y), e.frames(p.Add)
	p.with.Flags = f.with.Flags&(convBias|convAdd) | p.prev0.flag(convPrev0) | p.prev1.flag(convPrev1)
	p.args.oh, p.args.padH = uint32(p.Y.H), uint32(f.PadH-row*f.Stride) // below 0, as the kernel takes it for an int
	p.X.H = ceilDiv(f.X.H*p.Y.H, f.Y.H)                                 // that it reads, but for the edges
	return p
}

// lines returns rows from to to-1 of every frame.
func lines(f device.Frames, from, to int) device.Frames {
	f.Offset += from * f.W * f.C
	f.H = to - from
	return f
}
