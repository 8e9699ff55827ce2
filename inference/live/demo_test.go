package live

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
)

// unpackDemo puts the demo model into a folder of the test's own.
func unpackDemo(tb testing.TB) assets.Demo {
	tb.Helper()
	demo, err := assets.UnpackDemo(tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	return demo
}

// demoWalk opens a walk by the demo model.
func demoWalk(tb testing.TB, demo assets.Demo) *engine.Walk {
	tb.Helper()
	e := engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) }, RatesDir: tb.TempDir(), Log: slog.New(slog.DiscardHandler),
	})
	tb.Cleanup(func() { e.Close() })
	job := inference.DefaultJob()
	job.Image, job.Prompt = filepath.Join(demo.Pictures, "meadow.png"), demo.Settings.Prompt
	r, ok, err := engine.WalkRequest(engine.Request{Checkpoint: demo.Checkpoint, Job: job})
	if !ok || err != nil {
		tb.Fatalf("the demo model is not causal: %v", err)
	}
	w, err := e.OpenWalk(tb.Context(), r, func(inference.Event) {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.Close)
	return w
}

// pictures decodes chunks that follow each other.
func pictures(tb testing.TB, w *engine.Walk, quick bool, latents ...[]float32) (list []*image.RGBA) {
	tb.Helper()
	d := w.NewDecoder(quick)
	defer d.Close()
	for _, latent := range latents {
		if err := d.Decode(tb.Context(), latent, func(p *image.RGBA) error { list = append(list, p); return nil }); err != nil {
			tb.Fatal(err)
		}
	}
	return list
}

// TestDemoDecoder has a small decoder lie in the demo model's folder: the pictures of a walk are
// its own, and saved videos the VAE's as ever.
func TestDemoDecoder(t *testing.T) {
	demo := unpackDemo(t)
	alone := demoWalk(t, demo)
	latent := make([]float32, alone.Shape().Latent)
	for i := range latent {
		latent[i] = float32(i%13)/6 - 1
	}
	same := func(a, b []*image.RGBA) bool {
		return slices.EqualFunc(a, b, func(p, q *image.RGBA) bool { return p.Rect == q.Rect && slices.Equal(p.Pix, q.Pix) })
	}
	full := pictures(t, alone, false, latent)
	if !same(pictures(t, alone, true, latent), full) {
		t.Error("without a small decoder a walk's pictures are not the VAE's")
	}
	alone.Close()
	sizes := weights.TAEHVSizes{Channels: 16, Levels: [3]weights.TAEHVLevelSize{{Channels: 24, Grown: 24}, {Channels: 16, Grown: 32}, {Channels: 8, Grown: 16}}, Last: 12}
	if err := weights.WriteTemporary(filepath.Join(demo.Checkpoint, "taew2_1.safetensors"), sizes.Table().Random(t.Context(), device.F16), nil); err != nil {
		t.Fatal(err)
	}
	w := demoWalk(t, demo)
	if quick := pictures(t, w, true, latent); len(quick) != len(full) || quick[0].Rect != full[0].Rect || same(quick, full) {
		t.Errorf("with a small decoder a walk has %d pictures; they are the VAE's, or of another size", len(quick))
	}
	dir := t.TempDir()
	video := engine.WalkVideo{
		Output: filepath.Join(dir, "walk.mp4"), FramesDir: filepath.Join(dir, "frames"), Prompt: "a meadow", Chunks: 1,
		Latent: func(int) ([]float32, error) { return latent, nil },
	}
	if _, err := w.Save(t.Context(), video, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	for i, want := range full {
		f, err := os.Open(filepath.Join(video.FramesDir, fmt.Sprintf("frame_%05d.png", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		img, err := png.Decode(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		got := image.NewRGBA(img.Bounds())
		draw.Draw(got, got.Rect, img, image.Point{}, draw.Src)
		if !slices.Equal(got.Pix, want.Pix) {
			t.Errorf("with a small decoder picture %d of a saved video is not the VAE's", i+1)
		}
	}
}

// TestDemoWords changes the prompt in flight: by night it gets darker than by noon.
func TestDemoWords(t *testing.T) {
	w := demoWalk(t, unpackDemo(t))
	const chunks = 3
	path := clip.StartWalk()
	path = path.Extend(steer(path.Last(), forward, w.Shape().Frames(chunks)-1))
	noon, night := "a green meadow with columns at noon", "a green meadow with columns at night"
	bright := func(texts ...string) float64 {
		if err := w.Return(t.Context(), 0, path, nil, nil); err != nil {
			t.Fatal(err)
		}
		var latents [][]float32
		for _, text := range texts {
			p, err := w.Encode(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			x, err := w.Make(t.Context(), path, p)
			if err == nil {
				err = w.Remember(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			latents = append(latents, x)
		}
		list := pictures(t, w, true, latents...)
		return brightness(list[len(list)-1])
	}
	day, evening := bright(noon, noon, noon), bright(noon, night, night)
	t.Logf("two chunks later the picture's brightness is %.3f by noon and %.3f by night", day, evening)
	if evening > 0.95*day {
		t.Errorf("by night it is %.2f as bright as by noon, want at most 0.95", evening/day)
	}
}

// brightness returns the mean luma of a picture, 0 to 1.
func brightness(p *image.RGBA) (sum float64) {
	for i := 0; i < len(p.Pix); i += 4 {
		sum += 0.299*float64(p.Pix[i]) + 0.587*float64(p.Pix[i+1]) + 0.114*float64(p.Pix[i+2])
	}
	return sum / 255 / float64(len(p.Pix)/4)
}
