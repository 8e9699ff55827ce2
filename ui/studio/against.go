package studio

import (
	crand "crypto/rand"
	"image"

	"gimbal/inference/library"
)

// Wanted is a run that a form asks for.
type Wanted struct {
	Settings library.Settings
	Thumb    image.Image // of its picture
}

// KeepAgainst keeps what the form holds, if nothing is wrong with it: the next Generate makes a video
// of that, too, with the same seed, and both are shown side by side.
func (s *Studio) KeepAgainst() {
	s.change(func(n *Snapshot) {
		if n.Form.CanRun {
			run := s.wanted(n)
			n.Form.Against = &run
		}
	})
}

// ForgetAgainst forgets what KeepAgainst kept.
func (s *Studio) ForgetAgainst() { s.change(func(n *Snapshot) { n.Form.Against = nil }) }

// Runs is how many videos Generate makes.
func (f Form) Runs() int {
	n := max(1, f.Inputs.Variations)
	if f.Against != nil {
		n *= 2
	}
	return n
}

// wantedRuns returns the runs that the form asks for: each seed by what was kept first, where something was.
func wantedRuns(f Form, run Wanted) []Wanted {
	var all []Wanted
	for _, run := range variations(run, f.Inputs.Variations) {
		if f.Against != nil {
			kept := *f.Against
			kept.Settings.Job.Seed = run.Settings.Job.Seed
			all = append(all, kept)
		}
		all = append(all, run)
	}
	if len(all) == 1 {
		return all
	}
	group := crand.Text()[:10]
	for i := range all {
		all[i].Settings.Group, all[i].Settings.Place = group, i+1
	}
	return all
}
