package vae

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/vae/internal/sgemm"
	"gimbal/inference/weights"
)

// BenchmarkDecode decodes 5 frames of 240x416 with a network of Wan 2.1's real
// sizes and random weights, and compares the rate of its multiplications with
// that of plain matrix products in the same run.
func BenchmarkDecode(b *testing.B) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	v, err := Load(b.Context(), dev, synthetic(b), WanStatistics())
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	const f, h, w = 2, 240 / 8, 416 / 8
	latent := make([]float32, v.channels*f*h*w)
	for i := range latent {
		latent[i] = float32(rand.NormFloat64())
	}
	plain := math.Inf(1) // seconds an operation, the best of some beside every frame
	yardstick := sgemm.New()
	for b.Loop() {
		err := v.Decode(b.Context(), latent, f, h, w, DecodeOptions{Chunk: 1}, func(int, []float32) error {
			b.StopTimer()
			for range 4 {
				plain = min(plain, yardstick.Seconds())
			}
			b.StartTimer()
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	own := b.Elapsed().Seconds() / float64(b.N) / work(v.decoder, f, h, w)
	b.ReportMetric(1e-9/own, "GFLOP/s")
	b.ReportMetric(plain/own, "of-sgemm")
	b.ReportMetric(float64(dev.Info().Peak)/1e6, "peak-MB")
}

// work returns the floating-point operations of layers for a latent of f frames.
func work(layers []layer, f, h, w int) (flops float64) {
	for _, l := range layers {
		pixels := f * h * w
		do := func(c *conv, pixels int) {
			flops += 2 * float64(c.out*c.in*c.kt*c.kh*c.kw) * float64(pixels)
		}
		switch l := l.(type) {
		case *pointwise:
			do(l.conv, pixels)
		case *causal:
			do(l.conv, pixels)
		case *residual:
			do(l.conv1, pixels)
			do(l.conv2, pixels)
			if l.shortcut != nil {
				do(l.shortcut, pixels)
			}
		case *attention:
			do(l.qkv, pixels)
			do(l.proj, pixels)
			flops += 4 * float64(l.proj.in) * float64(pixels) * float64(h*w)
		case *temporalUpsample:
			do(l.conv, (f-1)*h*w)
			f = 2*f - 1
		case *spatialUpsample:
			h, w = 2*h, 2*w
			do(l.conv, f*h*w)
		}
	}
	return flops
}

// synthetic writes a VAE of Wan 2.1's real sizes with random weights and opens it.
func synthetic(b *testing.B) *weights.Store {
	b.Helper()
	table := weights.LingBotWorld.VAESizes().Table()
	path := filepath.Join(b.TempDir(), "vae.safetensors")
	if err := weights.WriteTemporary(path, table.Random(b.Context(), device.F32), nil); err != nil {
		b.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}
