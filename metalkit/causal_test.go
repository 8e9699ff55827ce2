package metalkit

import (
	"fmt"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// TestCausalReference goes through the reference's causal videos, chunk by chunk.
func TestCausalReference(t *testing.T) {
	t.Parallel()
	eachCompute(t, func(t *testing.T, dev device.Device, bound float64) {
		for _, c := range golden.CausalCases(t, "causal_") {
			t.Run(c.Name, func(t *testing.T) { checkChunks(t, dev, c, bound) })
		}
	})
}

func checkChunks(t *testing.T, dev device.Device, c golden.Case, bound float64) {
	var s struct {
		Checkpoint          string
		Chunk, Frames, H, W int
		T                   []float64
		Window              int `json:"local_attn_size"`
		Sink                int `json:"sink_size"`
		MaxAttention        int `json:"max_attention_size"`
		Switch              *int
	}
	c.Scalars(t, &s)
	at := weights.Checkpoint{
		Dir: filepath.Join(golden.Causal(t), s.Checkpoint), Assets: filepath.Join(golden.Causal(t), "checkpoint-tiny-fast-cam"), Model: weights.CausalFast,
	}
	layout, err := at.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer layout.Close()
	model := layout.Experts[weights.Causal]
	m, err := wan.Load(t.Context(), dev, model.Store, model.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	text := func(name string) []wan.Context {
		states, shape := c.F32(t, name)
		return []wan.Context{{Tokens: shape[0], States: states}}
	}
	if s.Window < 0 {
		s.Window = s.Frames
	}
	session, err := m.NewSession(t.Context(), wan.Input{
		F: s.Chunk, H: s.H, W: s.W, Camera: true, Contexts: text("context"), Reuse: wan.AllReuse,
		Cache: &wan.Cache{Frames: s.Window, Sink: s.Sink, Attention: s.MaxAttention, Times: s.T},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	chunk := func(name string, i int) (part []float32) {
		values, err := c.Tensor(t, name).Float32s()
		if err != nil {
			t.Fatal(err)
		}
		plane := s.H * s.W
		for from := i * s.Chunk * plane; from < len(values); from += s.Frames * plane {
			part = append(part, values[from:from+s.Chunk*plane]...)
		}
		return part
	}
	for i := range s.Frames / s.Chunk {
		if s.Switch != nil && *s.Switch == i {
			if err := session.SetContexts(t.Context(), text("context2")); err != nil {
				t.Fatal(err)
			}
		}
		if err := session.Chunk(t.Context(), chunk("y", i), chunk("plucker", i)); err != nil {
			t.Fatal(err)
		}
		out := chunk("x", i)
		if err := session.Velocity(t.Context(), out, s.T[i%len(s.T)], 0, out); err != nil {
			t.Fatal(err)
		}
		want, _ := c.F32(t, fmt.Sprintf("out_c%d_f0", i))
		golden.Check(t, fmt.Sprintf("chunk %d", i), out, want, bound)
		if err := session.Remember(t.Context(), chunk("x0", i), 0); err != nil {
			t.Fatal(err)
		}
	}
}
