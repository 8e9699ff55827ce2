package wan_test

import (
	"fmt"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
)

// TestAttentionInChunks compares attention in chunks of queries with attention of
// all at once: they differ by rounding only, where BLAS takes another order for fewer
// rows.
func TestAttentionInChunks(t *testing.T) {
	dev := openDevice(t)
	for _, c := range ditCases(t) {
		m := loadModel(t, dev, openExpert(t, c.expert))
		whole := velocity(t, newSession(t, m, c.in), c.x, c.t, 0)
		for _, chunk := range []int{1, 7, 16, 48, len(c.x)} {
			in := c.in
			in.Attention.Chunk = chunk
			got := velocity(t, newSession(t, m, in), c.x, c.t, 0)
			golden.Check(t, fmt.Sprintf("%s in chunks of %d", c.Name, chunk), got, whole, 1e-6)
		}
	}
}

// TestAttentionIn16Bits measures what queries, keys and values in 16 bits cost.
func TestAttentionIn16Bits(t *testing.T) {
	dev := openDevice(t)
	for dtype, most := range map[device.DType]float64{device.F32: bound, device.F16: 1e-3, device.BF16: 1e-2} {
		for _, c := range ditCases(t) {
			for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
				in := c.in
				in.Reuse, in.Attention.DType = reuse, dtype
				got := velocity(t, newSession(t, loadModel(t, dev, openExpert(t, c.expert)), in), c.x, c.t, 0)
				t.Logf("%s in %v: %.2g", c.Name, dtype, golden.RelL2(got, c.out))
				golden.Check(t, c.Name+" in "+dtype.String(), got, c.out, most)
			}
		}
	}
}
