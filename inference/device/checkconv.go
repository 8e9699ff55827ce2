package device

// Check panics on a shape mistake.
func (c Conv) Check() {
	const op = "Conv"
	frames(op, "X", c.X)
	frames(op, "Y", c.Y)
	if c.KT < 1 || c.KT > len(c.Prev)+1 || c.KH < 1 || c.KW < 1 {
		fail(op, "a kernel of %dx%dx%d, want 1 to %d frames of at least 1x1", c.KT, c.KH, c.KW, len(c.Prev)+1)
	}
	if c.StrideT < 1 || c.Stride < 1 {
		fail(op, "strides %d in time and %d in space, want at least 1", c.StrideT, c.Stride)
	}
	mat(op, "W", c.W)
	shape(op, "W", c.W, c.Y.C, c.X.C*c.KT*c.KH*c.KW)
	optional(op, "Bias", c.Bias, 1, c.Y.C)
	if (c.Y.T-1)*c.StrideT >= c.X.T && c.Y.T > 0 {
		fail(op, "%d frames out of %d, one every %d", c.Y.T, c.X.T, c.StrideT)
	}
	h, w := c.X.H, c.X.W
	if c.Upsample {
		h, w = 2*h, 2*w
	}
	c.checkEdge("rows", h, c.Y.H, c.PadH, c.KH)
	c.checkEdge("columns", w, c.Y.W, c.PadW, c.KW)
	for i, p := range c.Prev {
		if p.IsZero() {
			continue
		}
		if i < len(c.Prev)-(c.KT-1) {
			fail(op, "a frame before X that a kernel of %d frames does not reach", c.KT)
		}
		frames(op, "Prev", p)
		sameSize(op, "Prev", p, 1, c.X.H, c.X.W, c.X.C)
		framesApart(op, c.Y, "Prev", p)
	}
	framesApart(op, c.Y, "X", c.X)
	if !c.Add.IsZero() {
		frames(op, "Add", c.Add)
		sameSize(op, "Add", c.Add, c.Y.T, c.Y.H, c.Y.W, c.Y.C)
		if !c.Add.same(c.Y) {
			framesApart(op, c.Y, "Add", c.Add)
		}
	}
}

// checkEdge checks that every window of size k reaches at least one of n inputs.
func (c Conv) checkEdge(what string, n, out, pad, k int) {
	if pad < 0 || pad >= k || (out-1)*c.Stride-pad >= n {
		fail("Conv", "%d %s out of %d, one every %d, with a kernel of %d and %d before the edge", out, what, n, c.Stride, k, pad)
	}
}

func frames(op, name string, f Frames) {
	if f.IsZero() {
		fail(op, "%s is missing", name)
	}
	if !f.DType.Valid() {
		fail(op, "%s has no such dtype: %d", name, f.DType)
	}
	if f.T < 0 || f.H < 1 || f.W < 1 || f.C < 1 || f.Offset < 0 || f.T > 1 && f.FrameStride < f.H*f.W*f.C {
		fail(op, "%s of %d frames of %dx%dx%d at %d, one every %d, is no picture", name, f.T, f.H, f.W, f.C, f.Offset, f.FrameStride)
	}
	within(op, name, f.Buf, f.DType, f.rows().end())
}

func sameSize(op, name string, f Frames, t, h, w, c int) {
	if f.T != t || f.H != h || f.W != w || f.C != c {
		fail(op, "%s is [%d, %d, %d, %d], want [%d, %d, %d, %d]", name, f.T, f.H, f.W, f.C, t, h, w, c)
	}
}

// rows views each frame as one row.
func (f Frames) rows() Mat {
	return Mat{Buf: f.Buf, DType: f.DType, Offset: f.Offset, Rows: f.T, Cols: f.H * f.W * f.C, Stride: f.FrameStride}
}

func (f Frames) same(o Frames) bool {
	if f.T <= 1 {
		o.FrameStride = f.FrameStride
	}
	return f == o
}

func framesApart(op string, y Frames, name string, f Frames) {
	if overlap(y.rows(), f.rows()) {
		fail(op, "Y overlaps %s", name)
	}
}
