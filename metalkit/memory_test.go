package metalkit

import (
	"context"
	"path/filepath"
	"testing"

	"gimbal/inference/checkpoint"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/plan"
	"gimbal/inference/shapes"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
)

// hollow is a device.Dry whose operations are recorded as for a run.
type hollow struct{ *gpu }

// Host implements device.Dry.
func (hollow) Host(int64) {}

// Map returns a buffer of no memory.
func (h hollow) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	return h.Provide(desc, 0, func(int64) (memory, error) { return memory{handle: 1}, nil })
}

// Write does nothing.
func (hollow) Write(ctx context.Context, _ device.Buffer, _ []byte) error { return ctx.Err() }

// Read does nothing.
func (hollow) Read(ctx context.Context, _ []byte, _ device.Buffer) error { return ctx.Err() }

// walk goes through a forward of an expert of sizes d, of 41 frames of 480x832, on a
// device.Dry.
func walk(t *testing.T, dev device.Device, d shapes.Dims) {
	t.Helper()
	config, tensors := shapes.Expert(d)
	m, err := wan.Load(t.Context(), dev, checkpoint.OfShapes("expert", tensors), config)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := m.NewDrySession(t.Context(), wan.Size{F: 11, H: 60, W: 104, Tokens: []int{100}, Camera: true, Reuse: wan.AllReuse})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.DryForward(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
}

// planned returns what a walk holds on dev, by a plan.
func planned(t *testing.T, dev device.Device, d shapes.Dims) int64 {
	t.Helper()
	count := plan.NewDevice(dev, false)
	phase, err := count.Phase("walk", func() error { walk(t, count, d); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return phase.Buffers + phase.Scratch
}

// TestTunedPeak compares what a forward of real sizes holds with its plan: while
// variants are timed, and once they are chosen.
func TestTunedPeak(t *testing.T) {
	d := shapes.Real
	d.Layers = 1
	for _, compute := range []device.DType{device.F32, device.BF16} {
		folder := t.TempDir()
		run := func() (peak, plan int64) {
			drv := newClock(fastest("linear_bf16_64x64x32x4_xw", "linear_f32_64x64x16x4_xw")) // after an expansion of weights
			dev, err := open(drv, Options{Compute: compute, Tuning: folder})
			if err != nil {
				t.Fatal(err)
			}
			defer dev.Close()
			plan = planned(t, dev, d)
			walk(t, hollow{dev.(*gpu)}, d)
			peak = dev.Info().Peak
			t.Logf("%v: peak %d MB, planned %d MB, %d runs for timing", compute, peak>>20, plan>>20, len(*drv.runs))
			return peak, plan
		}
		timing, before := run()
		chosen, after := run()
		if timing > before || float64(timing) < 0.95*float64(before) {
			t.Errorf("%v: a peak of %d bytes while variants are timed, planned %d", compute, timing, before)
		}
		if chosen != after {
			t.Errorf("%v: a peak of %d bytes once they are chosen, planned %d", compute, chosen, after)
		}
		if float64(timing) > 1.05*float64(chosen) {
			t.Errorf("%v: timing takes %d bytes, a run %d", compute, timing, chosen)
		}
	}
}

// TestPlannedPeak compares what small models hold with their plans, to the byte.
func TestPlannedPeak(t *testing.T) {
	layout := openLayout(t)
	for _, c := range computes {
		for name, run := range map[string]func(t *testing.T, dev device.Device) error{
			"text": func(t *testing.T, dev device.Device) error {
				enc, err := umt5.Load(t.Context(), dev, layout.Text)
				if err != nil {
					return err
				}
				defer enc.Close()
				_, err = enc.Encode(t.Context(), make([]int32, 37))
				return err
			},
			"expert": func(t *testing.T, dev device.Device) error { return forwardAny(t, dev, layout.Experts) },
			"VAE":    decodeAny,
		} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				dev := openTest(t, Options{Compute: c.dtype})
				count := plan.NewDevice(dev, false)
				phase, err := count.Phase(name, func() error { return run(t, count) })
				if err != nil {
					t.Fatal(err)
				}
				if err := run(t, dev); err != nil {
					t.Fatal(err)
				}
				if info := dev.Info(); info.Peak != phase.Buffers+phase.Scratch || info.Allocated != 0 {
					t.Errorf("a peak of %d bytes, planned %d and %d of scratch; %d are left", info.Peak, phase.Buffers, phase.Scratch, info.Allocated)
				}
			})
		}
	}
}

// forwardAny runs a forward of one of the experts.
func forwardAny(t *testing.T, dev device.Device, experts map[string]checkpoint.Expert) error {
	for _, e := range experts {
		m, err := wan.Load(t.Context(), dev, e.Store, e.Config)
		if err != nil {
			return err
		}
		defer m.Close()
		const f, h, w, words = 2, 6, 10, 5
		if device.IsDry(dev) {
			s, err := m.NewDrySession(t.Context(), wan.Size{F: f, H: h, W: w, Tokens: []int{words}, Reuse: wan.AllReuse})
			if err != nil {
				return err
			}
			defer s.Close()
			return s.DryForward(t.Context(), 0)
		}
		s, err := m.NewSession(t.Context(), wan.Input{
			F: f, H: h, W: w, Reuse: wan.AllReuse,
			Y: make([]float32, (e.Config.InDim-e.Config.OutDim)*f*h*w), Contexts: [][]float32{make([]float32, words*m.TextDim)},
		})
		if err != nil {
			return err
		}
		defer s.Close()
		x := make([]float32, e.Config.OutDim*f*h*w)
		return s.Velocity(t.Context(), x, 500, 0, x)
	}
	t.Fatal("no experts")
	return nil
}

// decodeAny decodes a small latent.
func decodeAny(t *testing.T, dev device.Device) error {
	store, err := checkpoint.OpenTorch(filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth"))
	if err != nil {
		return err
	}
	defer store.Close()
	v, err := vae.Load(t.Context(), dev, store, vae.WanStatistics())
	if err != nil {
		return err
	}
	defer v.Close()
	const f, h, w = 3, 5, 4
	if device.IsDry(dev) {
		return v.DryDecode(t.Context(), f, h, w, 2)
	}
	return v.Decode(t.Context(), make([]float32, v.Channels()*f*h*w), f, h, w, 2, func(int, []float32) error { return nil })
}
