package wan

import (
	"context"
	"fmt"
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// Cache says what a causal session remembers of a video: the rotated keys and the values of
// its latest latent frames.
type Cache struct {
	// Frames is how many latent frames are remembered at most, those of the chunk at hand
	// among them: the whole video's, or a window's.
	Frames int
	// Sink is how many of them are the first of the video, which are never forgotten.
	Sink int
	// Attention is how many tokens queries attend to at most, the latest; 0 for all. A smaller
	// number leaves the sink out first.
	Attention int
	// Times are timesteps whose embeddings are kept.
	Times []float64
}

// check returns an error unless a chunk of so many frames goes with the cache.
func (c *Cache) check(chunk int) error {
	switch {
	case c.Sink < 0 || c.Attention < 0:
		return fmt.Errorf("cache: a sink of %d frames and attention to %d tokens, expected 0 or more", c.Sink, c.Attention)
	case c.Frames < chunk+c.Sink:
		return fmt.Errorf("cache: found %d frames, expected at least %d: the chunk's %d and the sink's %d", c.Frames, chunk+c.Sink, chunk, c.Sink)
	}
	return nil
}

// window places latent frames in a cache: frame f of the sink in slot f, and the others one
// after the other in the slots behind it, round and round. What is forgotten is what a chunk
// overwrites: nothing moves. Attention does not ask for the order of keys, which hold their
// positions in their angles.
type window struct {
	Cache
	chunk, frameTokens int
	cut                int // frames behind the sink that are left out, as though they had not been
	end                int // frames of the video so far, with the chunk at hand
	depth              int // blocks that forwards of the chunk at hand go through; 0 before it is begun
}

// first returns the first frame behind the sink that there is for the chunk at hand.
func (w *window) first() int {
	if w.end <= w.Sink+w.cut { // it is one of the sink's
		return w.Sink
	}
	return w.Sink + w.cut
}

// slot returns where frame f is.
func (w *window) slot(f int) int {
	if f < w.Sink {
		return f
	}
	return w.Sink + (f-w.first())%(w.Frames-w.Sink)
}

// frames lists the frames that are in the cache, in their order in the video.
func (w *window) frames() (list []int) {
	list = appendRange(nil, 0, min(w.Sink, w.end))
	return appendRange(list, max(w.first(), w.end-(w.Frames-w.Sink)), w.end)
}

// attendedBy lists the chunks that chunk k attends to, but for itself.
func (w *window) attendedBy(k int) (list []int) {
	sink := min((w.Sink+w.chunk-1)/w.chunk, k)
	return appendRange(appendRange(nil, 0, sink), max(sink, k-w.reach()), k)
}

// reach returns how many chunks a chunk attends to at most, but for the sink and itself.
func (w *window) reach() int { return (w.Frames - w.Sink - 1) / w.chunk }

// depthOf returns of how many blocks, the first ones of a model's, the keys and values of chunk j
// have a say in what chunk k attends to. A chunk attends to the sink and, as far as the window
// goes, to reach chunks before it; what they attended to it only knows by their values of the
// next block.
func (w *window) depthOf(j, k, blocks int) int {
	reach := w.reach()
	switch {
	case j*w.chunk < w.Sink:
		return blocks
	case reach == 0 || j*w.chunk < w.Sink+w.cut:
		return 0
	}
	return max(0, blocks-(k-1-j)/reach)
}

func appendRange(list []int, from, to int) []int {
	for f := from; f < to; f++ {
		list = append(list, f)
	}
	return list
}

// span is rows of the chunk's tokens and the rows of the cache where they go.
type span struct{ from, to, at int }

// writes returns where the chunk's tokens go.
func (w *window) writes() (list []span) {
	n := w.frameTokens
	for i := range w.chunk {
		at := w.slot(w.end-w.chunk+i) * n
		if last := len(list) - 1; last >= 0 && list[last].at+list[last].to-list[last].from == at {
			list[last].to += n
		} else {
			list = append(list, span{i * n, (i + 1) * n, at})
		}
	}
	return list
}

// attended returns the rows of the cache that hold what the chunk attends to. Where these are
// no rows in a row, hidden marks those between that it does not.
func (w *window) attended() (from, to int, hidden []bool) {
	frames, n := w.frames(), w.frameTokens
	total := len(frames) * n
	skip := 0
	if w.Attention > 0 {
		skip = max(0, total-w.Attention)
	}
	hidden = make([]bool, total)
	for i := range skip {
		hidden[w.slot(frames[i/n])*n+i%n] = true
	}
	from, to = 0, total
	for from < to && hidden[from] {
		from++
	}
	for to > from && hidden[to-1] {
		to--
	}
	hidden = hidden[from:to]
	for _, h := range hidden {
		if h {
			return from, to, hidden
		}
	}
	return from, to, nil
}

// cache is the keys and values of every block, for each of the contexts.
type cache struct {
	window
	keys, values [][]device.Mat // by context and block, [tokens, dim]
	bias         device.Mat     // [1, tokens], with a limit of attention

	// Of the chunk at hand.
	spans    []span
	from, to int  // rows attended to
	biased   bool // some of them are not
}

// newCache makes the cache of a session for so many contexts.
func newCache(arena *nn.Arena, m *Model, c Cache, g grid, contexts int, dtype device.DType) *cache {
	k := &cache{window: window{Cache: c, chunk: g.f, frameTokens: g.h * g.w}}
	tokens := c.Frames * k.frameTokens
	for range contexts {
		var keys, values []device.Mat
		for i := range m.w.blocks {
			name := m.w.blocks[i].name
			keys = append(keys, arena.Mat(name+".cache_k", dtype, tokens, m.Config.Dim))
			values = append(values, arena.Mat(name+".cache_v", dtype, tokens, m.Config.Dim))
		}
		k.keys, k.values = append(k.keys, keys), append(k.values, values)
	}
	if c.Attention > 0 {
		k.bias = arena.Mat("cache.key_bias", device.F32, 1, tokens)
	}
	return k
}

// next goes on to the next chunk.
func (k *cache) next(ctx context.Context, dev device.Device) error {
	k.end += k.chunk
	return k.place(ctx, dev)
}

// place finds the rows of the chunk at hand.
func (k *cache) place(ctx context.Context, dev device.Device) error {
	k.spans = k.writes()
	var hidden []bool
	k.from, k.to, hidden = k.attended()
	if k.biased = hidden != nil; !k.biased {
		return nil
	}
	return device.Fill(ctx, dev, k.bias.Buf, func(bias []float32) {
		for i, h := range hidden {
			if h {
				bias[i] = float32(math.Inf(-1))
			}
		}
	})
}

// keyBias leaves out the rows that are not attended to; the zero Mat if there are none.
func (k *cache) keyBias() device.Mat {
	if !k.biased {
		return device.Mat{}
	}
	return k.bias.ColRange(0, k.to-k.from)
}
