//go:build !darwin

package metalkit

import (
	"context"
	"errors"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, openSplit(t), devicetest.Options{Product: productBound, Parallel: true})
}

// splits are operations that are longer than a run: as whole ones by their work.
var splits = []struct {
	name   string
	work   float64 // of a run
	record func(e device.Encoder, in func(rows, cols int) device.Mat, out func(rows, cols int) device.Mat)
}{
	{"Linear", 2 * splitRows * 24 * 16, func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
		const rows = 3*splitRows + 5
		e.Record(device.Linear{X: in(rows, 24), W: device.DenseWeight(in(16, 24)), Y: out(rows, 16), Gate: in(1, 16), Add: in(rows, 16)})
	}},
	{"Attention", 4 * splitRows * 70 * 16, func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
		const rows = 3*splitRows + 5
		e.Record(device.Attention{Q: in(rows, 16), K: in(70, 16), V: in(70, 16), O: out(rows, 16), Heads: 2, Scale: 0.3, KeyBias: in(1, 70)})
	}},
	{"Attention with relative bias", 4 * splitRows * 70 * 16, func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
		const rows = 3*splitRows + 5
		e.Record(device.Attention{
			Q: in(rows, 16), K: in(70, 16), V: in(70, 16), O: out(rows, 16), Heads: 2, Scale: 0.3, RelBias: in(2, rows+70-1),
		})
	}},
	{"Attention of wide heads in place", 2.5 * 4 * splitRows * 70 * 264, func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
		const rows = 2*splitRows + 5
		o := out(rows, 264)
		e.Record(device.Move{X: in(rows, 264), Y: o})
		e.Record(device.Attention{Q: o, K: in(70, 264), V: in(70, 264), O: o, Heads: 1, Scale: 0.1})
	}},
	{"Conv by frames", 2 * 2 * 5 * 6 * 4 * 3 * 27, conv(device.Conv{KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}, 5, 6, 3)},
	{"Conv by rows", 2 * 2 * 6 * 4 * 3 * 27, conv(device.Conv{KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}, 5, 6, 2)},
	{"Conv with strides", 1, conv(device.Conv{KT: 3, KH: 3, KW: 3, StrideT: 2, Stride: 2, PadH: 1, PadW: 0}, 3, 2, 1)},
	{"Conv of two frames", 2 * 5 * 6 * 4 * 3 * 18, conv(device.Conv{KT: 2, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1}, 5, 6, 1)},
	{"Conv with upsampling", 3 * 2 * 12 * 4 * 3 * 9, conv(device.Conv{KT: 1, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1, Upsample: true}, 10, 12, 0)},
}

// conv records c over 6 frames of 5x6 pixels of 3 channels, and so many before them, to
// 4 channels of h x w pixels.
func conv(c device.Conv, h, w, before int) func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
	frames := func(m device.Mat, h, w, c int) device.Frames {
		return device.Frames{Buf: m.Buf, DType: m.DType, T: m.Rows, H: h, W: w, C: c, FrameStride: m.Stride}
	}
	return func(e device.Encoder, in, out func(rows, cols int) device.Mat) {
		c := c
		c.X = frames(in(6, 5*6*3), 5, 6, 3)
		for i := range before {
			c.Prev[1-i%2] = frames(in(1, 5*6*3), 5, 6, 3)
		}
		n := 6 / c.StrideT
		c.W, c.Bias = in(4, 3*c.KT*c.KH*c.KW), in(1, 4)
		c.Add, c.Y = frames(in(n, h*w*4), h, w, 4), frames(out(n, h*w*4), h, w, 4)
		e.Record(c)
	}
}

// TestSplitSame gives operations in one run and in several, and wants the same bits.
func TestSplitSame(t *testing.T) {
	t.Parallel()
	for _, c := range splits {
		t.Run(c.name, func(t *testing.T) {
			var results [2][]float32
			var calls [2]int
			for i, most := range []float64{0, c.work} {
				dev := openTest(t, Options{})
				dev.limits.CommandBufferFLOPs = most
				results[i], calls[i] = runSplit(t, dev, c.record)
			}
			if calls[1] < calls[0]+2 {
				t.Errorf("%d calls in runs of any length, %d in short ones", calls[0], calls[1])
			}
			for j, v := range results[0] {
				if v != results[1][j] || v != v {
					t.Fatalf("element %d is %g in one run and %g in several", j, v, results[1][j])
				}
			}
		})
	}
}

// runSplit runs what record records and returns its result and how many calls it took.
func runSplit(t *testing.T, dev *gpu, record func(e device.Encoder, in, out func(rows, cols int) device.Mat)) (result []float32, calls int) {
	t.Helper()
	// Matrices are made by recording once, and read by doing so again.
	var made []device.Mat
	var y device.Mat
	seed := 0
	in := func(rows, cols int) device.Mat {
		m := allocMat(t, dev, device.F32, rows, cols)
		values := make([]float32, rows*cols)
		for j := range values {
			seed++
			values[j] = float32(seed*seed%101)/50 - 1
		}
		fill(t, dev, m, values)
		made = append(made, m)
		return m
	}
	out := func(rows, cols int) device.Mat {
		y = in(rows, cols)
		return y
	}
	record(new(counting), in, out)
	again := func(int, int) device.Mat {
		m := made[0]
		made = made[1:]
		return m
	}
	err := dev.Do(t.Context(), "test", func(e device.Encoder) {
		record(e, again, again)
		calls = len(dev.enc.dispatches)
	})
	if err != nil {
		t.Fatal(err)
	}
	result = make([]float32, y.Rows*y.Cols)
	if err := dev.Read(t.Context(), device.Bytes(result), y.Buf); err != nil {
		t.Fatal(err)
	}
	return result, calls
}

// TestCancelBetweenParts ends the context in the first run of an operation that takes
// several.
func TestCancelBetweenParts(t *testing.T) {
	for _, c := range splits {
		t.Run(c.name, func(t *testing.T) {
			drv := &nullDriver{max: driver.Limits{CommandBufferFLOPs: c.work}}
			dev, _ := openNull(t, drv, 1, 1)
			var m []device.Mat
			in := func(rows, cols int) device.Mat {
				m = append(m, allocMat(t, dev, device.F32, rows, cols))
				return m[len(m)-1]
			}
			ctx, cancel := context.WithCancel(t.Context())
			drv.ran = cancel
			err := dev.Do(ctx, "test", func(e device.Encoder) { c.record(e, in, in) })
			if left := len(dev.enc.dispatches) - drv.runs[0]; !errors.Is(err, context.Canceled) || len(drv.runs) != 1 || left == 0 {
				t.Errorf("runs of %v and %d calls after them, %v; want one, some and Canceled", drv.runs, left, err)
			}
		})
	}
}
