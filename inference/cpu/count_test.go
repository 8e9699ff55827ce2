package cpu

import (
	"testing"

	"gimbal/inference/device"
)

// TestCount compares the memory that operations are said to take with what they
// take.
func TestCount(t *testing.T) {
	for _, threads := range []int{1, 3} {
		r := open(t, threads)
		d := r.Device.(*cpuDevice)
		count := d.Count()
		x, row := r.mat(device.F32, 700, 300), r.mat(device.F32, 1, 300)
		y, narrow := r.mat(device.F32, 700, 400), r.mat(device.BF16, 300, 700)
		w := device.DenseWeight(r.mat(device.F16, 400, 300))
		ops := []func(device.Encoder){
			func(e device.Encoder) {
				e.Record(device.Norm{X: x, Y: x, Kind: device.RMSNorm, Weight: row, Scale: row})
			},
			func(e device.Encoder) { e.Record(device.Linear{X: x, Y: y, Add: y, W: w}) },
			func(e device.Encoder) { e.Record(device.Move{X: x, Y: narrow, Transpose: true}) },
		}
		for _, op := range work(r, 1) {
			ops = append(ops, op.op)
		}
		for i, op := range ops {
			op(count)
			r.do(op)
			var held int64
			for _, w := range d.workers {
				held += w.scratch.size
			}
			for _, m := range d.temps {
				held += m.size
			}
			if got := count.Scratch(); got != held {
				t.Errorf("%d threads, after %d operations: %d bytes counted, %d held", threads, i+1, got, held)
			}
		}
	}
}
