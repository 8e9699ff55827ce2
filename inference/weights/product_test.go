package weights_test

import (
	"context"
	"encoding/binary"
	"math"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestProducts multiplies with the quantised weights on the CPU device.
func TestProducts(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	for _, c := range golden.Cases(t, "quant_linear") {
		w, shape := c.F32(t, "weight")
		x, xShape := c.F32(t, "x")
		blocks, _ := c.F32(t, "nf4_absmax")
		out, in := shape[0], shape[1]

		block := len(w) / len(blocks)
		packed, absmax := make([]byte, len(w)/2), make([]float32, len(blocks))
		weights.EncodeNF4(packed, absmax, w, block)
		codes, scale := make([]byte, len(w)), make([]float32, out)
		weights.EncodeINT8(codes, scale, w)

		for name, weight := range map[string]device.Weight{
			"y_fp32": device.DenseWeight(mat(t, dev, device.F32, out, in, device.Bytes(w))),
			"y_int8": {Format: device.INT8, Data: mat(t, dev, device.I8, out, in, codes), Out: out, In: in,
				Scale: mat(t, dev, device.F32, 1, out, device.Bytes(scale))},
			"y_nf4": {Format: device.NF4, Data: mat(t, dev, device.U8, 1, len(packed), packed), Out: out, In: in,
				Scale: mat(t, dev, device.F32, 1, len(absmax), device.Bytes(absmax)),
				Block: block, Code: mat(t, dev, device.F32, 1, 16, device.Bytes(weights.NF4Code[:]))},
		} {
			want, _ := c.F32(t, name)
			input := mat(t, dev, device.F32, xShape[0], in, device.Bytes(x))
			buf, err := dev.Alloc(device.Desc{Label: name, DType: device.F32, Shape: []int{xShape[0], out}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(buf.Release)
			ctx := context.Background()
			err = dev.Do(ctx, name, func(e device.Encoder) { e.Record(device.Linear{X: input, W: weight, Y: device.AsMat(buf)}) })
			if err != nil {
				t.Fatal(err)
			}
			result := make([]byte, 4*len(want))
			if err := dev.Read(ctx, result, buf); err != nil {
				t.Fatal(err)
			}
			got := make([]float32, len(want))
			for i := range got {
				got[i] = math.Float32frombits(binary.LittleEndian.Uint32(result[4*i:]))
			}
			golden.Check(t, c.Name+" "+name, got, want, 1e-5)
		}
	}
}

// mat maps data as a matrix.
func mat(t *testing.T, dev device.Device, dtype device.DType, rows, cols int, data []byte) device.Mat {
	t.Helper()
	buf, err := dev.Map(device.Desc{DType: dtype, Shape: []int{rows, cols}}, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(buf.Release)
	return device.AsMat(buf)
}
