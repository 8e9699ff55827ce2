package studio

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/library"
	"gimbal/inference/weights"
)

// real returns the real engine on the CPU, and the demo model.
func real(t *testing.T) (Engine, assets.Demo) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // what is made must not go to the user's
	t.Setenv("HOME", t.TempDir())
	demo, err := assets.UnpackDemo(t.TempDir())
	must(t, err)
	return newReal(t), demo
}

func newReal(t *testing.T) Engine {
	return NewEngine(EngineOptions{
		Open:     func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) },
		RatesDir: t.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
}

// TestRealRun makes a video with the demo model through everything but the window,
// then cancels another, closes the program, and resumes.
func TestRealRun(t *testing.T) {
	engine, demo := real(t)
	dir := t.TempDir()
	b := &bench{t: t, dir: dir, trash: dir}
	open := func() {
		st, err := New(Options{
			Engine: engine, Dir: filepath.Join(dir, "own"), OutputDir: filepath.Join(dir, "videos"), Trash: fakeTrash(dir),
			Demo: func() (assets.Demo, error) { return demo, nil }, Log: slog.New(slog.DiscardHandler),
		})
		must(t, err)
		b.Studio = st
	}
	open()
	b.await("the start", func(s Snapshot) bool {
		return s.Model.Whole && s.Form.CanRun && s.Form.Tokens.Limit > 0 && s.Device.Ready
	})
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSteps, "3")
	b.Edit(FieldSize, "9216")
	e := b.generate()
	e = b.finished(e.ID, library.Done)
	s := b.await("the video", func(s Snapshot) bool { return s.Stage.Video != nil })
	if v := s.Stage.Video; v.Frames != 5 || v.Width != e.Width || v.Height != e.Height || s.Run.Memory.Process == 0 {
		t.Errorf("video %+v, entry %+v, memory %+v", v, e, s.Run.Memory)
	}
	if _, err := s.Stage.Video.Frame(4); err != nil {
		t.Error(err)
	}

	b.Edit(FieldSteps, "200")
	second := b.generate()
	b.await("steps", func(s Snapshot) bool { return s.Run.Entry.ID == second.ID && s.Run.Step >= 1 })
	must(t, b.Close(t.Context()))
	engine = newReal(t)
	open()
	defer func() { must(t, b.Close(t.Context())) }()
	again := b.finished(second.ID, library.Interrupted)
	if !again.CanResume() || again.Steps == 0 {
		t.Fatalf("entry %+v", again)
	}
	b.await("the start", func(s Snapshot) bool { return s.Model.Whole })
	b.Resume(second.ID)
	b.await("resuming", func(s Snapshot) bool { return s.Run.FirstStep > 1 && s.Run.Step >= s.Run.FirstStep })
	begin := time.Now()
	b.Cancel(second.ID)
	b.finished(second.ID, library.Cancelled)
	t.Logf("cancelling took %v", time.Since(begin))
}

func TestInspect(t *testing.T) {
	engine, demo := real(t)
	defer func() { must(t, engine.Close()) }()
	dev, err := engine.Device(t.Context())
	must(t, err)
	if dev.Name == "" || len(dev.Unsupported) != 0 {
		t.Errorf("device %+v", dev)
	}
	m, err := engine.Inspect(t.Context(), demo.Checkpoint)
	must(t, err)
	if !m.Whole || !m.HasCamera || len(m.Parts) < 4 || len(m.Cached) != 0 {
		t.Errorf("model %+v", m)
	}
	nf4 := weights.Quant{Format: weights.NF4}
	dev2, err := cpu.Open(cpu.Options{})
	must(t, err)
	defer dev2.Close()
	p, err := inference.Load(t.Context(), inference.Options{Checkpoint: demo.Checkpoint, Device: dev2, Quant: nf4}, func(inference.Event) {})
	must(t, err)
	must(t, p.Close())
	if m, err = engine.Inspect(t.Context(), demo.Checkpoint); err != nil || len(m.Cached) != 1 || m.Cached[0] != nf4 {
		t.Errorf("cached %v, %v", m.Cached, err)
	}
	counts, err := engine.Tokens(t.Context(), demo.Checkpoint, "a green meadow", "")
	must(t, err)
	if counts[0].N < 4 || counts[0].Limit == 0 || counts[1].N != 1 {
		t.Errorf("counts %+v", counts)
	}
	must(t, os.Remove(filepath.Join(demo.Checkpoint, "Wan2.1_VAE.pth")))
	m, err = engine.Inspect(t.Context(), demo.Checkpoint)
	if err == nil || m.Whole || m.Parts[len(m.Parts)-1].Error == "" {
		t.Errorf("without a VAE: %+v, %v", m, err)
	}
}

func TestEstimate(t *testing.T) {
	engine, demo := real(t)
	defer func() { must(t, engine.Close()) }()
	in := DefaultInputs()
	in.Frames, in.Steps, in.MaxArea = 5, 3, 28672
	e, err := engine.Estimate(t.Context(), Request{Checkpoint: demo.Checkpoint, Job: in.job(), Camera: true})
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip("no plans yet")
	}
	must(t, err)
	if !e.Known || e.Memory <= 0 || len(e.Phases) == 0 || e.Time <= 0 {
		t.Errorf("estimate %+v", e)
	}
}
