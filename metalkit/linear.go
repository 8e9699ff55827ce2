package metalkit

import "gimbal/inference/device"

// Flags of kernels/linear.metal.
const linearBias, linearGate, linearAdd, linearScale = 1, 2, 4, 8

// skinnyRows is how many rows of X, at most, go to linear_rows.
const skinnyRows = 4

type linearArgs struct {
	m, n, k, ldx, ldw, ldadd, ldy uint32
	block, nestedBlock            uint32
	nestedOffset                  float32
	band, turned                  uint32
}

// product is a Linear with its operands found.
type product struct {
	device.Linear
	x, y, add, bias, gate              operand
	w, scale, code, nested, nestedCode operand
	with                               constants
	m, n, k                            int
}

// weightType numbers the type of w for the kernels.
func weightType(w device.Weight) uint32 {
	switch {
	case w.Format == device.NF4 && w.Nested.IsZero():
		return typeNF4
	case w.Format == device.NF4:
		return typeNF4Nested
	}
	return uint32(w.Data.DType)
}

func (e *encoder) linear(l device.Linear) {
	const op = "Linear"
	if n := e.dev.rowsOfRun(l.X.Rows, l.Cost().FLOPs); n < l.X.Rows {
		e.splitLinear(l, n)
		return
	}
	p := product{
		Linear: l, m: l.X.Rows, n: l.W.Out, k: l.W.In,
		x: e.in(l.X), y: e.out(l.Y), add: e.in(l.Add), bias: e.in(l.Bias), gate: e.in(l.Gate),
		w: e.in(l.W.Data), scale: e.in(l.W.Scale), code: e.in(l.W.Code), nested: e.in(l.W.Nested), nestedCode: e.in(l.W.NestedCode),
	}
	if !e.begin(op, l.Cost(), p.m, l.X.Stride, l.Y.Stride, l.W.Data.Stride) || !e.readable(op, p.x, p.add) || !e.writable(op, p.y) {
		return
	}
	p.with = constants{a: p.x.dt, b: weightType(l.W), c: p.add.dt, y: p.y.dt, fn: uint32(l.Act)}
	p.with.flags = p.bias.flag(linearBias) | p.gate.flag(linearGate) | p.add.flag(linearAdd)
	switch {
	case l.W.Format == device.INT8:
		p.with.flags |= linearScale
	case l.W.Format == device.Dense && !e.readable(op, p.w):
		return
	}
	p.with.aligned = aligned(p.k|l.W.Block, p.x, p.w) // a multiple of 4 if both are
	if p.m <= skinnyRows {
		d := dispatch{kernel: "linear_rows", with: p.with, groups: [3]int{ceilDiv(p.n, 4), 1, 1}, threads: 128, moved: l.Cost().Bytes, sizes: p.sizes(), work: p.work()}
		e.linearCall(&p, d, order{})
		return
	}
	e.product(&p, e.variantOfLinear(&p))
}

// product records p by variant v, numbered as linearVariants says.
func (e *encoder) product(p *product, v linearVariant) {
	q := *p
	if v.expand {
		e.expand(&q)
	}
	if v.tile < 0 {
		e.matmul(&q)
		return
	}
	t := linearTiles[v.tile]
	wide, high := ceilDiv(q.n, t.cols), ceilDiv(q.m, t.rows)
	row, col := int64(t.rows)*q.rowBytes(), q.W.Bytes()/int64(wide)
	o := orderOf(wide, high, row, col, e.dev.cache)
	d := dispatch{
		kernel: e.dev.compute.linear[v.tile], with: q.with, groups: [3]int{wide * high, 1, 1}, threads: t.threads(), sizes: q.sizes(),
		work: q.work(), area: float64(q.m) * float64(q.n) / float64(wide*t.cols*high*t.rows),
	}
	d.moved = o.moved + q.rest()
	e.linearCall(&q, d, o)
}

func (p *product) sizes() [4]int { return [4]int{p.m, p.k, p.n} }

func (p *product) work() float64 { return 2 * float64(p.m) * float64(p.n) * float64(p.k) }

func (p *product) rowBytes() int64 { return int64(p.k) * int64(p.X.DType.Size()) }

// rest is how many bytes are moved beside X and W.
func (p *product) rest() int64 {
	return p.Bias.Bytes() + p.Gate.Bytes() + p.Add.Bytes() + p.Y.Bytes()
}

func (p *product) args(o order) linearArgs {
	return linearArgs{
		m: uint32(p.m), n: uint32(p.n), k: uint32(p.k), ldx: p.x.ld, ldw: p.w.ld, ldadd: p.add.ld, ldy: p.y.ld,
		block: uint32(p.W.Block), nestedBlock: uint32(p.W.NestedBlock), nestedOffset: p.W.NestedOffset,
		band: uint32(o.band), turned: numberOf(o.turned),
	}
}

func (e *encoder) linearCall(p *product, d dispatch, o order) {
	args := p.args(o)
	record(e, d, &args, p.x, p.w, p.scale, p.code, p.nested, p.nestedCode, p.bias, p.gate, p.add, p.y)
}

// expand records the weights' way to the type that the kernels multiply in, and
// gives p those. The scales of INT8 stay for the end.
func (e *encoder) expand(p *product) {
	to := e.temp(device.DType(e.dev.compute.dtype), p.n, p.k)
	dense := e.in(to)
	d := dispatch{kernel: e.dev.compute.expand, with: p.with, groups: [3]int{ceilDiv(p.k, elementsOfGroup), p.n, 1}, threads: 256}
	d.moved = p.W.Bytes() + to.Bytes()
	args := p.args(order{})
	record(e, d, &args, p.w, p.scale, p.code, p.nested, p.nestedCode, dense)
	p.W, p.w, p.with.b = device.DenseWeight(to), dense, dense.dt
	p.with.aligned = aligned(p.k, p.x, p.w)
}

// matmul records p, whose weights are of the type to multiply in, by the driver's own
// product, which goes straight to Y where nothing is added that is there.
func (e *encoder) matmul(p *product) {
	if p.x.dt != e.dev.compute.dtype {
		to := e.temp(device.DType(e.dev.compute.dtype), p.m, p.k)
		x := e.in(to)
		e.copy("move_convert", constants{a: p.x.dt, y: x.dt}, p.X, to, p.x, x)
		p.X, p.x = to, x
	}
	straight := p.Y.DType == device.F32 && p.y.rows16() && p.Add.Buf != p.Y.Buf
	to, y := p.Y, p.y
	if !straight {
		to = e.temp(device.F32, p.m, p.n)
		y = e.in(to)
	}
	sizes := matmulArgs{uint32(p.m), uint32(p.n), uint32(p.k), p.x.ld, p.w.ld, y.ld}
	d := dispatch{kernel: matmulKernel, with: constants{a: p.x.dt, b: p.w.dt, y: y.dt}, groups: [3]int{1, 1, 1}, threads: 1}
	d.sizes = p.sizes()
	d.work, d.moved = p.work(), p.X.Bytes()+p.W.Bytes()+to.Bytes()
	record(e, d, &sizes, p.x, p.w, y)
	if straight && p.with.flags == 0 && p.Act == device.Identity {
		return
	}
	args := p.args(order{})
	args.ldx = y.ld
	d = dispatch{kernel: "linear_finish", with: p.with, groups: [3]int{ceilDiv(p.n, elementsOfGroup), p.m, 1}, threads: 256}
	d.moved = to.Bytes() + p.rest()
	record(e, d, &args, y, p.scale, p.bias, p.gate, p.add, p.y)
}

// linearVariant is one way to run a Linear.
type linearVariant struct {
	tile   int  // of linearTiles; negative: the driver's own product
	expand bool // the weights first
}

// linearVariants are the tiles as they are, and some after an expansion of the weights.
var linearVariants = []linearVariant{
	{0, false}, {1, false}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}, {7, false}, {8, false}, {9, false}, {-1, false},
	{4, true}, {6, true}, {9, true}, {-1, true},
}

func (v linearVariant) String() string {
	s := "matmul"
	if v.tile >= 0 {
		s = linearTiles[v.tile].name(device.BF16)
	}
	if v.expand {
		return "expand " + s
	}
	return s
}

// fits reports whether v can run p on d.
func (v linearVariant) fits(p *product, d *gpu) bool {
	dtype := d.compute.dtype
	dense := v.expand || p.with.b == dtype
	if v.expand && p.with.b == dtype {
		return false // there is nothing to do
	}
	if v.tile < 0 {
		return d.matmul && dense && p.m >= 64 && p.n >= 64 && (v.expand || p.w.rows16()) && (p.x.dt != dtype || p.x.rows16()) && p.k*device.DType(dtype).Size()%16 == 0 && p.n%4 == 0
	}
	direct := linearTiles[v.tile].direct
	return (direct < 1 || dense && p.n%8 == 0 && p.k%8 == 0) && (direct < 2 || p.x.dt == dtype && p.m%8 == 0)
}

// variantOfLinear is the variant to run p by: the one that was chosen for its shape.
func (e *encoder) variantOfLinear(p *product) linearVariant {
	fixed := linearVariant{tile: fixedTile(linearTiles, p.n)}
	if v := e.dev.favoured.linear; v >= 0 && linearVariants[v].fits(p, e.dev) {
		fixed = linearVariants[v]
	}
	if e.dev.tuner == nil {
		return fixed
	}
	s := shape{op: opLinear, sizes: [4]int{p.m, p.n, p.k}, with: p.with}
	if v, ok := e.dev.tuner.chosen(s); ok {
		return linearVariants[v]
	}
	return e.timeLinear(*p, s, fixed)
}

func (e *encoder) timeLinear(p product, s shape, fixed linearVariant) linearVariant {
	var c contest
	for i, v := range linearVariants {
		if v == fixed {
			c.fixed = i
		}
		if v.fits(&p, e.dev) {
			c.add(i, v.String())
		}
	}
	c.record = func(e *encoder, v int) { e.product(&p, linearVariants[v]) }
	c.trial = func(trial *encoder, v int) {
		q := p
		q.m = trialRows(p.m, p.n, p.Y.DType, splitRows)
		q.X, q.Y = p.X.RowRange(0, q.m), trial.temp(p.Y.DType, q.m, p.n)
		q.y = trial.in(q.Y)
		switch p.Add.Buf {
		case nil:
		case p.Y.Buf:
			q.Add, q.add, q.with.c = q.Y, q.y, q.y.dt
		default:
			q.Add = p.Add.RowRange(0, q.m)
		}
		trial.product(&q, linearVariants[v])
	}
	return linearVariants[e.time(s, c)]
}
