//go:build !headless

package main

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/clip"
	"gimbal/inference/live"
)

// TestLive walks in the real window: ahead, to the left and nowhere; with other words; back and
// another way. The walk is saved, the program killed, and the walk found again. The pictures
// move as the keys say.
func TestLive(t *testing.T) {
	p := newSession(t)
	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.Press("ctrl+t")
	p.where("live.start")
	p.settle()
	p.shot("live-01-opened")
	p.click("live.start")
	p.where("live.pause")
	p.wait(30*time.Second, "a walk", func() bool { return len(p.walks()) == 1 })

	p.settle()
	screen, still := p.where("live.screen"), p.Screenshot()
	release, pressed := p.Hold("w"), time.Now()
	p.wait(30*time.Second, "the first picture", func() bool { return changed(still, p.Screenshot(), screen) > 0.01 })
	first := time.Since(pressed)
	p.walkOn(4)
	release()
	t.Logf("the first picture came %v after the key, four chunks took %v", first, time.Since(pressed))
	if first > time.Since(pressed)/2 { // one chunk is made and its first picture decoded
		t.Errorf("the first picture came late: %v after the key", first)
	}
	p.shot("live-02-ahead")
	p.walk("j", 2)
	p.shot("live-03-left")
	p.click("live.idle")
	p.walkOn(2)
	p.click("live.idle")
	p.rest()
	p.shot("live-04-still")
	straight := p.walks()[0].Chunks

	p.click("live.say")
	p.Press("ctrl+a")
	p.Type("a green meadow at night")
	p.Press("enter")
	p.walkOn(1)
	p.walk("w", 1)
	p.rest()
	if got := p.walks()[0].Prompt; got != "a green meadow at night" {
		t.Errorf("the last chunk's prompt is %q", got)
	}
	p.shot("live-05-night")

	p.click("live.save")
	p.wait(120*time.Second, "the walk in the library", func() bool { return p.states() == "done" })
	p.click("live.create")
	p.wait(30*time.Second, "the walk's path in the form", func() bool { return strings.Contains(p.inputs().Job.ActionPath, "paths") })
	p.settle()
	p.shot("live-06-create")
	p.checkFlow(p.inputs().Job.ActionPath, straight)

	p.Press("ctrl+t")
	p.click("live.chunk.2")
	p.wait(20*time.Second, "the walk at chunk 3", func() bool { return p.walks()[0].Chunks == 3 })
	p.rest()
	p.shot("live-07-back")
	p.walk("d", 2)
	p.rest()
	p.shot("live-08-branch")
	kept := p.walks()[0]
	if kept.Ways != 2 || kept.Chunks != 5 {
		t.Errorf("%d ways, and %d chunks on the second; want 2 and 5", kept.Ways, kept.Chunks)
	}

	p.Hold("w") // and die while it is made
	time.Sleep(2 * time.Second)
	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
	found := p.walks()[0]
	if found.Chunks < kept.Chunks || found.Ways != 2 {
		t.Errorf("after a kill there are %d chunks on %d ways, there were %d", found.Chunks, found.Ways, kept.Chunks)
	}
	p.start()
	p.Press("ctrl+t")
	p.settle()
	p.shot("live-09-restarted")
	p.click("live.kept.0")
	p.where("live.pause")
	p.walk("a", 1)
	p.rest()
	p.wait(60*time.Second, "a picture of every chunk, of those too that were killed before they were decoded", p.stripIsWhole)
	p.shot("live-10-again")
	if again := p.walks()[0]; again.Chunks <= found.Chunks || again.Ways != 2 {
		t.Errorf("the walk went on with %d chunks on %d ways, there were %d", again.Chunks, again.Ways, found.Chunks)
	}
	p.window.Close()
	p.end()
}

// walks returns the walks on disk, the newest first.
func (p *session) walks() []live.Kept {
	return live.Walks(filepath.Join(p.home, ".local/share/Gimbal/walks"))
}

// walk holds a key until n more chunks are made.
func (p *session) walk(key string, n int) {
	p.t.Helper()
	release := p.Hold(key)
	defer release()
	p.walkOn(n)
}

// walkOn waits until n more chunks are made.
func (p *session) walkOn(n int) {
	p.t.Helper()
	want := p.walks()[0].Chunks + n
	p.wait(60*time.Second, "more chunks", func() bool { return p.walks()[0].Chunks >= want })
}

// rest waits until the walk waits and its last picture is seen.
func (p *session) rest() {
	p.t.Helper()
	for last := -1; last != p.walks()[0].Chunks; time.Sleep(4 * time.Second) {
		last = p.walks()[0].Chunks
	}
	p.settle()
}

// stripIsWhole reports whether every chunk in the strip has its picture.
func (p *session) stripIsWhole() bool {
	p.t.Helper()
	screen := p.Screenshot()
	for i := range p.walks()[0].Chunks {
		at, there := p.rectangle(fmt.Sprintf("live.chunk.%d", i))
		if !there {
			return false
		}
		colours := map[color.NRGBA]bool{}
		at = at.Inset(8)
		for y := at.Min.Y; y < at.Min.Y+at.Dy()/2; y++ {
			for x := at.Min.X; x < at.Max.X; x++ {
				colours[screen.NRGBAAt(x, y)] = true
			}
		}
		if len(colours) < 16 {
			return false
		}
	}
	return true
}

// checkFlow looks at how the pictures of the walk's video move along its path, in its first
// chunks: going ahead they grow, turning left they go to the right, and standing still they stay.
func (p *session) checkFlow(folder string, chunks int) {
	p.t.Helper()
	path, err := clip.OpenPath(folder)
	if err != nil {
		p.t.Fatal(err)
	}
	frames := filepath.Join(filepath.Dir(p.runFile()), "frames")
	const step = 4
	var grows, turns, stays []int
	poses := path.Poses()
	for i := 0; i+step < len(poses) && i+step < 8*chunks-3; i += step {
		a, b := poses[i], poses[i+step]
		yaw := math.Atan2(b[0][2], b[2][2]) - math.Atan2(a[0][2], a[2][2])
		moved := math.Hypot(b[0][3]-a[0][3], b[2][3]-a[2][3])
		one, two := frame(p.t, frames, i+1), frame(p.t, frames, i+step+1)
		left, right := shift(crop(one, 0, 0.4), crop(two, 0, 0.4)), shift(crop(one, 0.6, 1), crop(two, 0.6, 1))
		switch {
		case moved > 0.9 && yaw == 0:
			grows = append(grows, right-left)
		case moved == 0 && yaw < 0:
			turns = append(turns, shift(one, two))
		case moved == 0 && yaw == 0:
			stays = append(stays, shift(one, two))
		}
	}
	p.t.Logf("in %d chunks the picture grows by %v pixels a latent frame ahead, goes right by %v turning left, and by %v standing still", chunks, grows, turns, stays)
	if len(grows) < 3 || len(turns) < 2 || len(stays) < 2 {
		p.t.Fatalf("the path has %d steps ahead, %d to the left, %d nowhere", len(grows), len(turns), len(stays))
	}
	if sum(grows) <= 0 {
		p.t.Errorf("going ahead the pictures grow by %v pixels", grows)
	}
	for _, s := range turns {
		if s <= 0 {
			p.t.Errorf("turning left the pictures go right by %v pixels", turns)
			break
		}
	}
	moved := 0
	for _, s := range stays {
		moved += max(s, -s)
	}
	if moved > len(stays) { // the first after a turn may move by a pixel or two, as the model makes it
		p.t.Errorf("standing still the pictures go right by %v pixels", stays)
	}
}

// runFile returns the only run's entry on disk.
func (p *session) runFile() string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, ".local/share/Gimbal/library/runs/*/run.json"))
	if err != nil || len(files) != 1 {
		p.t.Fatalf("the library has %d runs, %v", len(files), err)
	}
	return files[0]
}

// crop returns the part of a picture between two shares of its width.
func crop(img image.Image, from, to float64) image.Image {
	b := img.Bounds()
	part := image.Rect(int(from*float64(b.Dx())), 0, int(to*float64(b.Dx())), b.Dy())
	dst := image.NewRGBA(image.Rect(0, 0, part.Dx(), part.Dy()))
	draw.Draw(dst, dst.Rect, img, part.Min, draw.Src)
	return dst
}

// shift returns by how many pixels the second picture is to the right of the first.
func shift(a, b image.Image) int {
	best, at := math.Inf(1), 0
	for s := -24; s <= 24; s++ {
		if d := difference(a, b, s); d < best {
			best, at = d, s
		}
	}
	return at
}

func sum(list []int) (n int) {
	for _, v := range list {
		n += v
	}
	return n
}
