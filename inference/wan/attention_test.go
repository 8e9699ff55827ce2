package wan_test

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
)

// TestAttentionIn16Bits measures what queries, keys and values in 16 bits cost.
func TestAttentionIn16Bits(t *testing.T) {
	dev := openDevice(t)
	for dtype, most := range map[device.DType]float64{device.F32: bound, device.F16: 1e-3, device.BF16: 1e-2} {
		for _, c := range ditCases(t) {
			for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
				in := c.in
				in.Reuse, in.AttentionType = reuse, dtype
				got := velocity(t, newSession(t, loadModel(t, dev, openExpert(t, c.expert)), in), c.x, c.t, 0)
				t.Logf("%s in %v: %.2g", c.Name, dtype, golden.RelL2(got, c.out))
				golden.Check(t, c.Name+" in "+dtype.String(), got, c.out, most)
			}
		}
	}
}
