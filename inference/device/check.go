package device

// Check implements Op.
func (l Linear) Check() error {
	k := checker{op: l.Name()}
	k.mat("X", l.X)
	k.mat("Y", l.Y)
	l.W.check(&k)
	k.shape("X", l.X, l.X.Rows, l.W.In)
	k.shape("Y", l.Y, l.X.Rows, l.W.Out)
	k.optional("Bias", l.Bias, 1, l.W.Out)
	k.optional("Gate", l.Gate, 1, l.W.Out)
	k.known("Act", l.Act)
	k.apart("Y", l.Y, named{"X", l.X}, named{"W.Data", l.W.Data}, named{"Bias", l.Bias}, named{"Gate", l.Gate})
	if !l.Add.IsZero() {
		k.mat("Add", l.Add)
		k.shape("Add", l.Add, l.X.Rows, l.W.Out)
		k.sameOrApart("Y", l.Y, named{"Add", l.Add})
	}
	return k.err
}

// Check implements Op.
func (a Attention) Check() error {
	k := checker{op: a.Name()}
	k.mat("Q", a.Q)
	k.mat("K", a.K)
	k.mat("V", a.V)
	k.mat("O", a.O)
	k.heads(a.Heads, a.Q.Cols)
	k.shape("K", a.K, a.K.Rows, a.Q.Cols)
	k.shape("V", a.V, a.K.Rows, a.Q.Cols)
	k.shape("O", a.O, a.Q.Rows, a.Q.Cols)
	if a.K.Rows < 1 {
		k.fail("no keys")
	}
	if !a.RelBias.IsZero() {
		k.f32("RelBias", a.RelBias)
		k.shape("RelBias", a.RelBias, a.Heads, a.Q.Rows+a.K.Rows-1)
	}
	k.optional("KeyBias", a.KeyBias, 1, a.K.Rows)
	k.sameOrApart("O", a.O, named{"Q", a.Q})
	k.apart("O", a.O, named{"K", a.K}, named{"V", a.V}, named{"RelBias", a.RelBias}, named{"KeyBias", a.KeyBias})
	return k.err
}

// Check implements Op.
func (n Norm) Check() error {
	k := checker{op: n.Name()}
	k.mat("X", n.X)
	k.mat("Y", n.Y)
	if n.Kind != RMSNorm && n.Kind != LayerNorm {
		k.fail("no such kind: %d", n.Kind)
	}
	k.known("Act", n.Act)
	k.shape("Y", n.Y, n.X.Rows, n.X.Cols)
	k.optional("Weight", n.Weight, 1, n.X.Cols)
	k.optional("Bias", n.Bias, 1, n.X.Cols)
	k.optional("Scale", n.Scale, 1, n.X.Cols)
	k.optional("Shift", n.Shift, 1, n.X.Cols)
	k.sameOrApart("Y", n.Y, named{"X", n.X})
	k.apart("Y", n.Y, named{"Weight", n.Weight}, named{"Bias", n.Bias}, named{"Scale", n.Scale}, named{"Shift", n.Shift})
	return k.err
}

// Check implements Op.
func (r Rope) Check() error {
	k := checker{op: r.Name()}
	k.mat("X", r.X)
	k.mat("Y", r.Y)
	k.heads(r.Heads, r.X.Cols)
	d := r.X.Cols / max(r.Heads, 1)
	if d%2 != 0 {
		k.fail("heads of %d columns, want an even number", d)
	}
	k.shape("Y", r.Y, r.X.Rows, r.X.Cols)
	k.f32("Cos", r.Cos)
	k.f32("Sin", r.Sin)
	k.shape("Cos", r.Cos, r.X.Rows, d/2)
	k.shape("Sin", r.Sin, r.X.Rows, d/2)
	k.optional("Weight", r.Weight, 1, r.X.Cols)
	k.sameOrApart("Y", r.Y, named{"X", r.X})
	k.apart("Y", r.Y, named{"Cos", r.Cos}, named{"Sin", r.Sin}, named{"Weight", r.Weight})
	return k.err
}

// Check implements Op.
func (u Unary) Check() error {
	k := checker{op: u.Name()}
	k.mat("X", u.X)
	k.mat("Y", u.Y)
	k.known("F", u.F)
	k.shape("Y", u.Y, u.X.Rows, u.X.Cols)
	k.sameOrApart("Y", u.Y, named{"X", u.X})
	return k.err
}

// Check implements Op.
func (b Binary) Check() error {
	k := checker{op: b.Name()}
	k.mat("A", b.A)
	k.mat("B", b.B)
	k.mat("Y", b.Y)
	if b.Op != Add && b.Op != Mul {
		k.fail("no such function: %d", b.Op)
	}
	k.shape("Y", b.Y, b.A.Rows, b.A.Cols)
	k.oneOrAll("B", b.B, b.A.Rows, b.A.Cols)
	k.sameOrApart("Y", b.Y, named{"A", b.A}, named{"B", b.B})
	return k.err
}

// Check implements Op.
func (g GatedAdd) Check() error {
	k := checker{op: g.Name()}
	k.mat("A", g.A)
	k.mat("Gate", g.Gate)
	k.mat("B", g.B)
	k.mat("Y", g.Y)
	k.shape("B", g.B, g.A.Rows, g.A.Cols)
	k.shape("Y", g.Y, g.A.Rows, g.A.Cols)
	k.oneOrAll("Gate", g.Gate, g.A.Rows, g.A.Cols)
	k.sameOrApart("Y", g.Y, named{"A", g.A}, named{"Gate", g.Gate}, named{"B", g.B})
	return k.err
}

// Check implements Op.
func (g Gather) Check() error {
	k := checker{op: g.Name()}
	k.mat("Table", g.Table)
	k.mat("IDs", g.IDs)
	k.mat("Y", g.Y)
	k.dtype("IDs", g.IDs, I32)
	k.shape("IDs", g.IDs, 1, g.Y.Rows)
	k.shape("Y", g.Y, g.Y.Rows, g.Table.Cols)
	k.apart("Y", g.Y, named{"Table", g.Table}, named{"IDs", g.IDs})
	return k.err
}

// Check implements Op.
func (m Move) Check() error {
	k := checker{op: m.Name()}
	k.mat("X", m.X)
	k.mat("Y", m.Y)
	if m.Transpose {
		k.shape("Y", m.Y, m.X.Cols, m.X.Rows)
		k.apart("Y", m.Y, named{"X", m.X})
		return k.err
	}
	k.shape("Y", m.Y, m.X.Rows, m.X.Cols)
	k.sameOrApart("Y", m.Y, named{"X", m.X})
	return k.err
}

// Check implements Op.
func (c Conv) Check() error {
	k := checker{op: c.Name()}
	k.frames("X", c.X)
	k.frames("Y", c.Y)
	if c.KT < 1 || c.KT > len(c.Prev)+1 || c.KH < 1 || c.KW < 1 {
		k.fail("a kernel of %dx%dx%d, want 1 to %d frames of at least 1x1", c.KT, c.KH, c.KW, len(c.Prev)+1)
	}
	if c.StrideT < 1 || c.Stride < 1 {
		k.fail("strides %d in time and %d in space, want at least 1", c.StrideT, c.Stride)
	}
	k.mat("W", c.W)
	k.shape("W", c.W, c.Y.C, c.X.C*c.KT*c.KH*c.KW)
	k.optional("Bias", c.Bias, 1, c.Y.C)
	if (c.Y.T-1)*c.StrideT >= c.X.T && c.Y.T > 0 {
		k.fail("%d frames out of %d, one every %d", c.Y.T, c.X.T, c.StrideT)
	}
	h, w := c.X.H, c.X.W
	if c.Upsample {
		h, w = 2*h, 2*w
	}
	k.edge("rows", h, c.Y.H, c.Stride, c.PadH, c.KH)
	k.edge("columns", w, c.Y.W, c.Stride, c.PadW, c.KW)
	for i, p := range c.Prev {
		if p.IsZero() {
			continue
		}
		if i < len(c.Prev)-(c.KT-1) {
			k.fail("a frame before X that a kernel of %d frames does not reach", c.KT)
		}
		k.frames("Prev", p)
		k.sameSize("Prev", p, 1, c.X.H, c.X.W, c.X.C)
		k.framesApart("Prev", p, c.Y)
	}
	k.framesApart("X", c.X, c.Y)
	if !c.Add.IsZero() {
		k.frames("Add", c.Add)
		k.sameSize("Add", c.Add, c.Y.T, c.Y.H, c.Y.W, c.Y.C)
		if !c.Add.same(c.Y) {
			k.framesApart("Add", c.Add, c.Y)
		}
	}
	return k.err
}
