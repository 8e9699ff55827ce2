package wan_test

import (
	"fmt"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// bound is the relative error that the reference cases allow.
const bound = 2e-5

// everyReuse lists all combinations.
func everyReuse() []wan.Reuse {
	var all []wan.Reuse
	for bits := range 16 {
		all = append(all, wan.Reuse{Camera: bits&1 != 0, CrossAttention: bits&2 != 0, Time: bits&4 != 0, Padding: bits&8 != 0})
	}
	return all
}

func openDevice(tb testing.TB) device.Device {
	tb.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// openExpert opens an expert of the reference checkpoint.
func openExpert(tb testing.TB, name string) weights.Expert {
	tb.Helper()
	layout, err := weights.OpenLayout(golden.Checkpoint(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { layout.Close() })
	expert, ok := layout.Experts[name]
	if !ok {
		tb.Fatalf("no expert %s in %s", name, layout.Dir)
	}
	return expert
}

func loadModel(tb testing.TB, dev device.Device, e weights.Expert) *wan.Model {
	tb.Helper()
	m, err := wan.Load(tb.Context(), dev, e.Store, e.Config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

// ditCase is one reference case.
type ditCase struct {
	golden.Case
	expert string
	x      []float32
	t      float64
	in     wan.Input
	out    []float32
}

func ditCases(tb testing.TB) []ditCase {
	tb.Helper()
	var cases []ditCase
	for _, g := range golden.Cases(tb, "dit_") {
		var scalars struct {
			Expert string
			T      float64
		}
		g.Scalars(tb, &scalars)
		c := ditCase{Case: g, expert: scalars.Expert, t: scalars.T}
		var shape []int
		c.x, shape = g.F32(tb, "x")
		c.in = wan.Input{F: shape[1], H: shape[2], W: shape[3], Reuse: wan.AllReuse}
		c.in.Y, _ = g.F32(tb, "y")
		text, words := g.F32(tb, "context")
		c.in.Contexts = []wan.Context{{Tokens: words[0], States: text}}
		for _, name := range g.Names() {
			if name == "plucker" {
				c.in.Camera = true
				c.in.Plucker, _ = g.F32(tb, name)
			}
		}
		c.out, _ = g.F32(tb, "out")
		cases = append(cases, c)
	}
	return cases
}

// cameraCase returns the case with a camera path that has the most tokens.
func cameraCase(tb testing.TB) ditCase {
	tb.Helper()
	var most ditCase
	for _, c := range ditCases(tb) {
		if c.in.Plucker != nil && len(c.x) > len(most.x) {
			most = c
		}
	}
	if most.x == nil {
		tb.Fatal("no dit case with a camera path")
	}
	return most
}

func newSession(tb testing.TB, m *wan.Model, in wan.Input) *wan.Session {
	tb.Helper()
	s, err := m.NewSession(tb.Context(), in)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(s.Close)
	return s
}

func velocity(tb testing.TB, s *wan.Session, x []float32, t float64, text int) []float32 {
	tb.Helper()
	out := make([]float32, len(x))
	if err := s.Velocity(tb.Context(), x, t, text, out); err != nil {
		tb.Fatal(err)
	}
	return out
}

func TestGolden(t *testing.T) {
	dev := openDevice(t)
	for _, c := range ditCases(t) {
		m := loadModel(t, dev, openExpert(t, c.expert))
		for _, reuse := range everyReuse() {
			t.Run(fmt.Sprintf("%s/%+v", c.Name, reuse), func(t *testing.T) {
				in := c.in
				in.Reuse = reuse
				s := newSession(t, m, in)
				blocks := 0
				s.Inspect = func(block int, hidden func() ([]float32, error)) error {
					got, err := hidden()
					name := fmt.Sprintf("block%d", block)
					want, _ := c.F32(t, name)
					golden.Check(t, name, got, want, bound)
					blocks++
					return err
				}
				golden.Check(t, "out", velocity(t, s, c.x, c.t, 0), c.out, bound)
				if blocks != m.Config.NumLayers {
					t.Errorf("inspected %d blocks of %d", blocks, m.Config.NumLayers)
				}
			})
		}
	}
}
