package metalkit

import (
	"fmt"
	"testing"

	"gimbal/inference/checkpoint"
	"gimbal/inference/device"
	"gimbal/inference/shapes"
	"gimbal/inference/wan"
)

// onPaper returns a session at the real sizes on a chip, for a clip of so many frames at
// 480x832.
func onPaper(tb testing.TB, chip string, frames int) (*Paper, *wan.Model, *wan.Session) {
	tb.Helper()
	c, ok := FindChip(chip)
	if !ok {
		tb.Fatalf("no chip %s", chip)
	}
	paper, err := OpenPaper(c, device.BF16)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { paper.Close() })
	config, tensors := shapes.Expert(shapes.Real)
	model, err := wan.Load(tb.Context(), paper, checkpoint.OfShapes("real sizes", tensors), config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(model.Close)
	s, err := model.NewDrySession(tb.Context(), wan.Size{
		F: (frames-1)/4 + 1, H: 480 / 8, W: 832 / 8, Tokens: []int{512}, Camera: true, Reuse: wan.AllReuse,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return paper, model, s
}

// forward returns what one forward does.
func forward(t *testing.T, chip string, frames int) (events []Event, layers int) {
	t.Helper()
	paper, model, s := onPaper(t, chip, frames)
	paper.Take()
	if err := s.DryForward(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return paper.Take(), model.Config.NumLayers
}

// TestStep holds the launch plans of a step at 41 frames to what they promise.
func TestStep(t *testing.T) {
	events, layers := forward(t, "M3 Ultra", 41)
	var all, products float64
	var flops int64
	dos := map[string]int{}
	for i, e := range events {
		if (e.Name == "Write" || e.Name == "Read") && i > 0 && i < len(events)-1 {
			t.Errorf("event %d of %d: the host has a %s between the submissions", i, len(events), e.Name)
		}
		dos[e.Name]++
		if len(e.Operations) > 0 && e.Runs != 1 {
			t.Errorf("%s takes %d runs", e.Name, e.Runs)
		}
		for _, o := range e.Operations {
			if o.Launches != 1 {
				t.Errorf("%s: %s %v takes %d launches", e.Name, o.Kind, o.Sizes, o.Launches)
			}
			if ratio := float64(o.Moved) / float64(o.Least.Bytes); ratio < 1 || ratio > 1.5 {
				t.Errorf("%s: %s %v moves %.3f times its least bytes", e.Name, o.Kind, o.Sizes, ratio)
			}
			flops += o.Least.FLOPs
			if all += o.Seconds; o.Kind == "Linear" || o.Kind == "Attention" {
				products += o.Seconds
			}
		}
	}
	for i := range layers {
		if name := fmt.Sprintf("blocks.%d", i); dos[name] != 1 {
			t.Errorf("%d submissions of %s", dos[name], name)
		}
	}
	if products < 0.9*all {
		t.Errorf("products take %.3g s of %.3g", products, all)
	}
	t.Logf("%.1f TFLOP, %.2f s, %.1f %% of them in products", float64(flops)/1e12, all, 100*products/all)
	if flops < 657e12 || flops > 661e12 { // 659 by hand, with every reuse
		t.Errorf("a forward has %.1f TFLOP", float64(flops)/1e12)
	}
}

// TestChips plans steps of several lengths for every chip.
func TestChips(t *testing.T) {
	for _, c := range Chips() {
		var last float64
		for _, frames := range []int{5, 41, 81} {
			var all, least float64
			events, _ := forward(t, c.Name, frames)
			for _, e := range events {
				for _, o := range e.Operations {
					all += o.Seconds
					least += float64(o.Least.FLOPs) / c.FLOPS()
					if o.Occupancy <= 0 || o.Occupancy > 1 || o.Moved < o.Least.Bytes {
						t.Errorf("%s, %d frames: %s has %+v", c.Name, frames, e.Name, o)
					}
				}
			}
			if all < least || all > 1.25*least || all < last {
				t.Errorf("%s, %d frames: %.3g s, at peak %.3g, the shorter clip %.3g", c.Name, frames, all, least, last)
			}
			last = all
		}
	}
	if _, ok := FindChip("apple m2 max"); !ok {
		t.Error("no Apple M2 Max")
	}
	if _, ok := FindChip("M2 Maximum"); ok {
		t.Error("there is an M2 Maximum")
	}
}

// BenchmarkForward records forwards of the real sizes over a driver that runs nothing,
// and tells the time of one block.
func BenchmarkForward(b *testing.B) {
	paper, model, s := onPaper(b, "M3 Ultra", 41)
	paper.gpu.observe = nil
	b.ReportAllocs()
	for b.Loop() {
		paper.events = paper.events[:0]
		if err := s.DryForward(b.Context(), 0); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*model.Config.NumLayers), "µs/block")
}
