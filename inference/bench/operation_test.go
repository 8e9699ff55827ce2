package bench

import (
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
)

// TestOperationWeights makes and runs a product with weights of every kind.
func TestOperationWeights(t *testing.T) {
	kinds := []string{"f32", "f16", "bf16", "f8_e4m3", "int8", "nf4", "fp8"}
	for _, f := range device.BlockFormats() {
		kinds = append(kinds, strings.ToLower(f.String()))
	}
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			operands := NewOperands(t.Context(), dev)
			defer operands.Release()
			op, err := Operation{Op: "linear", Sizes: []int{3, 256, 5}, X: "f32", Y: "f32", Weights: kind}.Make(operands)
			if err == nil {
				err = dev.Do(t.Context(), kind, func(e device.Encoder) { e.Record(op) })
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	operands := NewOperands(t.Context(), dev)
	defer operands.Release()
	_, err = Operation{Op: "linear", Sizes: []int{3, 256, 5}, X: "f32", Y: "f32", Weights: "q9_k"}.Make(operands)
	if err == nil || !strings.Contains(err.Error(), "q9_k") {
		t.Error(err)
	}
}
