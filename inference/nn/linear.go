package nn

import "gimbal/inference/device"

// Linear is a layer: x·Wᵀ + bias.
type Linear struct {
	Weight device.Weight // [out, in]
	Bias   device.Mat    // [1, out]; zero for none
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
	enc.Record(device.Linear{X: x, Y: y, W: l.Weight, Bias: l.Bias, Act: e.Act, Gate: e.Gate, Add: e.Add})
}
