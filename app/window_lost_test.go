//go:build !headless

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference/library"
)

// TestWindowLostWeights takes the model's weights away while a run in the window is under way,
// as a disk that is pulled out does: the run fails for that cause and is kept, the window
// answers, and the run goes on once they are back.
func TestWindowLostWeights(t *testing.T) {
	p := newSession(t)
	picture := p.picture(t, "desert.png")
	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.drop(picture)
	p.fill("sample_steps", "30")
	p.fill("frame_num", "9")
	p.settle()
	p.click("generate")

	var weights string
	p.wait(180*time.Second, "a run with a step behind it", func() bool {
		files, _ := filepath.Glob(filepath.Join(p.home, ".cache/Gimbal/demo-*/demo/low_noise_model/*.safetensors"))
		if _, previewed := p.rectangle("preview"); len(files) == 1 && previewed && p.states() == "running" {
			weights = files[0]
		}
		return weights != ""
	})
	data, err := os.ReadFile(weights)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(weights, 100); err != nil {
		t.Fatal(err)
	}
	p.wait(60*time.Second, "the run's end", func() bool { return p.states() == "failed" })
	if e := p.runs()[0]; e.Cause != library.FilesLost || !strings.Contains(e.Error, "could not be read") {
		t.Errorf("the run failed for %q: %s", e.Cause, e.Error)
	}
	p.settle() // the bar grows by the cause
	p.shot("lost")
	p.fill("frame_num", "5")
	p.wait(10*time.Second, "the window answers: another number in the form", func() bool { return p.inputs().Job.Frames == 5 })

	if err := os.WriteFile(weights, data, 0o644); err != nil {
		t.Fatal(err)
	}
	p.settle()
	p.click("generate")
	p.wait(90*time.Second, "a video of the weights that are back", func() bool { return p.states() == "failed done" || p.states() == "done failed" })
	p.window.Close()
	p.end()
}
