package wan_test

import (
	"math"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/wan"
)

// causalBench is a session of a causal model at some chunk of a video of 240x416, in the window
// that the models' makers recommend.
type causalBench struct {
	*wan.Session
	x, y, plucker []float32
}

func newCausalBench(b *testing.B, m *wan.Model, chunk int) causalBench {
	b.Helper()
	in, _ := benchInput(m, 240, 416, wan.AllReuse)
	in.F = 4
	positions := in.F * in.H * in.W
	c := causalBench{x: random(5, m.Config.OutDim*positions), y: random(1, (m.Config.InDim-m.Config.OutDim)*positions), plucker: random(2, m.CameraChannels*positions)}
	in.Y, in.Plucker, in.Contexts = nil, nil, in.Contexts[:1]
	in.Cache = &wan.Cache{Frames: 18, Sink: 6, Times: []float64{999, 967, 908, 768, 0}}
	c.Session = newSession(b, m, in)
	for range chunk + 1 {
		if err := c.Chunk(b.Context(), c.y, c.plucker); err != nil {
			b.Fatal(err)
		}
	}
	return c
}

// run makes the chunk: its camera branch, four steps and the clean forward.
func (c causalBench) run(b *testing.B) time.Duration {
	b.Helper()
	start := time.Now()
	if err := c.Again(b.Context(), c.y, c.plucker); err != nil {
		b.Fatal(err)
	}
	for _, t := range []float64{999, 967, 908, 768} {
		velocity(b, c.Session, c.x, t, 0)
	}
	if err := c.Remember(b.Context(), c.x, 0); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// BenchmarkChunk makes chunks of a causal model of the 1.3B's width and two blocks. Beside
// the time it reports that of the processor, which other programs prolong less.
func BenchmarkChunk(b *testing.B) {
	c := newCausalBench(b, synthetic(b, openDevice(b), benchDims), 6)
	began := processorTime()
	for b.Loop() {
		c.run(b)
	}
	b.ReportMetric((processorTime()-began).Seconds()/float64(b.N), "cpu-s/op")
}

// processorTime is what all threads of the process have computed for.
func processorTime() time.Duration {
	var u syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChunkLength makes chunk 6 and chunk 40 of a video in turn, and reports the times
// of the fastest of each as a ratio, and that of the memory that the device holds.
func BenchmarkChunkLength(b *testing.B) {
	d := benchDims
	d.Dim, d.FFN, d.Heads = 384, 2240, 3 // a quarter of the width, for 40 chunks are gone through
	devices := [2]device.Device{openDevice(b), openDevice(b)}
	var chunks [2]causalBench
	for i, chunk := range []int{6, 40} {
		chunks[i] = newCausalBench(b, synthetic(b, devices[i], d), chunk)
	}
	best := [2]time.Duration{math.MaxInt64, math.MaxInt64}
	for b.Loop() {
		for i, c := range chunks {
			best[i] = min(best[i], c.run(b))
		}
	}
	b.ReportMetric(best[1].Seconds()/best[0].Seconds(), "late/early-time")
	b.ReportMetric(float64(devices[1].Info().Peak)/float64(devices[0].Info().Peak), "late/early-memory")
}
