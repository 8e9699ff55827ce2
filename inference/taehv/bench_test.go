package taehv

import (
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// wan are the sizes of taew2_1.
var wan = weights.TAEHVSizes{Channels: 16, Levels: [3]weights.TAEHVLevelSize{{Channels: 256, Grown: 256}, {Channels: 128, Grown: 256}, {Channels: 64, Grown: 128}}, Last: 64}

// random writes random weights of a table to a file and opens it.
func random(b *testing.B, name string, table weights.Table) *weights.Store {
	b.Helper()
	path := filepath.Join(b.TempDir(), name+".safetensors")
	if err := weights.WriteSafetensors(path, table.Random(b.Context(), device.F32), nil); err != nil {
		b.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

// BenchmarkDecode decodes 9 frames of 240x416 with the small decoder and with the VAE's, both
// of their real sizes and random weights, one after the other.
func BenchmarkDecode(b *testing.B) {
	dev := openCPU(b)
	stats := vae.WanStatistics()
	full, err := vae.Load(b.Context(), dev, random(b, "vae", weights.LingBotWorld.VAESizes().Table()), stats)
	if err != nil {
		b.Fatal(err)
	}
	defer full.Close()
	tiny, err := Load(b.Context(), dev, random(b, "taew2_1", wan.Table()), stats)
	if err != nil {
		b.Fatal(err)
	}
	defer tiny.Close()
	const f, h, w = 3, 240 / 8, 416 / 8
	latent := make([]float32, 16*f*h*w)
	for i := range latent {
		latent[i] = float32(rand.NormFloat64())
	}
	var small, large time.Duration
	var peaks [2]int64
	for b.Loop() {
		begin := time.Now()
		err := tiny.Decode(b.Context(), latent, f, h, w, vae.DecodeOptions{}, func(int, []float32) error {
			peaks[0] = max(peaks[0], dev.Info().Allocated)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		small += time.Since(begin)
		begin = time.Now()
		err = full.Decode(b.Context(), latent, f, h, w, vae.DecodeOptions{Chunk: 1}, func(int, []float32) error {
			peaks[1] = max(peaks[1], dev.Info().Allocated)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		large += time.Since(begin)
	}
	b.ReportMetric(large.Seconds()/small.Seconds(), "times-faster")
	b.ReportMetric(small.Seconds()/float64(b.N), "tiny-s")
	b.ReportMetric(large.Seconds()/float64(b.N), "full-s")
	b.ReportMetric(float64(peaks[0])/1e6, "tiny-MB")
	b.ReportMetric(float64(peaks[1])/1e6, "full-MB")
}
