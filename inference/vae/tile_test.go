package vae_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// loadDemo loads the demo model's VAE.
func loadDemo(t *testing.T) *vae.VAE {
	t.Helper()
	layout, err := weights.OpenLayout(filepath.Join("..", "..", "assets", "demo"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { layout.Close() })
	c := layout.VAEConfig
	v, err := vae.Load(t.Context(), openCPU(t), layout.VAE, vae.Statistics{Mean: c.LatentsMean, Std: c.LatentsStd})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(v.Close)
	return v
}

// demoLatent returns the latent of the demo model's reference run.
func demoLatent(t *testing.T) (latent []float32, f, h, w int) {
	t.Helper()
	c := golden.CasesIn(t, filepath.Join("..", "..", "assets", "demo", "testdata"), "e2e_")[0]
	latent, shape := c.F32(t, "latent")
	shape = shape[len(shape)-3:]
	return latent, shape[0], shape[1], shape[2]
}

// TestSeams measures how far pictures in tiles are from whole ones, with the demo
// model, whose pictures mean something, and the reference's. One tile is exact.
func TestSeams(t *testing.T) {
	reference := load(t, openCPU(t))
	noise := random(reference.Channels()*2*12*16, 7)
	latent, f, h, w := demoLatent(t)
	for _, c := range []struct {
		name    string
		v       *vae.VAE
		latent  []float32
		f, h, w int
		least   map[int]float64 // PSNR, by side
	}{
		{"demo", loadDemo(t), latent, f, h, w, map[int]float64{64: 40, 96: 45}},
		{"reference", reference, noise, 2, 12, 16, map[int]float64{64: 20, 96: 25}},
	} {
		whole := decode(t, c.v, c.latent, c.f, c.h, c.w, 1)
		for _, side := range []int{64, 96, 4096} {
			got := decodeTiles(t, c.v, c.latent, c.f, c.h, c.w, side)
			if c.v.Tiles(c.h, c.w, side) == 1 {
				if !slices.Equal(got, whole) {
					t.Errorf("%s: one tile of %d differs from the whole", c.name, side)
				}
				continue
			}
			psnr, largest := differ(got, whole)
			t.Logf("%s: %d tiles of %d pixels: PSNR %.1f dB, largest difference %.3f of 2", c.name, c.v.Tiles(c.h, c.w, side), side, psnr, largest)
			if psnr < c.least[side] {
				t.Errorf("%s: tiles of %d: PSNR %.1f dB, want %v", c.name, side, psnr, c.least[side])
			}
		}
		height, width := c.h*c.v.Stride(), c.w*c.v.Stride()
		frames := c.v.Frames(c.f)
		source := feed(whole, frames, height*width)
		want, err := c.v.Encode(t.Context(), source, frames, height, width, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := c.v.Encode(t.Context(), source, frames, height, width, 64)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: encoded in tiles of 64: %.3g from the whole", c.name, golden.RelL2(got, want))
		golden.Check(t, c.name+" encoded in tiles", got, want, 0.3)
	}
}

func decodeTiles(t *testing.T, v *vae.VAE, latent []float32, f, h, w, side int) []float32 {
	t.Helper()
	frames, plane := v.Frames(f), h*w*v.Stride()*v.Stride()
	video := make([]float32, 3*frames*plane)
	last, all := 0, 0
	told := func(done, total int) {
		if done != last+1 || done > total || all > 0 && total != all {
			t.Errorf("%d of %d done after %d of %d", done, total, last, all)
		}
		last, all = done, total
	}
	err := v.Decode(t.Context(), latent, f, h, w, vae.DecodeOptions{Chunk: 1, Tile: side, Progress: told},
		func(at int, rgb []float32) error {
			for c := range 3 {
				copy(video[(c*frames+at)*plane:], rgb[c*plane:(c+1)*plane])
			}
			return nil
		})
	if err != nil || last != all {
		t.Fatal(last, all, err)
	}
	return video
}

// differ compares pictures of values from -1 to 1.
func differ(got, want []float32) (psnr, largest float64) {
	var sum float64
	for i := range want {
		d := float64(min(max(got[i], -1), 1) - min(max(want[i], -1), 1))
		sum += d * d
		largest = max(largest, math.Abs(d))
	}
	return 10 * math.Log10(4/(sum/float64(len(want)))), largest
}
