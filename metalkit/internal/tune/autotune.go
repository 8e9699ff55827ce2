package tune

import (
	"cmp"
	"slices"
)

// Candidate is a variant of an operation, by its number and by its name in the file.
type Candidate struct {
	Variant int
	Name    string
}

// Trial runs a candidate, each time with the GPU's seconds: First is the first time, and looks
// at the results; Release gives back what it takes.
type Trial struct {
	First, Run func() (seconds float64, err error)
	Release    func()
}

// Fastest benchmarks candidates one after the other and returns the fastest; ok is false
// where none could be timed. prepare makes a candidate ready to run; one that fails, or does
// not run, is left out, and failed is told.
func Fastest(candidates []Candidate, prepare func(variant int) (Trial, error), failed func(Candidate, error)) (best Candidate, ok bool) {
	least := 0.0
	for _, c := range candidates {
		trial, err := prepare(c.Variant)
		if err != nil {
			failed(c, err)
			continue
		}
		seconds, err := benchmark(trial, least)
		trial.Release()
		if err != nil {
			failed(c, err)
			continue
		}
		if seconds > 0 && (!ok || seconds < least) {
			best, least, ok = c, seconds, true
		}
	}
	return best, ok
}

// A run of so many seconds warms up by itself.
const longRun = 0.01

// benchmark runs a few times and returns the median of the seconds; the first run warms
// up. Where that takes so much longer than the least of the others that no warmth makes up
// for it, it is the only one; where the second one does, there is no third.
func benchmark(trial Trial, least float64) (seconds float64, err error) {
	first, err := trial.First()
	runs, hopeless := 5, 2*least
	if first > longRun {
		runs, hopeless = 3, 1.25*least
	}
	if err != nil || least > 0 && first > hopeless {
		return first, err
	}
	var times []float64
	for range runs {
		seconds, err := trial.Run()
		if err != nil {
			return 0, err
		}
		times = append(times, seconds)
		if least > 0 && seconds > 1.3*least {
			return seconds, nil
		}
	}
	slices.SortFunc(times, cmp.Compare)
	return times[runs/2], nil
}
