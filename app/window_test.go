//go:build !headless

package main

import (
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/ui/studio"
)

// TestWindow is a person's first evening with the real program: a picture is dropped, a
// camera path chosen, a video made and watched, a run cancelled, runs queued, the program
// quit during one and started again.
func TestWindow(t *testing.T) {
	p := newSession(t)
	picture := p.picture(t, "desert.png")

	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.where("generate")
	p.settle()
	p.shot("01-started")

	p.drop(picture)
	p.click("camera.forward")
	p.wait(30*time.Second, "the camera path in the form", func() bool { return p.inputs().Camera == "forward" })
	p.fill("prompt", "a desert with a tree at dusk")
	p.wait(30*time.Second, "the prompt in the form", func() bool { return p.inputs().Job.Prompt == "a desert with a tree at dusk" })
	p.fill("frame_num", "9")
	p.settle()
	p.shot("02-ready")

	p.click("generate")
	p.watchPreviews()
	p.wait(90*time.Second, "the video", func() bool { return p.states() == "done" })
	p.watchVideo()

	p.cancelRun()
	p.queueRuns()
	p.quitMidRun()

	p.start()
	if got := p.states(); !strings.HasSuffix(got, "interrupted") {
		t.Errorf("after a restart the runs are %q, want the last one interrupted", got)
	}
	if got := p.inputs(); got.Job.Image != picture || got.Camera != "forward" {
		t.Errorf("after a restart the form holds the picture %q and the path %q", got.Job.Image, got.Camera)
	}
	p.where("generate")
	p.settle()
	p.shot("11-restarted")
	p.Press("ctrl+l")
	p.where("library.grid")
	p.settle()
	p.shot("12-library")
	p.window.Close()
	p.end()
}

// picture puts a picture of the demo where people keep theirs.
func (p *session) picture(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("..", "assets", "pictures", name))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(p.home, "My pictures", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// inputs returns the form's as they are kept for the next start.
func (p *session) inputs() studio.Inputs {
	p.t.Helper()
	return p.stored().Inputs
}

// stored returns what is kept for the next start.
func (p *session) stored() (kept struct {
	Settings studio.Settings
	Inputs   studio.Inputs
}) {
	p.t.Helper()
	text, err := os.ReadFile(filepath.Join(p.home, ".local/share/Gimbal/settings.json"))
	if err != nil {
		return kept // not yet
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		p.t.Fatal(err)
	}
	return kept
}

// drop drops the picture on the window.
func (p *session) drop(picture string) {
	p.t.Helper()
	p.window.Drop(centre(p.where("picture.zone")), picture)
	p.wait(30*time.Second, "the dropped picture in the form", func() bool { return p.inputs().Job.Image == picture })
}

func centre(r image.Rectangle) image.Point { return r.Min.Add(r.Size().Div(2)) }

// settle waits until the window shows the same for a while.
func (p *session) settle() {
	p.t.Helper()
	last, since := p.Screenshot(), time.Now()
	p.wait(10*time.Second, "the window comes to rest", func() bool {
		now := p.Screenshot()
		if !slices.Equal(now.Pix, last.Pix) {
			last, since = now, time.Now()
		}
		return time.Since(since) > 400*time.Millisecond
	})
}

// watchPreviews wants the stage to show one preview after another during a run.
func (p *session) watchPreviews() {
	p.t.Helper()
	at := p.where("preview")
	last := p.Screenshot()
	for i := range 4 {
		p.wait(30*time.Second, "another preview", func() bool {
			now := p.Screenshot()
			other := changed(last, now, at) > 0.01
			if other {
				last = now
			}
			return other
		})
		if i == 2 {
			p.shot("03-preview")
		}
	}
	if p.states() != "running" {
		p.t.Errorf("the previews are late: the run is %s", p.states())
	}
}

// watchVideo wants the finished video to be there and to play.
func (p *session) watchVideo() {
	p.t.Helper()
	screen := p.where("player.screen")
	p.shot("04-video")
	if last := p.Screenshot(); !p.plays(last, screen) {
		p.Press("ctrl+p")
	}
	frames := 0
	for last := p.Screenshot(); frames < 5; frames++ {
		p.wait(10*time.Second, "another frame of the video", func() bool { return changed(last, p.Screenshot(), screen) > 0.01 })
		last = p.Screenshot()
	}
	p.shot("05-playing")
	run := p.runs()[0]
	if info, err := os.Stat(run.Video); err != nil || info.Size() == 0 {
		p.t.Errorf("the video %q: %v", run.Video, err)
	}
}

// plays reports whether the video moves on within three seconds: a busy machine draws few frames.
func (p *session) plays(last *image.NRGBA, screen image.Rectangle) bool {
	for range 10 {
		time.Sleep(300 * time.Millisecond)
		if changed(last, p.Screenshot(), screen) > 0.01 {
			return true
		}
	}
	return false
}

// cancelRun cancels a run, which would take minutes, and wants its end soon.
func (p *session) cancelRun() {
	p.t.Helper()
	p.fill("sample_steps", "300")
	p.click("generate")
	p.wait(30*time.Second, "a second run", func() bool { return p.states() == "done running" })
	p.where("preview")
	time.Sleep(time.Second)
	p.shot("06-second-run")
	p.click("cancel")
	took := p.wait(10*time.Second, "the run is cancelled", func() bool { return p.states() == "done cancelled" })
	p.settle()
	p.shot("07-cancelled")
	p.t.Logf("cancelling took %v", took)
}

// fill types a text into an entry of the form in place of what is there.
func (p *session) fill(name, text string) {
	p.t.Helper()
	foot := p.where("meter")
	end := foot.Min.Y
	p.Point(foot.Min.Add(image.Pt(-10, -60))) // on the form's margin: an entry would scroll itself
	p.wait(20*time.Second, "the form scrolls to "+name, func() bool {
		at, ok := p.rectangle(name)
		if ok && at.Max.Y < end {
			return true
		}
		p.Scroll(1)
		time.Sleep(150 * time.Millisecond) // the layout is written ten times a second
		return false
	})
	p.click(name)
	p.Press("ctrl+a")
	p.Type(text)
}

// queueRuns starts two runs, the second while the first is under way.
func (p *session) queueRuns() {
	p.t.Helper()
	p.Press("ctrl+1") // the preset Quick
	p.fill("max_area", "9216")
	p.Press("ctrl+enter")
	p.Press("ctrl+enter")
	p.wait(10*time.Second, "a run and one behind it", func() bool {
		return p.states() == "done cancelled running queued"
	})
	time.Sleep(300 * time.Millisecond) // drawn ten times a second
	p.shot("08-queue")
	p.wait(60*time.Second, "both videos", func() bool { return p.states() == "done cancelled done done" })
	p.where("player.screen")
	p.shot("09-both")
}

// quitMidRun quits during a run, which asks first.
func (p *session) quitMidRun() {
	p.t.Helper()
	p.fill("sample_steps", "300")
	p.click("generate")
	p.wait(30*time.Second, "another run", func() bool { return strings.HasSuffix(p.states(), "running") })
	p.where("preview")
	p.window.Close()
	time.Sleep(3 * time.Second) // the question comes up
	p.shot("10-quit")
	if !strings.HasSuffix(p.states(), "running") {
		p.t.Errorf("quitting ends the run before anybody answered: %s", p.states())
	}
	p.Press("tab")
	p.Press("tab")
	p.Press("space")
	p.end()
}
