package live

import (
	"context"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"log/slog"
	"math"
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

// TestDemoDecoder looks at a walk's pictures, which are those of the small decoder in the demo
// model's folder, and at a saved video's, which are the VAE's as they are without that decoder.
func TestDemoDecoder(t *testing.T) {
	demo := unpackDemo(t)
	w := demoWalk(t, demo)
	path := clip.StartWalk()
	path = path.Extend(steer(path.Last(), forward, w.Shape().Frames(1)-1))
	prompt, err := w.Encode(t.Context(), demo.Settings.Prompt)
	if err != nil {
		t.Fatal(err)
	}
	latent, err := w.Make(t.Context(), path, prompt)
	if err != nil {
		t.Fatal(err)
	}
	quick, full := pictures(t, w, true, latent), pictures(t, w, false, latent)
	if len(quick) != len(full) {
		t.Fatalf("%d pictures by the small decoder, %d by the VAE", len(quick), len(full))
	}
	for i := range full {
		if d := psnr(quick[i], full[i]); d < 28 || math.IsInf(d, 1) {
			t.Errorf("picture %d of the small decoder is %.1f dB from the VAE's", i+1, d)
		}
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
	w.Close()
	if err := os.Remove(filepath.Join(demo.Checkpoint, "taew2_1.pth")); err != nil {
		t.Fatal(err)
	}
	for i, p := range pictures(t, demoWalk(t, demo), true, latent) {
		if d := psnr(p, full[i]); !math.IsInf(d, 1) {
			t.Errorf("without a small decoder picture %d is %.1f dB from the VAE's", i+1, d)
		}
	}
}

// psnr returns how far two pictures are apart in dB; infinity for the same.
func psnr(a, b *image.RGBA) float64 {
	if a.Rect != b.Rect {
		return 0
	}
	sum := 0.0
	for i := range a.Pix {
		d := float64(a.Pix[i]) - float64(b.Pix[i])
		sum += d * d
	}
	return 10 * math.Log10(255*255*float64(3*len(a.Pix)/4)/sum)
}

// TestDemoWords changes the prompt in flight: after two chunks of noon it gets dark in four.
func TestDemoWords(t *testing.T) {
	w := demoWalk(t, unpackDemo(t))
	const noons, chunks = 2, 6
	path := clip.StartWalk()
	path = path.Extend(steer(path.Last(), Input{}, w.Shape().Frames(chunks)-1))
	var latents [][]float32
	for k := range chunks {
		text := "a green meadow with columns at noon"
		if k >= noons {
			text = "a green meadow with columns at night"
		}
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
	day, night := brightness(list[w.Shape().Frames(noons)-1]), brightness(list[len(list)-1])
	t.Logf("the last picture's brightness is %.3f by noon and %.3f by night", day, night)
	if night > 0.5*day {
		t.Errorf("by night it is %.2f as bright as by noon, want at most 0.5", night/day)
	}
}

// brightness returns the mean luma of a picture, 0 to 1.
func brightness(p *image.RGBA) (sum float64) {
	for i := 0; i < len(p.Pix); i += 4 {
		sum += 0.299*float64(p.Pix[i]) + 0.587*float64(p.Pix[i+1]) + 0.114*float64(p.Pix[i+2])
	}
	return sum / 255 / float64(len(p.Pix)/4)
}
