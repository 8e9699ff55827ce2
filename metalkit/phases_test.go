//go:build !darwin && !cuda

package metalkit

import (
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/soft"
)

// ledger is a driver that knows how many bytes it has given out.
type ledger struct {
	*soft.Driver
	mu   sync.Mutex
	size map[uintptr]int64
	held int64
}

func (l *ledger) Alloc(size int64) (driver.Memory, error) {
	m, err := l.Driver.Alloc(size)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.size[m.Handle] = size
		l.held += size
	}
	return m, err
}

func (l *ledger) Free(m driver.Memory) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.Unpin == nil { // no alias
		l.held -= l.size[m.Handle]
		delete(l.size, m.Handle)
	}
	l.Driver.Free(m)
}

func (l *ledger) now() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.held
}

// TestPhases generates a video, and wants the driver to hold no more than buffers when a
// phase has ended: nothing of the text encoder's, of an expert's, or of the VAE's.
func TestPhases(t *testing.T) {
	t.Parallel()
	plain, err := soft.New(2, false)
	if err != nil {
		t.Fatal(err)
	}
	drv := &ledger{Driver: plain, size: map[uintptr]int64{}}
	dev := openOver(t, drv, Options{})
	saw := func(string) {}
	seen := observed{dev, func(label string, _ []planned) { saw(label) }}
	p, err := engine.Load(t.Context(), seen, golden.Checkpoint(t), inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	loaded := drv.now()
	checked, experts := map[string]int{}, map[string]bool{}
	check := func(when string, want int64) {
		checked[when]++
		if held, allocated := drv.now(), dev.Info().Allocated; held != want || allocated != want {
			t.Errorf("%s: the driver holds %d bytes, buffers %d; want %d", when, held, allocated, want)
		}
	}
	check("loaded", loaded)
	last, kept := "", false
	saw = func(label string) {
		if last == "head" && label != "embeddings" {
			check("after an expert", dev.Info().Allocated) // the next phase's buffers are there
		}
		kept = kept || drv.now() > dev.Info().Allocated
		last = label
	}
	job := inference.DefaultJob()
	job.Image, job.Prompt = filepath.Join(golden.Dir(t), "image.png"), "the camera moves"
	job.Frames, job.Steps, job.MaxArea = 5, 2, 48*32
	job.Offload, job.Output = false, filepath.Join(t.TempDir(), "video.mp4")
	_, err = p.Generate(t.Context(), job, "", func(e inference.Event) {
		switch e := e.(type) {
		case inference.Step:
			experts[e.Expert] = true
		case inference.TextEncoded:
			check("after the text", loaded)
		case inference.Saved:
			check("after the video", loaded)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{"loaded": 1, "after the text": 1, "after an expert": len(experts), "after the video": 1}
	if !maps.Equal(checked, want) || !kept {
		t.Errorf("checked %v, want %v; memory was kept within a phase: %v", checked, want, kept)
	}
}
