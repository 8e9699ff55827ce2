package metalkit

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
	"gimbal/metalkit/internal/driver/dry"
	"gimbal/metalkit/internal/roofline"
)

// openRoofline returns a session at the real sizes on a chip, for a clip of so many frames at
// 480x832.
func openRoofline(tb testing.TB, chip string, frames int) (*Roofline, *wan.Model, *wan.Session) {
	tb.Helper()
	c, ok := FindChip(chip)
	if !ok {
		tb.Fatalf("no chip %s", chip)
	}
	roofline, err := OpenRoofline(c, device.BF16)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { roofline.Close() })
	model, s := sessionOn(tb, roofline, frames)
	return roofline, model, s
}

// sessionOn returns a session at the real sizes on a dry device.
func sessionOn(tb testing.TB, dev device.Device, frames int) (*wan.Model, *wan.Session) {
	tb.Helper()
	expert := weights.LingBotWorld.DryExpert()
	model, err := wan.Load(tb.Context(), dev, expert.Store, expert.Config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(model.Close)
	s, err := model.NewSession(tb.Context(), wan.Input{
		F: (frames-1)/4 + 1, H: 480 / 8, W: 832 / 8, Contexts: []wan.Context{{Tokens: 512}}, Camera: true, Reuse: wan.AllReuse,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return model, s
}

// forward returns what one forward does.
func forward(t *testing.T, chip string, frames int) (events []Event, layers int) {
	t.Helper()
	roofline, model, s := openRoofline(t, chip, frames)
	roofline.Take()
	if err := s.Velocity(t.Context(), nil, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	return roofline.Take(), model.Config.NumLayers
}

// overrun is an operation that moves more than 1.5 times its least bytes.
type overrun struct {
	cache int // MB of the chips' system-level cache, of which three quarters are counted on
	op    string
	ratio float64 // of the chip with the most
}

// overruns are those of a step at 41 frames. All are of operations that are as fast with a
// third of the memory's bandwidth, which TestStep sees to. Some of each are those of parts, as
// command buffers are of 0.1 s: what they share is read anew by each.
//
// A product keeps some rows of tiles of one factor, as deep as they are, and reads the other
// one for each such band. 64 rows of ffn.2's inputs, 13824 deep, take 1.77 MB of bf16:
//
//	 8 MB: 3 such rows fit, so W's 142 MB are read 269/3 = 90 times, or 27 times X's
//	       474 MB if the columns are banded: 12.8 GB, and 0.8 of the rest; 1.3 is the least
//	48 MB: 21 fit: 13 times W's 142 MB, and 1.2 GB; or 4 columns' bands and X: 2.7 GB
//
// Bands of half the depth would be read half as often, but the sums in F32, of 351 MB,
// would then go out and come in once more for each half. Nor could an order help that did not
// keep whole rows: a cache of S elements lets a product of m, n and k come by with
// 2mnk/sqrt(S) - 2S elements (Smith et al., arXiv 1702.02017), which makes ffn.0's
// 792 MB 2.4 GB on 8 MB, and 1.3 GB, 1.6 times as much, on 48.
//
// Attention reads all keys and values of a head, 17160 x 128 of both in BF16, 8.8 MB,
// for each wave of as many queries as run at once, unless they fit. They do from 12 MB on, and
// are read once for each of the parts then: 13 on an M1 Pro, 3 on an M3 Ultra. The least of a product
// whose results are in BF16, as those that make them, is less.
var overruns = []overrun{
	{8, "Linear 17160x13824x5120", 11.198},
	{8, "Linear 17160x5120x13824", 7.587},
	{8, "Linear 17160x5120x5120", 4.818},
	{8, "Attention 17160x17160x128x40", 13.8},
	{12, "Linear 17160x13824x5120", 6.690},
	{12, "Linear 17160x5120x13824", 4.398},
	{12, "Linear 17160x5120x5120", 3.314},
	{12, "Attention 17160x17160x128x40", 4.6},
	{24, "Linear 17160x13824x5120", 3.899},
	{24, "Linear 17160x5120x13824", 3.239},
	{24, "Linear 17160x5120x5120", 2.004},
	{24, "Attention 17160x17160x128x40", 5.8},
	{48, "Linear 17160x13824x5120", 2.257},
	{48, "Linear 17160x5120x13824", 1.935},
	{48, "Attention 17160x17160x128x40", 3},
	{96, "Attention 17160x17160x128x40", 1.8},
}

// opName is o's kind and sizes.
func opName(o Operation) string {
	sizes := o.Sizes[:]
	for sizes[len(sizes)-1] == 0 {
		sizes = sizes[:len(sizes)-1]
	}
	return o.Kind + " " + strings.ReplaceAll(strings.Trim(fmt.Sprint(sizes), "[]"), " ", "x")
}

// TestStep holds the launch plans of a step at 41 frames to what they promise, on every
// chip.
func TestStep(t *testing.T) {
	found := map[overrun]float64{} // by cache and operation
	for _, c := range Chips() {
		events, layers := forward(t, c.Name, 41)
		var all, products float64
		var flops int64
		dos := map[string]int{}
		for i, e := range events {
			if (e.Name == "Write" || e.Name == "Read") && i > 0 && i < len(events)-1 {
				t.Errorf("%s: event %d of %d: the host has a %s between the submissions", c.Name, i, len(events), e.Name)
			}
			dos[e.Name]++
			for _, o := range e.Operations {
				ratio, waits := float64(o.Moved)/float64(o.Least.Bytes), float64(o.Moved)/c.Bandwidth/o.Seconds
				if ratio < 1 {
					t.Errorf("%s: %s: %s moves %.3f times its least bytes", c.Name, e.Name, opName(o), ratio)
				}
				if over := (overrun{cache: int(c.Cache >> 20), op: opName(o)}); ratio > 1.5 {
					found[over] = max(found[over], ratio)
					if waits > 1./3 {
						t.Errorf("%s: %s: %s moves %.3f times its least bytes, %.2f of its time", c.Name, e.Name, opName(o), ratio, waits)
					}
				}
				flops += o.Least.FLOPs
				if all += o.Seconds; o.Kind == "Linear" || o.Kind == "Attention" {
					products += o.Seconds
				}
			}
		}
		for i := range layers {
			if name := fmt.Sprintf("blocks.%d", i); dos[name] != 1 {
				t.Errorf("%s: %d submissions of %s", c.Name, dos[name], name)
			}
		}
		if products < 0.9*all {
			t.Errorf("%s: products take %.3g s of %.3g", c.Name, products, all)
		}
		t.Logf("%s: %.1f TFLOP, %.2f s, %.1f %% of them in products", c.Name, float64(flops)/1e12, all, 100*products/all)
		if flops < 657e12 || flops > 661e12 { // 659 by hand, with every reuse
			t.Errorf("%s: a forward has %.1f TFLOP", c.Name, float64(flops)/1e12)
		}
	}
	for _, want := range overruns {
		key := overrun{cache: want.cache, op: want.op}
		if got := found[key]; math.Abs(got-want.ratio) > 0.001 {
			t.Errorf("with %d MB of cache %s moves %.3f times its least bytes, in the list are %.3f", want.cache, want.op, got, want.ratio)
		}
		delete(found, key)
	}
	for key, ratio := range found {
		t.Errorf("with %d MB of cache %s moves %.3f times its least bytes", key.cache, key.op, ratio)
	}
}

// TestBlockIsFewRuns on an M3 Ultra at 41 frames: of 0.58 s, and one launch for each operation
// that takes less than a run.
func TestBlockIsFewRuns(t *testing.T) {
	events, _ := forward(t, "M3 Ultra", 41)
	for _, e := range events {
		if len(e.Operations) > 0 && e.CommandBuffers > 7 {
			t.Errorf("%s takes %d command buffers", e.Name, e.CommandBuffers)
		}
		for _, o := range e.Operations {
			if most := 1 + int(o.Seconds/roofline.CommandBufferSeconds); o.Dispatches > most {
				t.Errorf("%s: %s of %.2f s takes %d dispatches", e.Name, opName(o), o.Seconds, o.Dispatches)
			}
		}
	}
}

// TestRunsAreShort plans everything that a clip of 81 frames takes on the slowest chip. An
// end of the context waits for one run, and so does the screen.
func TestRunsAreShort(t *testing.T) {
	const most = 1.25 * roofline.CommandBufferSeconds // tiles do not fill all of the GPU
	roofline, _, s := openRoofline(t, "M1", 81)
	text, err := umt5.Load(t.Context(), roofline, weights.LingBotWorld.DryText())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	video, err := vae.Load(t.Context(), roofline, weights.LingBotWorld.DryVAE(), vae.WanStatistics())
	if err != nil {
		t.Fatal(err)
	}
	defer video.Close()
	decode := func(chunk int) func() error {
		return func() error {
			return video.Decode(t.Context(), nil, 21, 480/8, 832/8, vae.DecodeOptions{Chunk: chunk}, func(int, []float32) error { return nil })
		}
	}
	for _, part := range []struct {
		name   string
		splits string // the kind of an operation that takes more than a second
		plan   func() error
	}{
		{"camera and prompt", "", func() error { return nil }},
		{"forward", "Attention", func() error { return s.Velocity(t.Context(), nil, 0, 0, nil) }},
		{"text", "", func() error { _, err := text.Encode(t.Context(), make([]int32, 512)); return err }},
		{"picture", "", func() error { _, err := video.Encode(t.Context(), nil, 81, 480, 832, 0); return err }},
		{"decoding a latent frame at a time", "", decode(1)},
		{"decoding at once", "Conv", decode(0)},
	} {
		if err := part.plan(); err != nil {
			t.Fatal(part.name, err)
		}
		longest, operation, kinds := 0.0, 0.0, map[string]bool{}
		for _, e := range roofline.Take() {
			longest = max(longest, e.Longest)
			for _, o := range e.Operations {
				operation = max(operation, o.Seconds)
				kinds[o.Kind] = kinds[o.Kind] || o.Seconds > 1
			}
		}
		t.Logf("%s: the longest operation takes %.2f s, the longest run %.2f", part.name, operation, longest)
		if longest == 0 || longest > most || part.splits != "" && !kinds[part.splits] {
			t.Errorf("%s: a run of %.2f s, operations of more than a second: %v", part.name, longest, kinds)
		}
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
	chip, _ := FindChip("M3 Ultra")
	model, s := sessionOn(b, hollowOver(openOver(b, dry.New(planLimits(chip)), Options{Compute: device.BF16})), 41)
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Velocity(b.Context(), nil, 0, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(b.Elapsed().Seconds()*1e6/float64(b.N*model.Config.NumLayers), "µs/block")
}
