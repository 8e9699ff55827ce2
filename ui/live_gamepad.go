package ui

import (
	"time"

	"gimbal/inference/clip"
	"gimbal/inference/live"
	"gimbal/ui/desktop"
)

// padPace is how often a gamepad is looked at.
const padPace = time.Second / 60

// A stick that is off its middle by stickRests still rests, by less than stickFull goes slowly.
const stickRests, stickFull = 0.3, 0.8

// livePad walks by a gamepad while the page Live is seen.
type livePad struct {
	w      *Window
	held   live.Input
	button bool // the one that stops is down
	stop   func()
}

// enter begins to look at the gamepad, leave ends it.
func (p *livePad) enter() {
	if p.stop == nil {
		p.stop = p.w.options.every(padPace, p.look)
	}
}

func (p *livePad) leave() {
	if p.stop != nil {
		p.stop()
		p.stop, p.held = nil, live.Input{}
	}
}

// look takes over what the gamepad does; one that is pulled out lets go.
func (p *livePad) look() {
	l := p.w.live
	pad, _ := p.w.options.Desktop.Gamepad()
	button := pad.Start || pad.A
	if button && !p.button && l.now.On {
		l.togglePause()
	}
	p.button = button
	if held := padInput(pad); held != p.held {
		p.held = held
		l.hold()
	}
}

// padInput is what a gamepad holds: the left stick moves, the right one looks.
func padInput(pad desktop.Gamepad) (in live.Input) {
	in.Move = clip.WASD(stickKeys(pad.Left))
	in.Turn = clip.IJKL(stickKeys(pad.Right))
	in.Slow = !in.Still()
	for _, v := range append(pad.Left[:], pad.Right[:]...) {
		if max(v, -v) >= stickFull {
			in.Slow = false
		}
	}
	return in
}

// stickKeys are the keys up, left, down and right that a stick stands for.
func stickKeys(stick [2]float64) (keys [4]float64) {
	for i, v := range []float64{-stick[1], -stick[0], stick[1], stick[0]} {
		if v > stickRests {
			keys[i] = 1
		}
	}
	return keys
}
