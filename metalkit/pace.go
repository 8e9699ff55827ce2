package metalkit

import "gimbal/metalkit/internal/roofline"

// pace says how much of what the GPU could do at its peak in roofline.CommandBufferSeconds
// goes into one command buffer, so that it takes about as long as that: macOS stops what keeps
// the screen waiting for longer.
type pace struct {
	slow  float64 // how many times as long as at the peak the GPU takes
	share float64 // of those seconds: 1, and half of it each time the system has stopped a run
}

// Until it is measured, a GPU is taken to be at half of its peak; and never to be slower than
// this, as it is only while others use it.
const firstSlow, mostSlow = 2, 16

func newPace(timed bool) pace {
	if timed {
		return pace{firstSlow, 1}
	}
	return pace{1, 1}
}

// of is the part of a command buffer's work at the peak that one may have.
func (p pace) of() float64 { return p.share / p.slow }

// learn is told how many seconds some of the work took, in parts of that of a command buffer
// at the peak. A slow run counts at once, fast ones little by little: kernels differ. What
// is over soon says nothing of slowness.
func (p *pace) learn(work, seconds float64) {
	const short, forget = roofline.CommandBufferSeconds / 5, 0.02
	slow := seconds / (work * roofline.CommandBufferSeconds)
	switch {
	case !(work > 0 && seconds > 0):
	case slow > p.slow && seconds >= short:
		p.slow = min(slow, mostSlow)
	case slow < p.slow:
		p.slow = max(1, p.slow+forget*(slow-p.slow))
	}
}

// halve has runs be half as long from now on.
func (p *pace) halve() {
	const least = 1.0 / 16
	p.share = max(least, p.share/2)
}
