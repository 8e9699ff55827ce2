package device

import "fmt"

// Name implements Op.
func (Linear) Name() string { return "Linear" }

// Name implements Op.
func (Attention) Name() string { return "Attention" }

// Name implements Op.
func (Norm) Name() string { return "Norm" }

// Name implements Op.
func (Rope) Name() string { return "Rope" }

// Name implements Op.
func (Conv) Name() string { return "Conv" }

// Name implements Op.
func (Unary) Name() string { return "Unary" }

// Name implements Op.
func (Binary) Name() string { return "Binary" }

// Name implements Op.
func (GatedAdd) Name() string { return "GatedAdd" }

// Name implements Op.
func (Gather) Name() string { return "Gather" }

// Name implements Op.
func (Move) Name() string { return "Move" }

// String implements Op: rows, inner and outer columns, and types.
func (l Linear) String() string {
	return fmt.Sprintf("%s %dx%dx%d %v*%s", l.Name(), l.X.Rows, l.W.In, l.W.Out, l.X.DType, l.W.Type())
}

// String implements Op: heads, queries, keys, the columns of a head, and the queries' type.
func (a Attention) String() string {
	return fmt.Sprintf("%s %dx%dx%dx%d %v", a.Name(), a.Heads, a.Q.Rows, a.K.Rows, a.Q.Cols/a.Heads, a.Q.DType)
}

// String implements Op: frames, rows, columns and channels of X and Y.
func (c Conv) String() string {
	return fmt.Sprintf("%s %dx%dx%d of %d to %dx%dx%d of %d", c.Name(), c.X.T, c.X.H, c.X.W, c.X.C, c.Y.T, c.Y.H, c.Y.W, c.Y.C)
}

// String implements Op: rows and columns of Y.
func (n Norm) String() string { return sized(n, n.Y) }

// String implements Op: rows and columns of Y.
func (r Rope) String() string { return sized(r, r.Y) }

// String implements Op: rows and columns of Y.
func (u Unary) String() string { return sized(u, u.Y) }

// String implements Op: rows and columns of Y.
func (b Binary) String() string { return sized(b, b.Y) }

// String implements Op: rows and columns of Y.
func (g GatedAdd) String() string { return sized(g, g.Y) }

// String implements Op: rows and columns of Y.
func (g Gather) String() string { return sized(g, g.Y) }

// String implements Op: rows and columns of Y.
func (m Move) String() string { return sized(m, m.Y) }

func sized(op Op, y Mat) string { return fmt.Sprintf("%s %dx%d", op.Name(), y.Rows, y.Cols) }

func (Linear) sealed()    {}
func (Attention) sealed() {}
func (Norm) sealed()      {}
func (Rope) sealed()      {}
func (Conv) sealed()      {}
func (Unary) sealed()     {}
func (Binary) sealed()    {}
func (GatedAdd) sealed()  {}
func (Gather) sealed()    {}
func (Move) sealed()      {}
