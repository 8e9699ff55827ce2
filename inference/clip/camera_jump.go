package clip

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"gimbal/inference"
)

const (
	// jumpTimes is how many times longer than every other step between two latent frames a
	// jump is: the model sees the longest step as 1 and so all others as less than that part.
	jumpTimes = 4
	// maxJumps is the share of the steps up to which they can be jumps; at least two can, as
	// one pose astray is a jump there and back.
	maxJumps = 0.05
	// minSteps is the number of other steps that there are to be.
	minSteps = 3
)

// Jump is a step of a path that dwarfs all others.
type Jump struct {
	Frame int     // the pose after it
	Times float64 // as long as the longest of the others, between latent frames
}

// Jumps returns the jumps in the first frames poses, in their order.
func (p *Path) Jumps(frames int) []Jump {
	steps := p.steps(frames)
	sorted := slices.SortedFunc(slices.Values(steps), func(a, b step) int { return cmp.Compare(b.length, a.length) })
	n := 0
	for k := 1; k <= max(2, int(maxJumps*float64(len(sorted)))) && k+minSteps <= len(sorted); k++ {
		if sorted[k-1].length > jumpTimes*sorted[k].length {
			n = k
		}
	}
	if n == 0 {
		return nil
	}
	limit := sorted[n].length
	var jumps []Jump
	for _, s := range steps {
		if s.length <= limit {
			continue
		}
		worst := s.from + 1
		for i := s.from + 1; i <= s.to; i++ {
			if p.distance(i-1, i) > p.distance(worst-1, worst) {
				worst = i
			}
		}
		jumps = append(jumps, Jump{worst, s.length / limit})
	}
	return jumps
}

// step is from one pose to a later one.
type step struct {
	from, to int
	length   float64
}

// steps returns the steps from one latent frame to the next in the first frames.
func (p *Path) steps(frames int) (all []step) {
	stride := inference.Wan.FrameStride
	for to := stride; to < p.used(frames); to += stride {
		all = append(all, step{to - stride, to, p.distance(to-stride, to)})
	}
	return all
}

func (p *Path) distance(i, j int) float64 {
	a, b := &p.poses[i], &p.poses[j]
	return math.Sqrt(sq(a[0][3]-b[0][3]) + sq(a[1][3]-b[1][3]) + sq(a[2][3]-b[2][3]))
}

func sq(x float64) float64 { return x * x }

// Even returns the path with the jumps in its first frames poses made as long as the
// longest step between the others. All that follows moves along, so that it goes on from
// there as it did.
func (p *Path) Even(frames int) *Path {
	jumps := p.Jumps(frames)
	if len(jumps) == 0 {
		return p
	}
	jump := map[int]bool{}
	for _, j := range jumps {
		jump[j.Frame] = true
	}
	var longest float64
	for i := 1; i < p.used(frames); i++ {
		if !jump[i] {
			longest = max(longest, p.distance(i-1, i))
		}
	}
	q := *p
	q.poses = slices.Clone(p.poses)
	var back [3]float64 // what the poses so far were taken back
	for i := 1; i < len(q.poses); i++ {
		length := p.distance(i-1, i)
		for k := range back {
			if jump[i] && length > longest {
				back[k] += (p.poses[i][k][3] - p.poses[i-1][k][3]) * (1 - longest/length)
			}
			q.poses[i][k][3] -= back[k]
		}
	}
	return &q
}

func (j Jump) note() Note {
	times := fmt.Sprintf("%.3g", j.Times)
	if math.IsInf(j.Times, 0) {
		return Note{NoteJump, map[string]any{"Frame": j.Frame, "Times": "∞"},
			fmt.Sprintf("the camera jumps at frame %d and moves nowhere else: the jump can be left out (even_jumps)", j.Frame)}
	}
	return Note{NoteJump, map[string]any{"Frame": j.Frame, "Times": times},
		fmt.Sprintf("the camera jumps at frame %d, %s times as far as in any other step, so that the model sees all others as a crawl: the jump can be evened out (even_jumps)", j.Frame, times)}
}
