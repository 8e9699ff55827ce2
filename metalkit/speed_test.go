//go:build !darwin

package metalkit

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"gimbal/inference/device"
)

// TestSpeed times every variant of a product, of the size that GIMBAL_SPEED gives as
// ROWSxINxOUT, in F32 and BF16, and adds rows for the report of command proof to the
// file that GIMBAL_ROWS names.
func TestSpeed(t *testing.T) {
	var m, k, n int
	if _, err := fmt.Sscanf(os.Getenv("GIMBAL_SPEED"), "%dx%dx%d", &m, &k, &n); err != nil {
		t.Skip("it is for a GPU: set GIMBAL_SPEED to ROWSxINxOUT")
	}
	file, err := os.OpenFile(os.Getenv("GIMBAL_ROWS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows := json.NewEncoder(file)
	for _, compute := range []device.DType{device.F32, device.BF16} {
		dev := openTest(t, Options{Compute: compute})
		var views [3]device.Mat
		for i, d := range []device.Desc{{DType: compute, Shape: []int{m, k}}, {DType: compute, Shape: []int{n, k}}, {DType: device.F32, Shape: []int{m, n}}} {
			b, err := dev.Alloc(d)
			if err != nil {
				t.Fatal(err)
			}
			views[i] = device.AsMat(b)
		}
		op := device.Linear{X: views[0], W: device.DenseWeight(views[1]), Y: views[2]}
		for i, v := range linearVariants() {
			if v.tile == matmulTile || v.expand {
				continue
			}
			dev.forced = forced{i, -1, -1}
			least := math.Inf(1)
			for range 4 { // the first one warms up
				began := time.Now()
				if err := dev.Do(t.Context(), "speed", func(e device.Encoder) { e.Record(op) }); err != nil {
					t.Fatal(err)
				}
				least = min(least, time.Since(began).Seconds())
			}
			row := map[string]any{
				"stage": "variants", "who": "gimbal", "case": fmt.Sprintf("product %dx%dx%d, %s", m, k, n, strings.SplitN(dev.variants.linear[v.tile].kernel, "_", 3)[2]),
				"compute": strings.ToLower(compute.String()), "seconds": least, "device": dev.Info().Name,
				"tflops": float64(op.Cost().FLOPs) / least / 1e12, "finished": time.Now().UTC(),
			}
			t.Log(row)
			if err := rows.Encode(row); err != nil {
				t.Fatal(err)
			}
		}
	}
}
