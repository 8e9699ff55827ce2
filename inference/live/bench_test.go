package live

import (
	"context"
	"image"
	"log/slog"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// cpuTime is what this process used of the processors.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkChunk makes, remembers and decodes chunks of the demo model one after the other, and
// changes the prompt after the last, and reports what each takes: in time, and, as "cpu", of the
// processors, which counts on a machine that does other things too.
func BenchmarkChunk(b *testing.B) {
	w := demoWalk(b, unpackDemo(b))
	prompt, err := w.Encode(b.Context(), "a green meadow at noon")
	if err != nil {
		b.Fatal(err)
	}
	other, err := w.Encode(b.Context(), "a green meadow at night")
	if err != nil {
		b.Fatal(err)
	}
	d := w.NewDecoder(true)
	defer d.Close()
	const chunks = 12 // past the window
	shape := w.Shape()
	path := clip.StartWalk()
	path = path.Extend(steer(path.Last(), Input{Move: clip.WASD{1}, Turn: clip.IJKL{1: 1}}, shape.Frames(chunks)-1))
	var took, used [4]time.Duration
	measure := func(i int, f func() error) {
		begin, cpu := time.Now(), cpuTime()
		if err := f(); err != nil {
			b.Fatal(err)
		}
		took[i], used[i] = took[i]+time.Since(begin), used[i]+cpuTime()-cpu
	}
	n := 0
	for b.Loop() {
		if err := w.Return(b.Context(), engine.Way{}, nil); err != nil {
			b.Fatal(err)
		}
		var latents [][]float32
		for range chunks {
			n++
			measure(0, func() error {
				x, err := w.Make(b.Context(), path, prompt)
				latents = append(latents, x)
				return err
			})
			measure(1, func() error { return w.Remember(b.Context()) })
			measure(2, func() error {
				return d.Decode(b.Context(), latents[len(latents)-1], func(*image.RGBA) error { return nil })
			})
		}
		measure(3, func() error { return w.Tell(b.Context(), path, other) })
	}
	for i, name := range []string{"make", "remember", "decode", "tell"} {
		unit, times := "chunk", n
		if name == "tell" {
			unit, times = "change", n/chunks
		}
		b.ReportMetric(took[i].Seconds()/float64(times), name+"-s/"+unit)
		b.ReportMetric(used[i].Seconds()/float64(times), name+"-cpu-s/"+unit)
	}
}

// BenchmarkReturn goes to the end of a long way by the demo model. What it takes of the
// processors is counted in chunks that are remembered as a whole, as many as the model is told of.
func BenchmarkReturn(b *testing.B) {
	const chunks = 100
	w := demoWalk(b, unpackDemo(b))
	shape := w.Shape()
	path := clip.StartWalk()
	path = path.Extend(steer(path.Last(), Input{Move: clip.WASD{1}, Turn: clip.IJKL{1: 1}}, shape.Frames(chunks)-1))
	prompt, err := w.Encode(b.Context(), "a green meadow at noon")
	if err != nil {
		b.Fatal(err)
	}
	latent := make([]float32, shape.Latent)
	for i := range latent {
		latent[i] = float32(i%7)/3 - 1
	}
	asked := 0
	back := func() {
		way := engine.Way{Chunks: chunks, Prompt: prompt, Path: path, Latent: func(int) ([]float32, error) { return latent, nil }}
		if err := w.Return(b.Context(), way, func(_, of int) { asked = of }); err != nil {
			b.Fatal(err)
		}
	}
	back() // encodes the picture
	n, cpu := 0, cpuTime()
	for b.Loop() {
		n++
		back()
	}
	b.ReportMetric(float64(asked), "chunks")
	b.ReportMetric((cpuTime()-cpu).Seconds()/float64(n), "cpu-s")
}

// BenchmarkWalk walks by the demo model for a while: how many pictures a second are seen, and
// how long after the first key the first of them.
func BenchmarkWalk(b *testing.B) {
	w := demoWalk(b, unpackDemo(b))
	first := make(chan time.Time, 1)
	s := New(Options{
		Open: func(context.Context) (Walker, error) { return Of(w), nil }, Dir: filepath.Join(b.TempDir(), "walk"), Idle: true,
		Changed: func() {}, Log: slog.New(slog.DiscardHandler),
		Picture: func(p Picture) {
			if p.Chunk == 0 && p.Index == 0 {
				first <- time.Now()
			}
		},
	})
	wait := func(is func(State) bool) State {
		for {
			if st := s.State(); is(st) {
				return st
			} else if st.Phase == Failed {
				b.Fatal(st.Err)
			}
			time.Sleep(time.Millisecond)
		}
	}
	wait(func(st State) bool { return st.Waiting })
	pressed, cpu := time.Now(), cpuTime()
	s.Hold(forward)
	begin := <-first
	const chunks = 16
	wait(func(st State) bool { return len(st.Way) >= chunks })
	s.Hold(Input{})
	st := wait(func(st State) bool { return st.Waiting && st.Ahead == 0 })
	took := time.Since(begin)
	pictures := float64(w.Shape().Frames(len(st.Way)))
	for b.Loop() { // once: it is one walk
	}
	b.ReportMetric(pictures/took.Seconds(), "pictures/s")
	b.ReportMetric(begin.Sub(pressed).Seconds(), "s-to-first")
	b.ReportMetric((cpuTime()-cpu).Seconds()/pictures, "cpu-s/picture")
	if err := s.Close(); err != nil {
		b.Error(err)
	}
}
