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

// Run runs a candidate once and returns the GPU's seconds.
type Run func() (seconds float64, err error)

// Fastest benchmarks candidates one after the other and returns the fastest; ok is false
// where none could be timed. prepare makes a candidate ready to run and returns what gives
// back what that takes; one that fails, or does not run, is left out, and failed is told.
func Fastest(candidates []Candidate, prepare func(variant int) (run Run, release func(), err error), failed func(Candidate, error)) (best Candidate, ok bool) {
	least := 0.0
	for _, c := range candidates {
		run, release, err := prepare(c.Variant)
		if err != nil {
			failed(c, err)
			continue
		}
		seconds, err := Benchmark(run, least)
		release()
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

// Benchmark runs a few times and returns the median of the seconds; the first run warms
// up. Where that takes so much longer than the least of the others that no warmth makes up
// for it, it is the only one.
func Benchmark(run Run, least float64) (seconds float64, err error) {
	first, err := run()
	runs, hopeless := 5, 2*least
	if first > longRun {
		runs, hopeless = 3, 1.25*least
	}
	if err != nil || least > 0 && first > hopeless {
		return first, err
	}
	var times []float64
	for range runs {
		seconds, err := run()
		if err != nil {
			return 0, err
		}
		times = append(times, seconds)
	}
	slices.SortFunc(times, cmp.Compare)
	return times[runs/2], nil
}
