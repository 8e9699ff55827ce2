package wan_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/plan"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// causalCase is one reference case of a causal model.
type causalCase struct {
	golden.Case
	Checkpoint, Folder  string
	Chunk, Frames, H, W int
	T                   []float64
	Window              int `json:"local_attn_size"`
	Sink                int `json:"sink_size"`
	KVTokens            int `json:"kv_tokens"`
	FrameTokens         int `json:"frame_tokens"`
	MaxAttention        int `json:"max_attention_size"`
	Ends                [][2]int
	BlocksOf            []int `json:"blocks_of"`
	Switch              *int
	x, x0, y, plucker   []float32
	context, context2   wan.Context
	in                  wan.Input
}

func causalCases(tb testing.TB) []causalCase {
	tb.Helper()
	var cases []causalCase
	for _, g := range golden.CausalCases(tb, "causal_") {
		c := causalCase{Case: g}
		g.Scalars(tb, &c)
		c.x, _ = g.F32(tb, "x")
		c.x0, _ = g.F32(tb, "x0")
		c.y, _ = g.F32(tb, "y")
		plucker, err := g.Tensor(tb, "plucker").Float32s()
		if err != nil {
			tb.Fatal(err)
		}
		c.plucker = plucker
		text, words := g.F32(tb, "context")
		c.context = wan.Context{Tokens: words[0], States: text}
		if c.Switch != nil {
			text, words := g.F32(tb, "context2")
			c.context2 = wan.Context{Tokens: words[0], States: text}
		}
		window := c.Window
		if window < 0 {
			window = c.Frames
		}
		c.in = wan.Input{
			F: c.Chunk, H: c.H, W: c.W, Camera: true, Contexts: []wan.Context{c.context}, Reuse: wan.AllReuse,
			Cache: &wan.Cache{Frames: window, Sink: c.Sink, Attention: c.MaxAttention, Times: append(slices.Clone(c.T), 0)},
		}
		cases = append(cases, c)
	}
	return cases
}

func loadCausal(tb testing.TB, dev device.Device, c causalCase) *wan.Model {
	tb.Helper()
	at := weights.Checkpoint{
		Dir: filepath.Join(golden.Causal(tb), c.Checkpoint), Assets: filepath.Join(golden.Causal(tb), "checkpoint-tiny-fast-cam"), Model: weights.CausalFast,
	}
	l, err := at.Open()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { l.Close() })
	return loadModel(tb, dev, l.Experts[weights.Causal])
}

// frames returns frames from, ..., to-1 of a tensor [channels, n, plane].
func frames(values []float32, n, plane, from, to int) (part []float32) {
	for c := range len(values) / (n * plane) {
		part = append(part, values[(c*n+from)*plane:(c*n+to)*plane]...)
	}
	return part
}

// chunk goes on to chunk i and returns its two latents, of a step and of the clean forward.
func (c causalCase) chunk(tb testing.TB, s *wan.Session, i int) (x, x0 []float32) {
	tb.Helper()
	part := func(values []float32) []float32 { return frames(values, c.Frames, c.H*c.W, i*c.Chunk, (i+1)*c.Chunk) }
	if err := s.Chunk(tb.Context(), part(c.y), part(c.plucker)); err != nil {
		tb.Fatal(err)
	}
	return part(c.x), part(c.x0)
}

func TestCausalGolden(t *testing.T) {
	dev := openDevice(t)
	for _, c := range causalCases(t) {
		m := loadCausal(t, dev, c)
		for _, reuse := range []wan.Reuse{wan.AllReuse, {}, {Camera: true, Time: true}} {
			t.Run(fmt.Sprintf("%s/%+v", c.Name, reuse), func(t *testing.T) {
				in := c.in
				in.Reuse = reuse
				s := newSession(t, m, in)
				for i := range c.Frames / c.Chunk {
					if c.Switch != nil && i == *c.Switch {
						if err := s.SetContexts(t.Context(), []wan.Context{c.context2}); err != nil {
							t.Fatal(err)
						}
					}
					x, x0 := c.chunk(t, s, i)
					for f, latent := range [][]float32{x, x0} {
						at := []float64{c.T[i%len(c.T)], 0}[f]
						s.Inspect = func(block int, hidden func() ([]float32, error)) error {
							if !slices.Equal(c.BlocksOf, []int{i, f}) {
								return nil
							}
							got, err := hidden()
							want, _ := c.F32(t, fmt.Sprintf("block%d", block))
							golden.Check(t, fmt.Sprintf("block %d", block), got, want, bound)
							return err
						}
						name := fmt.Sprintf("out_c%d_f%d", i, f)
						want, _ := c.F32(t, name)
						golden.Check(t, name, velocity(t, s, latent, at, 0), want, bound)
					}
					c.checkCache(t, s, i)
				}
			})
		}
	}
}

// checkCache compares what is remembered after chunk i with the reference's buffer, where the
// case has it.
func (c causalCase) checkCache(t *testing.T, s *wan.Session, i int) {
	t.Helper()
	for name, of := range map[string]func(block int) []float32{
		"k": func(block int) []float32 { k, _ := s.Remembered(t, block, 0); return k },
		"v": func(block int) []float32 { _, v := s.Remembered(t, block, 0); return v },
	} {
		key := fmt.Sprintf("%s_c%d", name, i)
		if !slices.Contains(c.Names(), key) {
			continue
		}
		want, shape := c.F32(t, key)
		dim := shape[2] * shape[3]
		for block := range shape[0] {
			got := of(block)
			if len(got) != c.Ends[i][1]*dim {
				t.Errorf("%s: %d tokens, want %d", key, len(got)/dim, c.Ends[i][1])
			}
			all := want[block*shape[1]*dim:][:shape[1]*dim]
			golden.Check(t, key, got, all[:len(got)], bound)
			if rest := all[len(got):]; slices.ContainsFunc(rest, func(v float32) bool { return v != 0 }) {
				t.Errorf("%s: the case holds more than %d tokens", key, len(got)/dim)
			}
		}
	}
}

// TestRemember leaves the same keys and values as the whole forward, bit for bit.
func TestRemember(t *testing.T) {
	dev := openDevice(t)
	for _, c := range causalCases(t) {
		m := loadCausal(t, dev, c)
		whole, short := newSession(t, m, c.in), newSession(t, m, c.in)
		for i := range c.Frames / c.Chunk {
			_, x0 := c.chunk(t, whole, i)
			c.chunk(t, short, i)
			velocity(t, whole, x0, 0, 0)
			if err := short.Remember(t.Context(), x0, 0); err != nil {
				t.Fatal(err)
			}
		}
		for block := range m.Config.NumLayers {
			k, v := whole.Remembered(t, block, 0)
			k2, v2 := short.Remembered(t, block, 0)
			if !slices.Equal(k, k2) || !slices.Equal(v, v2) {
				t.Errorf("%s, block %d: other keys or values", c.Name, block)
			}
		}
	}
}

// TestRecall brings chunks of a long video back, as far as Depth says, in a session that has gone
// another way: what follows is made of the same bits as without a way back. One block less of any
// chunk is too little.
func TestRecall(t *testing.T) {
	dev := openDevice(t)
	m := synthetic(t, dev, weights.Dims{Dim: 32, FFN: 64, Heads: 2, Layers: 4, Text: 16})
	const n, chunk, side = 14, 2, 4
	noise := func(seed, k, channels int) []float32 { return random(uint64(100*seed+k), channels*chunk*side*side) }
	y := func(k int) []float32 { return noise(1, k, m.Config.InDim-m.Config.OutDim) }
	rays := func(k int) []float32 { return noise(2, k, m.CameraChannels) }
	forward := func(s *wan.Session, way, k int) []float32 { // chunk k, and what its first step gives
		t.Helper()
		if err := s.Chunk(t.Context(), y(k), rays(k)); err != nil {
			t.Fatal(err)
		}
		v := velocity(t, s, noise(9, k, m.Config.OutDim), 700, 0)
		if err := s.Remember(t.Context(), noise(way, k, m.Config.OutDim), 0); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, window := range []wan.Cache{{Frames: 4}, {Frames: 5, Sink: 1}, {Frames: 8, Sink: 3}, {Frames: 2}, {Frames: 3, Sink: 1}, {Frames: 9, Sink: 2, Attention: 10}} {
		window.Times = []float64{700, 0}
		in := wan.Input{F: chunk, H: side, W: side, Camera: true, Cache: &window, Contexts: []wan.Context{{Tokens: 3, States: random(5, 3*m.TextDim)}}}
		for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
			in.Reuse = reuse
			once, other := newSession(t, m, in), newSession(t, m, in)
			var want [][]float32
			for k := range n + 3 {
				want = append(want, forward(once, 3, k))
				forward(other, 4, k)
			}
			recall := func(s *wan.Session, less int) (blocks int) { // one block less of a chunk
				t.Helper()
				for k := range n {
					depth := s.Depth(k, n)
					if k == less {
						depth--
					}
					if blocks += depth; depth == 0 {
						continue
					}
					if err := s.Recall(t.Context(), k, depth, y(k), rays(k)); err != nil {
						t.Fatal(err)
					}
					x := noise(9, k, m.Config.OutDim)
					if err := s.Velocity(t.Context(), x, 1, 0, x); depth < m.Config.NumLayers && (err == nil || !strings.Contains(err.Error(), "recalled")) {
						t.Errorf("a forward of all blocks of a chunk that is only recalled: %v", err)
					}
					if err := s.Remember(t.Context(), noise(3, k, m.Config.OutDim), 0); err != nil {
						t.Fatal(err)
					}
				}
				s.Seek(n)
				return blocks
			}
			for name, s := range map[string]*wan.Session{"on another way": other, "fresh": newSession(t, m, in)} {
				if blocks := recall(s, -1); blocks >= n*m.Config.NumLayers {
					t.Errorf("%+v: %d blocks of %d chunks are recalled", window, blocks, n)
				}
				for k := n; k < len(want); k++ {
					if !slices.Equal(forward(s, 3, k), want[k]) {
						t.Errorf("%+v, a session %s: chunk %d differs", window, name, k)
					}
				}
			}
			if window.Attention > 0 {
				continue // asks for more than it must
			}
			for k := range n {
				if s := newSession(t, m, in); s.Depth(k, n) > 0 {
					recall(s, k)
					if same := slices.Equal(forward(s, 3, n), want[n]); same && k*chunk >= window.Sink {
						t.Errorf("%+v: one block less of chunk %d is enough", window, k)
					}
				}
			}
		}
	}
}

// TestCut has a session know of a video's chunks only what the window of one of them holds: those
// before do not matter any more, and the way back leads to the same bits.
func TestCut(t *testing.T) {
	dev := openDevice(t)
	m := synthetic(t, dev, weights.Dims{Dim: 32, FFN: 64, Heads: 2, Layers: 3, Text: 16})
	const cut, n, chunk, side = 9, 14, 2, 4
	noise := func(seed, k, channels int) []float32 { return random(uint64(100*seed+k), channels*chunk*side*side) }
	remember := func(s *wan.Session, way, k int) {
		t.Helper()
		if err := s.Remember(t.Context(), noise(way, k, m.Config.OutDim), 0); err != nil {
			t.Fatal(err)
		}
	}
	y := func(k int) []float32 { return noise(1, k, m.Config.InDim-m.Config.OutDim) }
	rays := func(k int) []float32 { return noise(2, k, m.CameraChannels) }
	forward := func(s *wan.Session, way, k int) []float32 {
		t.Helper()
		if err := s.Chunk(t.Context(), y(k), rays(k)); err != nil {
			t.Fatal(err)
		}
		v := velocity(t, s, noise(9, k, m.Config.OutDim), 700, 0)
		remember(s, way, k)
		return v
	}
	recall := func(s *wan.Session, at, to int) { // the cut is at a chunk
		t.Helper()
		s.Cut(at)
		for k := range to {
			if depth := s.Depth(k, to); depth > 0 {
				if err := s.Recall(t.Context(), k, depth, y(k), rays(k)); err != nil {
					t.Fatal(err)
				}
				remember(s, 3, k)
			}
		}
		s.Seek(to)
	}
	for _, window := range []wan.Cache{{Frames: 4}, {Frames: 5, Sink: 1}, {Frames: 8, Sink: 3}, {Frames: 2}, {Frames: 30, Sink: 2}, {Frames: 9, Sink: 2, Attention: 10}} {
		window.Times = []float64{700, 0}
		in := wan.Input{F: chunk, H: side, W: side, Camera: true, Cache: &window, Contexts: []wan.Context{{Tokens: 3, States: random(5, 3*m.TextDim)}}, Reuse: wan.AllReuse}
		once, other, fresh, uncut := newSession(t, m, in), newSession(t, m, in), newSession(t, m, in), newSession(t, m, in)
		known := once.Window(cut)
		for k := range cut {
			way := 4
			if slices.Contains(known, k) {
				way = 3
			}
			forward(once, 3, k)
			forward(other, way, k)
		}
		recall(once, cut, cut)
		recall(other, cut, cut)
		recall(uncut, 0, cut)
		var want [][]float32
		for k := cut; k < n+2; k++ {
			want = append(want, forward(once, 3, k))
			if !slices.Equal(forward(other, 3, k), want[k-cut]) {
				t.Errorf("%+v: chunk %d knows of what the window forgot before the cut", window, k)
			}
		}
		if same := slices.Equal(forward(uncut, 3, cut), want[0]); same != (len(known) == 0 || len(known) == cut) {
			t.Errorf("%+v: without a cut the same is %v", window, same)
		}
		for _, to := range []int{cut, cut + 1, n} {
			recall(fresh, cut, to)
			for k := to; k < n+2; k++ {
				if !slices.Equal(forward(fresh, 3, k), want[k-cut]) {
					t.Errorf("%+v: chunk %d differs after the way back to chunk %d", window, k, to)
				}
			}
		}
	}
}

// TestChange goes from prompts before to a new one: no way is as they, the whole way as it, and the
// way beyond is beyond.
func TestChange(t *testing.T) {
	dev := openDevice(t)
	m := synthetic(t, dev, weights.Dims{Dim: 32, FFN: 64, Heads: 2, Layers: 2, Text: 16})
	const chunk, side = 2, 4
	noise := func(seed, channels int) []float32 { return random(uint64(seed), channels*chunk*side*side) }
	y, rays, x := noise(1, m.Config.InDim-m.Config.OutDim), noise(2, m.CameraChannels), noise(3, m.Config.OutDim)
	first := wan.Context{Tokens: 3, States: random(5, 3*m.TextDim)}
	other := wan.Context{Tokens: 5, States: random(6, 5*m.TextDim)}
	for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
		for _, dtype := range []device.DType{device.F32, device.F16} {
			s := newSession(t, m, wan.Input{
				F: chunk, H: side, W: side, Camera: true, Cache: &wan.Cache{Frames: 4, Times: []float64{700, 0}}, Contexts: []wan.Context{first}, Reuse: reuse, AttentionType: dtype,
			})
			if err := s.Chunk(t.Context(), y, rays); err != nil {
				t.Fatal(err)
			}
			at := func(scale float32) []float32 {
				if err := s.SetChange(t.Context(), []wan.Context{other}, []wan.Context{first}, scale); err != nil {
					t.Fatal(err)
				}
				return velocity(t, s, x, 700, 0)
			}
			none, whole, beyond := at(0), at(1), at(3)
			alone := func(c wan.Context) []float32 {
				if err := s.SetContexts(t.Context(), []wan.Context{c}); err != nil {
					t.Fatal(err)
				}
				return velocity(t, s, x, 700, 0)
			}
			name := fmt.Sprintf("%+v, attention in %v: ", reuse, dtype)
			golden.Check(t, name+"no way", none, alone(first), bound)
			golden.Check(t, name+"the whole way", whole, alone(other), bound)
			var far, near float64
			for i := range whole {
				far, near = far+math.Abs(float64(beyond[i]-none[i])), near+math.Abs(float64(whole[i]-none[i]))
			}
			if far < 2*near {
				t.Errorf("%s: three times the way leads %.2f times as far", name, far/near)
			}
			if err := s.SetChange(t.Context(), []wan.Context{other}, nil, 2); err == nil {
				t.Error("a change from nothing")
			}
		}
	}
}

// TestChunkAgain makes every chunk several times, cancelled and with other conditioning, before
// it makes it as it should be: the video is the same, bit for bit.
func TestChunkAgain(t *testing.T) {
	dev := openDevice(t)
	for _, c := range causalCases(t) {
		m := loadCausal(t, dev, c)
		once, again := newSession(t, m, c.in), newSession(t, m, c.in)
		part := func(values []float32, i int) []float32 {
			return frames(values, c.Frames, c.H*c.W, i*c.Chunk, (i+1)*c.Chunk)
		}
		for i := range c.Frames / c.Chunk {
			x, _ := c.chunk(t, once, i)
			want := velocity(t, once, x, c.T[0], 0)
			c.chunk(t, again, i)
			velocity(t, again, random(uint64(i), len(x)), 500, 0)
			ctx, cancel := context.WithCancel(t.Context())
			again.Inspect = func(int, func() ([]float32, error)) error { cancel(); return nil }
			if err := again.Velocity(ctx, x, 3, 0, make([]float32, len(x))); m.Config.NumLayers > 1 && !errors.Is(err, context.Canceled) {
				t.Fatalf("cancelled: %v", err)
			}
			again.Inspect = nil
			if err := again.Again(t.Context(), random(7, len(part(c.y, i))), random(8, len(part(c.plucker, i)))); err != nil {
				t.Fatal(err)
			}
			velocity(t, again, x, c.T[0], 0)
			if err := again.Again(t.Context(), part(c.y, i), part(c.plucker, i)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(velocity(t, again, x, c.T[0], 0), want) {
				t.Errorf("%s, chunk %d: another result after other attempts", c.Name, i)
			}
		}
	}
}

// TestCacheTypes keeps keys and values in 16 bits: half the memory, and an error of a
// rounding.
func TestCacheTypes(t *testing.T) {
	dev := openDevice(t)
	c := causalCases(t)[0]
	m := loadCausal(t, dev, c)
	sizes := map[device.DType]int64{}
	for dtype, bound := range map[device.DType]float64{device.F32: bound, device.F16: 2e-3, device.BF16: 2e-2} {
		in := c.in
		in.AttentionType = dtype
		before := dev.Info().Allocated
		s := newSession(t, m, in)
		sizes[dtype] = dev.Info().Allocated - before
		for i := range c.Frames / c.Chunk {
			x, x0 := c.chunk(t, s, i)
			want, _ := c.F32(t, fmt.Sprintf("out_c%d_f0", i))
			golden.Check(t, fmt.Sprintf("%v, chunk %d", dtype, i), velocity(t, s, x, c.T[i%len(c.T)], 0), want, bound)
			if err := s.Remember(t.Context(), x0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	values := 2 * m.Config.NumLayers * m.Config.Dim * (c.in.Cache.Frames*c.FrameTokens + c.context.Tokens + 1)
	for _, dtype := range []device.DType{device.F16, device.BF16} {
		if saved := sizes[device.F32] - sizes[dtype]; saved != 2*int64(values) {
			t.Errorf("%v saves %d bytes, want %d", dtype, saved, 2*values)
		}
	}
}

// TestFarFrames goes past the reference's table of 1,024 latent frames. Attention asks for the
// distance of two frames only: what is shown again and again gives the same velocity again,
// and memory stays the same to the byte.
func TestFarFrames(t *testing.T) {
	dev := openDevice(t)
	c := causalCases(t)[0]
	m := loadCausal(t, dev, c)
	const window = 3
	memory := window * (m.Config.NumLayers + 1) // frames that have a say in a frame, by way of those between
	near, far := 2*memory, 2*memory+window*1024
	in := c.in
	in.F, in.Cache = 1, &wan.Cache{Frames: window}
	s := newSession(t, m, in)
	part := func(values []float32, i int) []float32 {
		return frames(values, c.Frames, c.H*c.W, i%window, i%window+1)
	}
	var want []float32
	var held int64
	for i := range far + 1 {
		if err := s.Chunk(t.Context(), part(c.y, i), part(c.plucker, i)); err != nil {
			t.Fatal(err)
		}
		if i > near && i <= far-memory {
			continue // forgotten by then
		}
		got := velocity(t, s, part(c.x, i), 500, 0)
		switch now := dev.Info().Allocated; {
		case i == near:
			want, held = got, now
		case i == far:
			golden.Check(t, "velocity", got, want, bound)
			if now != held {
				t.Errorf("%d bytes are held, %d near the beginning", now, held)
			}
		}
		if err := s.Remember(t.Context(), part(c.x0, i), 0); err != nil {
			t.Fatal(err)
		}
	}
	if e := golden.RelL2(velocity(t, s, part(c.x, far+1), 500, 0), want); e < 1e-3 {
		t.Errorf("another frame gives the same velocity, within %g", e)
	}
}

// TestCausalPlan counts what a causal session takes, to the byte.
func TestCausalPlan(t *testing.T) {
	dev := openDevice(t)
	c := causalCases(t)[0]
	dry := plan.NewDevice(dev, true)
	before := dev.Info().Allocated
	m := loadCausal(t, dev, c)
	real := newSession(t, m, c.in)
	x, _ := c.chunk(t, real, 0)
	velocity(t, real, x, 1, 0)
	held := dev.Info().Allocated - before

	s := newSession(t, loadCausal(t, dry, c), c.in)
	if err := s.Chunk(t.Context(), nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Velocity(t.Context(), nil, 1, 0, nil), s.Remember(t.Context(), nil, 0)); err != nil {
		t.Fatal(err)
	}
	if planned := dry.Info().Allocated; planned != held {
		t.Errorf("planned %d bytes, held %d", planned, held)
	}
}

func TestCausalMistakes(t *testing.T) {
	dev := openDevice(t)
	c := causalCases(t)[0]
	m := loadCausal(t, dev, c)
	for _, tt := range []struct {
		name   string
		change func(*wan.Input)
		want   string
	}{
		{"a window that is too small", func(in *wan.Input) { in.Cache.Frames = in.F + in.Cache.Sink - 1 }, "at least"},
		{"a negative sink", func(in *wan.Input) { in.Cache.Sink = -1 }, "0 or more"},
		{"conditioning of a video", func(in *wan.Input) { in.Y = c.y }, "whole video"},
	} {
		in := c.in
		cache := *in.Cache
		in.Cache = &cache
		tt.change(&in)
		if s, err := m.NewSession(t.Context(), in); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.name, err)
			if s != nil {
				s.Close()
			}
		}
	}
	s := newSession(t, m, c.in)
	x := make([]float32, m.Config.OutDim*c.Chunk*c.H*c.W)
	for name, err := range map[string]error{
		"no chunk":          s.Velocity(t.Context(), x, 1, 0, x),
		"nothing to redo":   s.Again(t.Context(), c.y, c.plucker),
		"short picture":     s.Chunk(t.Context(), c.y[:1], c.plucker),
		"too many contexts": s.SetContexts(t.Context(), []wan.Context{c.context, c.context}),
		"a bad context":     s.SetContexts(t.Context(), []wan.Context{{Tokens: -1}}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
