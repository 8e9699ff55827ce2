package inference

import (
	"path/filepath"
	"regexp"
	"strconv"
)

// Names of models and LoRAs that are distilled to a few steps: those of lightx2v, Lightning
// and their like. Nothing inside such a file says so.
var (
	stepsName     = regexp.MustCompile(`(?i)(?:^|[^a-z0-9])(\d)[-_ ]?steps?(?:[^a-z]|$)`)
	distilledName = regexp.MustCompile(`(?i)lightx2v|lightning|distill`)
)

// usualFewSteps is the number of steps of those whose names do not say.
const usualFewSteps = 4

// DistilledSteps returns how many steps a model or LoRA is distilled to by the name of its
// file, or else of its folder; 0 if neither says that it is.
func DistilledSteps(path string) int {
	for _, name := range []string{filepath.Base(path), filepath.Base(filepath.Dir(path))} {
		if found := stepsName.FindStringSubmatch(name); found != nil {
			if n, err := strconv.Atoi(found[1]); err == nil && n > 0 && n <= fewSteps {
				return n
			}
		}
		if distilledName.MatchString(name) {
			return usualFewSteps
		}
	}
	return 0
}

// highStepsBeside is how many steps a high-noise expert that is not distilled takes beside a
// low-noise one that is.
const highStepsBeside = 10

// FewSteps returns r for experts that are distilled to so many steps: Euler's method with
// shift 5, no guidance, and a boundary of 0.9 (lightx2v's Wan2.2-Lightning). A high-noise
// expert that is not keeps its guidance and takes 10 steps, which is used against the slow
// motion of distilled ones.
func (r Recipe) FewSteps(steps int, high bool) Recipe {
	r.Solver, r.Steps, r.Shift, r.Boundary, r.HighSteps = "euler", steps, 5, 0.9, 0
	r.Guidance.Low = 1
	if high {
		r.Guidance.High = 1
	} else {
		r.HighSteps = highStepsBeside
	}
	return r
}

// FewSteps returns r as the LoRAs want it that are distilled, and the file of one of them. ok
// is false, and r as it was, where none of the low-noise expert's is.
func (l LoRAs) FewSteps(r Recipe) (few Recipe, file string, ok bool) {
	steps, high := 0, false
	for _, one := range l.Used() {
		n := DistilledSteps(one.File)
		if n > 0 && one.Low != 0 {
			steps, file = max(steps, n), one.File
		}
		high = high || n > 0 && one.High != 0
	}
	if steps == 0 {
		return r, "", false
	}
	return r.FewSteps(steps, high), file, true
}
