package taehv

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// grows says how many frames each level makes of one.
var grows = [3]int{1, 2, 2}

// trimmed is how many pictures of a video's first latent frame are left out.
const trimmed = 3

// Model is a loaded decoder. Its methods may be called from several goroutines.
type Model struct {
	dev      device.Device
	loader   *weights.Loader
	channels int // of a latent
	// mean and std turn a normalised latent into what the model reads.
	mean, std []float32

	first, last conv
	levels      [3]level
}

// level is the part of a decoder that works at one size.
type level struct {
	channels int
	blocks   [3]block
	grow     []nn.Linear // one for each frame that is made
	next     conv
}

// block mixes a frame with the one before it.
type block struct{ now, past, second, third conv }

// conv is a convolution of 3x3 pixels.
type conv struct {
	w    device.Mat // [out, in*9]
	bias device.Mat // zero for none
}

// Load finds a small decoder in store and puts its weights on dev: the file's name and type
// say whether it reads latents normalised by stats. Weights are mapped, not copied, so store
// must stay open until Close. The error names every tensor that is missing or misshapen.
func Load(ctx context.Context, dev device.Device, store *weights.Store, stats vae.Statistics) (*Model, error) {
	sizes := weights.ReadTAEHVSizes(store)
	m := &Model{dev: dev, loader: weights.NewLoader(dev, store, sizes.Table()), channels: sizes.Channels}
	if err := m.load(sizes, store); err != nil {
		m.Close()
		return nil, fmt.Errorf("small decoder: %w", err)
	}
	if m.channels != len(stats.Mean) {
		m.Close()
		return nil, fmt.Errorf("small decoder: %w", &weights.Error{Path: store.Path(), Field: "channels of a latent",
			Found: fmt.Sprint(m.channels), Want: fmt.Sprintf("%d, as the VAE has: a decoder for Wan 2.1 (taew2_1, lighttaew2_1)", len(stats.Mean))})
	}
	m.mean, m.std = make([]float32, m.channels), make([]float32, m.channels)
	for z := range m.channels {
		m.std[z] = 1
		if raw(store) {
			m.mean[z], m.std[z] = stats.Mean[z], stats.Std[z]
		}
	}
	return m, ctx.Err()
}

// raw reports whether a decoder reads latents as the VAE has them, not normalised: those of
// LightX2V do. ComfyUI tells them by the type, as madebyollin's are F16; LightX2V by the name.
func raw(s *weights.Store) bool {
	name := strings.ToLower(filepath.Base(s.Path()))
	switch {
	case strings.Contains(name, "lighttae"):
		return true
	case strings.Contains(name, "taew2"):
		return false
	}
	t, err := s.Tensor(weights.TAEHVFirst + ".weight")
	return err == nil && t.DType != device.F16
}

func (m *Model) load(sizes weights.TAEHVSizes, store *weights.Store) error {
	m.first, m.last = m.conv(weights.TAEHVFirst, true), m.conv(weights.TAEHVLast, true)
	for i := range m.levels {
		size := sizes.Levels[i]
		l := level{channels: size.Channels, next: m.conv(weights.TAEHVNext(i), false)}
		for b := range l.blocks {
			name := weights.TAEHVBlock(i, b)
			both := m.conv(name+".0", true)
			l.blocks[b] = block{now: both, past: both, second: m.conv(name+".2", true), third: m.conv(name+".4", true)}
			if half := 9 * size.Channels; both.w.Cols == 2*half {
				l.blocks[b].now.w, l.blocks[b].past.w = both.w.ColRange(0, half), both.w.ColRange(half, 2*half)
			}
		}
		grow := m.loader.Weight(weights.TAEHVGrow(i) + ".weight")
		rows := grows[i] * size.Channels
		if size.Grown < rows || size.Channels == 0 || size.Grown%size.Channels != 0 {
			return &weights.Error{Path: store.Path(), Field: weights.TAEHVGrow(i) + ".weight", Found: fmt.Sprintf("%d rows", size.Grown),
				Want: fmt.Sprintf("at least %d: a decoder for Wan 2.1 (taew2_1, lighttaew2_1)", rows)}
		}
		if grow.Data.IsZero() {
			continue // the loader says why
		}
		for frame := range grows[i] { // of a file that makes more frames, the last
			from := size.Grown - rows + frame*size.Channels
			part := grow
			part.Data, part.Out = grow.Data.RowRange(from, from+size.Channels), size.Channels
			l.grow = append(l.grow, nn.Linear{Weight: part})
		}
		m.levels[i] = l
	}
	return m.loader.Err()
}

func (m *Model) conv(name string, bias bool) conv {
	c := conv{w: m.loader.Weight(name + ".weight").Data}
	if bias {
		c.bias = m.loader.Vector(name + ".bias")
	}
	return c
}

// Close gives the weights' buffers back. Nothing may be decoding.
func (m *Model) Close() { m.loader.Release() }

// Channels returns the number of channels of a latent.
func (m *Model) Channels() int { return m.channels }
