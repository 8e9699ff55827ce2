package nn

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
)

// BenchmarkKronecker compares a layer of the real size alone with the same layer and a product of
// Kronecker's beside it, as its factors are and as one matrix: the time of each as a multiple of
// the layer's alone, and its memory beside the layer. They run in turn, and the fastest counts.
func BenchmarkKronecker(b *testing.B) {
	const in, out, rows = 5120, 13824, 780
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer dev.Close()
	a := NewArena(dev)
	defer a.Release()
	random := func(rows, cols int) device.Mat {
		rnd := rand.New(rand.NewPCG(uint64(rows), uint64(cols)))
		return a.Filled(b.Context(), "random", rows, cols, func(to []float32) {
			for i := range to {
				to[i] = rnd.Float32() - 0.5
			}
		})
	}
	weight := device.DenseWeight(random(out, in))
	x, y := random(rows, in), a.Mat("y", 0, rows, out)
	layer := func(s ...Side) Linear {
		l := Linear{Weight: weight, Sides: s, Narrow: &Narrow{}}
		if n := l.Room().Values(rows); n > 0 {
			l.Narrow.Mat = a.Mat("narrow", 0, 1, n)
		}
		return l
	}
	dense := layer(Side{Up: device.DenseWeight(random(out, in))})
	if err := a.Err(); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct{ left, leftIn, rank int }{{108, 64, 0}, {8, 8, 0}, {8, 8, 16}} {
		side := Side{Left: device.DenseWeight(random(c.left, c.leftIn)), Up: device.DenseWeight(random(out/c.left, in/c.leftIn))}
		if c.rank > 0 {
			side.Up, side.Down = device.DenseWeight(random(out/c.left, c.rank)), device.DenseWeight(random(c.rank, in/c.leftIn))
		}
		b.Run(fmt.Sprintf("%dx%d,rank=%d", c.left, c.leftIn, c.rank), func(b *testing.B) {
			layers := []Linear{layer(), layer(side), dense}
			best := make([]time.Duration, len(layers))
			for b.Loop() {
				for i, l := range layers {
					began := time.Now()
					err := dev.Do(b.Context(), "layer", func(enc device.Encoder) { l.Record(enc, x, y, Epilogue{}) })
					if err := errors.Join(err, a.Err()); err != nil {
						b.Fatal(err)
					}
					if took := time.Since(began); best[i] == 0 || took < best[i] {
						best[i] = took
					}
				}
			}
			b.ReportMetric(float64(best[1])/float64(best[0]), "time")
			b.ReportMetric(float64(best[2])/float64(best[0]), "dense-time")
			b.ReportMetric(float64(c.left*c.leftIn*4+4*side.Up.Out*side.Up.In+4*side.Down.Out*side.Down.In)/1e6, "MB")
			b.ReportMetric(float64(4*layers[1].Room().Values(rows))/1e6, "MB-shared")
			b.ReportMetric(4*float64(in)*float64(out)/1e6, "dense-MB")
		})
	}
}
