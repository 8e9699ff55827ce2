package studio

import (
	crand "crypto/rand"
	"image"

	"gimbal/inference/library"
)

// Against is a form as it was kept, to be compared with what the form holds later.
type Against struct {
	Settings library.Settings
	Thumb    image.Image // of its picture
}

// KeepAgainst keeps what the form holds, if nothing is wrong with it: the next Generate makes a video
// of that, too, with the same seed, and both are shown side by side.
func (s *Studio) KeepAgainst() {
	s.change(func(n *Snapshot) {
		if n.Form.CanRun {
			n.Form.Against = &Against{Settings: s.settings(n), Thumb: n.Form.Picture.Thumb}
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

// wanted is a run that is asked for.
type wanted struct {
	library.Settings
	thumb image.Image
}

// wantedRuns returns the runs that the form asks for: each seed by what was kept first, where something was.
func wantedRuns(f Form, run library.Settings) []wanted {
	var all []wanted
	for _, run := range variations(run, f.Inputs.Variations) {
		if a := f.Against; a != nil {
			kept := a.Settings
			kept.Job.Seed = run.Job.Seed
			all = append(all, wanted{kept, a.Thumb})
		}
		all = append(all, wanted{run, f.Picture.Thumb})
	}
	if len(all) == 1 {
		return all
	}
	group := crand.Text()[:10]
	for i := range all {
		all[i].Group, all[i].Place = group, i+1
	}
	return all
}
