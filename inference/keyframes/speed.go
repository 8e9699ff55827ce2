package keyframes

import (
	"math"

	"gimbal/inference/clip"
)

// Step is the way from one latent frame to the next.
type Step struct {
	Frame  int     // of the video, at its end
	Length float64 // in the path's units
	Seen   float64 // the same as the model is told it, by the path's scale
	Turn   float64 // degrees between the directions before and behind it
}

// Steps returns the steps of a video of so many frames. Unless the path's speed is absolute, the
// model is told every step divided by the longest one: only how they compare is left of it.
func (p Path) Steps(frames int) []Step {
	var steps []Step
	longest := 0.0
	at := latent(frames)
	for i := 1; i < len(at); i++ {
		a, b := p.At(float64(at[i-1])), p.At(float64(at[i]))
		s := Step{Frame: at[i], Length: math.Sqrt((b.X-a.X)*(b.X-a.X) + (b.Y-a.Y)*(b.Y-a.Y) + (b.Z-a.Z)*(b.Z-a.Z)), Turn: angle(a.Pose(), b.Pose())}
		longest = max(longest, s.Length)
		steps = append(steps, s)
	}
	if p.Absolute {
		longest = p.Scale()
	}
	for i := range steps {
		if longest > 0 {
			steps[i].Seen = steps[i].Length / longest
		}
	}
	return steps
}

// tooFast is what a step may be of the fastest that models were shown.
const tooFast = 1.25

// Fast returns the fastest step, if that is faster than the model was shown any.
func (p Path) Fast(frames int) (fastest Step, ok bool) {
	for _, s := range p.Steps(frames) {
		if s.Seen > max(tooFast, fastest.Seen) {
			fastest, ok = s, true
		}
	}
	return fastest, ok
}

// angle returns the degrees of the turn from one pose to another.
func angle(a, b clip.Pose) float64 {
	trace := 0.0
	for i := range 3 {
		for j := range 3 {
			trace += a[i][j] * b[i][j]
		}
	}
	return math.Acos(min(max((trace-1)/2, -1), 1)) * 180 / math.Pi
}

// Below crawling of the longest step, the model hardly sees that the camera moves; a path is
// mostly so if that is more than crawlShare of where it moves.
const (
	crawling   = 0.15
	crawlShare = 1. / 3
	still      = 1e-6
)

// Crawl says that a few fast steps make most others a crawl to the model.
type Crawl struct {
	Frame int     // of the fastest step
	Times float64 // so many times the length of the median one of the others
	Share float64 // of the steps that move which are a crawl
}

// Crawl returns where the model's normalisation eats the path's speed; false for nowhere.
func (p Path) Crawl(frames int) (Crawl, bool) {
	if p.Absolute { // slow is meant
		return Crawl{}, false
	}
	moving, slow, sum := 0, 0, 0.0
	c := Crawl{}
	for _, s := range p.Steps(frames) {
		if s.Seen == 1 {
			c.Frame = s.Frame
		}
		if s.Length < still {
			continue
		}
		moving++
		if s.Seen < crawling {
			slow++
			sum += s.Seen
		}
	}
	if slow == 0 || float64(slow) < crawlShare*float64(moving) {
		return Crawl{}, false
	}
	c.Share, c.Times = float64(slow)/float64(moving), float64(slow)/sum
	return c, true
}
