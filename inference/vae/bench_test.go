package vae

import (
	"encoding/binary"
	"fmt"
	"io"
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
	const base, z, blocks = 96, 16, 2
	dims := [...]int{base, 2 * base, 4 * base, 4 * base}
	inTime := [...]bool{false, true, true}
	var w writer

	w.conv("encoder.conv1", base, 3, 3, 3, 3)
	w.section = "encoder.downsamples."
	c := base
	for level, out := range dims {
		for range blocks {
			c = w.residual(w.next(), c, out)
		}
		if level < len(inTime) {
			name := w.next()
			w.conv(name+".resample.1", c, c, 3, 3)
			if inTime[level] {
				w.conv(name+".time_conv", c, c, 3, 1, 1)
			}
		}
	}
	w.ends("encoder", c, c, 2*z)
	w.conv("conv1", 2*z, 2*z, 1, 1, 1)
	w.conv("conv2", z, z, 1, 1, 1)

	w.section, w.layers = "decoder.upsamples.", 0
	w.conv("decoder.conv1", c, z, 3, 3, 3)
	for level := range dims {
		for range blocks + 1 {
			c = w.residual(w.next(), c, dims[len(dims)-1-level])
		}
		if level < len(inTime) {
			name := w.next()
			if inTime[len(inTime)-1-level] {
				w.conv(name+".time_conv", 2*c, c, 3, 1, 1)
			}
			w.conv(name+".resample.1", c/2, c, 3, 3)
			c /= 2
		}
	}
	w.ends("decoder", dims[len(dims)-1], c, 3)

	path := filepath.Join(b.TempDir(), "vae.safetensors")
	if err := weights.WriteSafetensors(path, w.tensors, nil); err != nil {
		b.Fatal(err)
	}
	store, err := weights.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

// writer collects random tensors.
type writer struct {
	tensors []weights.Source
	section string // of the layers that next names
	layers  int
}

func (w *writer) next() string {
	w.layers++
	return fmt.Sprint(w.section, w.layers-1)
}

// tensor adds values of the given mean and deviation.
func (w *writer) tensor(name string, mean, deviation float64, shape ...int) {
	n := device.Desc{Shape: shape}.Len()
	w.tensors = append(w.tensors, weights.Source{Name: name, DType: device.F32, Shape: shape, Write: func(out io.Writer) error {
		block := make([]byte, 0, 4<<16) // drawn once, then repeated
		for range min(n, cap(block)/4) {
			value := float32(mean + deviation*rand.NormFloat64())
			block = binary.LittleEndian.AppendUint32(block, math.Float32bits(value))
		}
		for left := 4 * n; left > 0; left -= len(block) {
			if _, err := out.Write(block[:min(left, len(block))]); err != nil {
				return err
			}
		}
		return nil
	}})
}

func (w *writer) conv(name string, out, in int, kernel ...int) {
	shape := append([]int{out, in}, kernel...)
	fan := device.Desc{Shape: shape[1:]}.Len()
	w.tensor(name+".weight", 0, 1/math.Sqrt(float64(fan)), shape...)
	w.tensor(name+".bias", 0, 0.1, out)
}

func (w *writer) residual(name string, in, out int) int {
	w.tensor(name+".residual.0.gamma", 1, 0.1, in, 1, 1, 1)
	w.conv(name+".residual.2", out, in, 3, 3, 3)
	w.tensor(name+".residual.3.gamma", 1, 0.1, out, 1, 1, 1)
	w.conv(name+".residual.6", out, out, 3, 3, 3)
	if in != out {
		w.conv(name+".shortcut", out, in, 1, 1, 1)
	}
	return out
}

// ends adds the middle, of c channels, and the head, from last channels to out.
func (w *writer) ends(half string, c, last, out int) {
	middle := half + ".middle."
	w.residual(middle+"0", c, c)
	w.tensor(middle+"1.norm.gamma", 1, 0.1, c, 1, 1)
	w.conv(middle+"1.to_qkv", 3*c, c, 1, 1)
	w.conv(middle+"1.proj", c, c, 1, 1)
	w.residual(middle+"2", c, c)
	w.tensor(half+".head.0.gamma", 1, 0.1, last, 1, 1, 1)
	w.conv(half+".head.2", out, last, 3, 3, 3)
}
