//go:build !headless

package main

import (
	"encoding/json"
	"image"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
)

// TestWindowPath draws a camera's way in the real window: a built-in move, a key that is dragged,
// another added and undone, a move behind it, and a video on the path.
func TestWindowPath(t *testing.T) {
	p := newSession(t)
	picture := p.picture(t, "desert.png")
	p.start()
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(p.errs)
		}
	})
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.drop(picture)
	p.fill("frame_num", "17")
	p.click("camera.forward")
	p.wait(30*time.Second, "the camera path in the form", func() bool { return p.inputs().Camera == "forward" })

	p.click("camera.edit")
	top := p.where("path.top")
	p.settle()
	p.shot("path-01-forward")
	// Forward goes up from the first key; the last one, near the upper edge, is dragged to the right.
	p.Drag(image.Pt(centre(top).X, top.Min.Y+44), image.Pt(centre(top).X+90, top.Min.Y+70))
	p.settle()
	p.shot("path-02-dragged")
	line := p.where("path.timeline")
	p.Click(image.Pt(centre(line).X, line.Min.Y+20))
	p.click("path.add")
	p.settle()
	p.click("path.undo")
	p.click("path.redo")
	p.click("path.round")
	p.settle()
	p.shot("path-03-three-keys")
	p.click("path.use")
	p.wait(30*time.Second, "the path in the form", func() bool { return p.inputs().Job.ActionPath != "" })
	p.settle()
	p.shot("path-04-used")

	folder := p.inputs().Job.ActionPath
	read, err := clip.OpenPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	if n := read.Frames(); n != 17 || read.Poses()[16][0][3] < 0.5 {
		t.Errorf("%d poses, the last %v", n, read.Poses()[n-1])
	}
	var keys keyframes.Path
	if text, err := os.ReadFile(filepath.Join(folder, "keyframes.json")); err != nil || json.Unmarshal(text, &keys) != nil || len(keys.Keys) != 3 || !keys.Round {
		t.Errorf("key frames %+v, %v", keys, err)
	}
	p.click("generate")
	p.wait(120*time.Second, "the video", func() bool { return p.states() == "done" })
	p.shot("path-05-video")

	// A way that is walked: W is held in the video's own time, which ends by itself.
	p.click("camera.edit")
	p.click("path.record")
	release := p.Hold("w")
	time.Sleep(700 * time.Millisecond)
	release()
	time.Sleep(4 * time.Second)
	p.settle()
	p.shot("path-06-recorded")
	p.click("path.use")
	p.wait(30*time.Second, "the recorded path", func() bool { return p.inputs().Job.ActionPath != folder })
	if read, err = clip.OpenPath(p.inputs().Job.ActionPath); err != nil {
		t.Fatal(err)
	}
	if end := read.Poses()[read.Frames()-1]; end[2][3] < 0.5 || end[0][3] != 0 {
		t.Errorf("W for 0.7 s led to %v", end)
	}
	p.click("undo")
	p.wait(30*time.Second, "the drawn path again", func() bool { return p.inputs().Job.ActionPath == folder })
	p.window.Close()
	p.end()
}
