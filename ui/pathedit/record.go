package pathedit

import (
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
)

// recorder makes a path of keys that are held, in the video's own time.
type recorder struct {
	e       *Editor
	mover   *clip.Mover
	poses   []clip.Pose
	held    map[fyne.KeyName]bool
	stop    func()
	release func() // of the keys
}

// record starts a recording, which the first key begins, or ends the one under way.
func (e *Editor) record() {
	if e.recorder != nil {
		e.recorder.end()
		return
	}
	r := &recorder{e: e, mover: clip.NewMover(), held: map[fyne.KeyName]bool{}}
	r.poses = []clip.Pose{r.mover.Pose()}
	r.release = e.o.Hold(func(k fyne.KeyName) { r.held[k] = true }, func(k fyne.KeyName) { delete(r.held, k) })
	e.recorder, e.scene.through = r, true
	r.stop = e.o.Every(time.Second/time.Duration(e.o.FPS), r.tick)
	e.show()
}

// tick moves the camera by a frame.
func (r *recorder) tick() {
	if r.e.recorder != r { // on its way when the recording ended
		return
	}
	down := func(names ...fyne.KeyName) float64 {
		for _, n := range names {
			if r.held[n] {
				return 1
			}
		}
		return 0
	}
	slow := 1 - (1-clip.WalkSlow)*down(desktop.KeyShiftLeft, desktop.KeyShiftRight)
	move := clip.Motions{
		Forward: clip.WalkMove * slow * (down(fyne.KeyW) - down(fyne.KeyS)), Side: clip.WalkMove * slow * (down(fyne.KeyD) - down(fyne.KeyA)),
		Up:    clip.WalkTurn * slow * (down(fyne.KeyI, fyne.KeyUp) - down(fyne.KeyK, fyne.KeyDown)),
		Right: clip.WalkTurn * slow * (down(fyne.KeyL, fyne.KeyRight) - down(fyne.KeyJ, fyne.KeyLeft)),
	}
	if len(r.poses) == 1 && move == (clip.Motions{}) { // a short video would be over before the first key
		return
	}
	r.poses = append(r.poses, r.mover.Move(move))
	s := r.e.s
	p := keyframes.Take(r.poses, []clip.Intrinsics{s.path().Keys[0].Intrinsics()})
	s.frame = len(r.poses) - 1
	s.selected = 0
	s.stack.Drag(p)
	s.settle()
	r.e.left.fit()
	if s.frame >= s.frames-1 {
		r.end()
	}
}

// end ends the recording, which is one step to undo.
func (r *recorder) end() {
	r.stop()
	r.release()
	r.e.recorder = nil
	r.e.s.stack.Settle()
	r.e.fit()
	r.e.show()
}
