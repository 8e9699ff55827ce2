package engine_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
)

// TestOffload makes sure that the text encoder is let go of after use, or kept, as the
// job says, that the video is the same, and that the next job has it again.
func TestOffload(t *testing.T) {
	dev := openDevice(t)
	p, err := engine.Load(t.Context(), dev, golden.Checkpoint(t), inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	loaded := dev.Info().Allocated
	var first []byte
	for _, offload := range []bool{false, true, true, false} {
		job := quick(t)
		job.Offload, job.Output = offload, filepath.Join(t.TempDir(), "video.mp4")
		var during int64 // held when the text is encoded
		saved, err := p.Generate(t.Context(), job, "", func(e inference.Event) {
			if _, ok := e.(inference.TextEncoded); ok {
				during = dev.Info().Allocated
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if after := dev.Info().Allocated; offload != (during < loaded) || offload != (after < loaded) {
			t.Errorf("offload %v: %d bytes of buffers loaded, %d after the text, %d in the end", offload, loaded, during, after)
		}
		if video := read(t, saved.Video); first == nil {
			first = video
		} else if !bytes.Equal(video, first) {
			t.Errorf("offload %v makes another video", offload)
		}
	}
}
