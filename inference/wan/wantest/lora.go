// Package wantest runs the reference cases of experts that LoRAs change, on any device.
package wantest

import (
	"encoding/json"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// Applied is a LoRA of a reference case: its file, below the folder of the cases, and how much
// of it counts.
type Applied struct {
	File     string
	Strength float64
}

// UnmarshalJSON reads [file, strength].
func (a *Applied) UnmarshalJSON(text []byte) error {
	return json.Unmarshal(text, &[]any{&a.File, &a.Strength})
}

// Case is the reference case of an expert that LoRAs change.
type Case struct {
	golden.Case
	Expert  string // folder of the base set's expert
	File    string // or the path of one of the cases' own, of any format
	LoRAs   []Applied
	Ignored []string // keys that do not fit; nil where the case does not say
	Changed int      // tensors; 0 where the case does not say
}

// Cases opens the cases of LoRAs whose experts are there.
func Cases(tb testing.TB) (cases []Case) {
	tb.Helper()
	for _, g := range golden.FormatCases(tb, "lora_") {
		var s struct {
			Expert  string    `json:"expert"`
			File    string    `json:"file"`
			LoRAs   []Applied `json:"loras"`
			Ignored []string  `json:"ignored_keys"`
			Changed int       `json:"changed_tensors"`
		}
		g.Scalars(tb, &s)
		if s.File != "" {
			path, ok := golden.FormatFile(tb, s.File)
			if !ok {
				continue
			}
			s.File = path
		}
		cases = append(cases, Case{g, s.Expert, s.File, s.LoRAs, s.Ignored, s.Changed})
	}
	return cases
}

// Open opens the case's expert.
func (c Case) Open(tb testing.TB) weights.Expert {
	tb.Helper()
	if c.File != "" {
		e, err := weights.OpenExpert(c.File)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { e.Store.Close() })
		return e
	}
	layout, err := weights.OpenLayout(filepath.Join(golden.FormatsBase(tb), "checkpoint-tiny"))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { layout.Close() })
	return layout.Experts[c.Expert]
}

// Adapt applies the case's LoRAs to an expert, and checks what they report.
func (c Case) Adapt(tb testing.TB, e weights.Expert) *weights.Adaptation {
	tb.Helper()
	sizes, err := weights.ReadWanSizes(e.Store, e.Config)
	if err != nil {
		tb.Fatal(err)
	}
	a := &weights.Adaptation{}
	for _, l := range c.LoRAs {
		file, err := weights.OpenLoRA(filepath.Join(golden.FormatsDir(tb), l.File))
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { file.Close() })
		report, err := a.Add(file, sizes, l.Strength)
		if err != nil {
			tb.Fatal(err)
		}
		c.checkIgnored(tb, report.Ignored)
	}
	if n := len(a.Tensors()); c.Changed > 0 && n != c.Changed {
		tb.Errorf("%s: %d tensors change, want %d", c.Name, n, c.Changed)
	}
	return a
}

func (c Case) checkIgnored(tb testing.TB, found []string) {
	tb.Helper()
	if c.Ignored == nil && len(found) > 0 {
		tb.Errorf("%s: %d keys are ignored, such as %s", c.Name, len(found), found[0])
	}
	for i := range max(len(found), len(c.Ignored)) {
		if c.Ignored != nil && (i >= len(found) || i >= len(c.Ignored) || found[i] != c.Ignored[i]) {
			tb.Errorf("%s: ignored are %q, want %q", c.Name, found, c.Ignored)
			return
		}
	}
}

// CheckLoRAs compares the velocity of experts that LoRAs change with the reference's: the
// cases', within a bound of the relative error, with the camera branch and everything that is
// reused kept, and computed anew.
func CheckLoRAs(t *testing.T, dev device.Device, bound float64) {
	inputs, err := weights.Open(filepath.Join(golden.FormatsDir(t), "inputs.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer inputs.Close()
	tensor := func(name string) ([]float32, []int) {
		values, err := inputs.Values(name)
		if err != nil {
			t.Fatal(err)
		}
		return values, inputs.Shape(name)
	}
	x, shape := tensor("x")
	at, _ := tensor("t")
	in := wan.Input{F: shape[1], H: shape[2], W: shape[3], Camera: true}
	in.Y, _ = tensor("y")
	in.Plucker, _ = tensor("plucker")
	states, words := tensor("context")
	in.Contexts = []wan.Context{{Tokens: words[0], States: states}}
	for _, c := range Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			e := c.Open(t)
			m, err := wan.LoadAdapted(t.Context(), dev, e.Store, e.Config, c.Adapt(t, e))
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			for _, in.Reuse = range []wan.Reuse{wan.AllReuse, {}} {
				s, err := m.NewSession(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				out := make([]float32, len(x))
				if err := s.Velocity(t.Context(), x, float64(at[0]), 0, out); err != nil {
					t.Fatal(err)
				}
				s.Close()
				want, _ := c.F32(t, "out")
				golden.Check(t, "out", out, want, bound)
				t.Logf("relative error %.2g", golden.RelL2(out, want))
			}
		})
	}
}
