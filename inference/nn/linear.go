package nn

import "gimbal/inference/device"

// Linear is a layer: x·Wᵀ + bias.
type Linear struct {
	Weight device.Weight // [out, in]
	Bias   device.Mat    // [1, out]; zero for none
	Sides  []Side        // products that are added to it
	Narrow *Narrow       // where those of Sides with Down work
}

// Side is a product beside that of a layer: (Scale * (x·Downᵀ))·Upᵀ, or x·Upᵀ without Down.
// That is what a LoRA is to a layer whose weight stays as it is, whatever its format: exact,
// and at rank r for 2*r*(in+out) operations a row.
type Side struct {
	Down  device.Weight // [rank, in]; zero for none
	Up    device.Weight // [out, rank], or [out, in] without Down
	Scale device.Mat    // [1, rank]; zero for 1
}

// Narrow is memory for x·Downᵀ that layers share: one of them works at a time.
type Narrow struct{ Mat device.Mat }

// of returns a matrix [rows, cols] in n's memory.
func (n *Narrow) of(rows, cols int) device.Mat {
	return device.Mat{Buf: n.Mat.Buf, DType: n.Mat.DType, Rows: rows, Cols: cols, Stride: cols}
}

// Rank returns how many columns of Narrow's the layer needs.
func (l Linear) Rank() (most int) {
	for _, s := range l.Sides {
		most = max(most, s.Down.Out)
	}
	return most
}

// Epilogue is what becomes of a layer's result on its way to y: Add + Gate * Act(result).
// The zero value leaves it as it is.
type Epilogue struct {
	Act  device.Func
	Gate device.Mat // [1, out]
	Add  device.Mat // [rows, out]; may be y
}

// Record records y = epilogue(x·Wᵀ + bias) for x, [rows, in], and y, [rows, out]. It may take
// several operations.
func (l Linear) Record(enc device.Encoder, x, y device.Mat, e Epilogue) {
	if len(l.Sides) == 0 {
		enc.Record(device.Linear{X: x, Y: y, W: l.Weight, Bias: l.Bias, Act: e.Act, Gate: e.Gate, Add: e.Add})
		return
	}
	if e.Act != device.Identity && (!e.Gate.IsZero() || !e.Add.IsZero()) {
		panic("nn: a layer with sides, a function and more behind it") // none of the models has one
	}
	// What is added goes first: every product is then added to y on its way there.
	add := e.Add
	for _, s := range l.Sides {
		in := x
		if s.Down.Out > 0 {
			in = l.Narrow.of(x.Rows, s.Down.Out)
			enc.Record(device.Linear{X: x, Y: in, W: s.Down, Gate: s.Scale})
		}
		enc.Record(device.Linear{X: in, Y: y, W: s.Up, Gate: e.Gate, Add: add})
		add = y
	}
	enc.Record(device.Linear{X: x, Y: y, W: l.Weight, Bias: l.Bias, Gate: e.Gate, Add: y})
	if e.Act != device.Identity {
		enc.Record(device.Unary{X: y, Y: y, F: e.Act})
	}
}
