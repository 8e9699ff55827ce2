package metalkit

import (
	"gimbal/inference/device"
	"gimbal/metalkit/internal/tune"
)

// chosen returns the variant to run an operation of a shape by, unless it is still to be
// timed: the fixed one where nothing is.
func (e *encoder) chosen(s tune.Shape, fixed int) (variant int, ok bool) {
	switch {
	case e.lists:
		return 0, false
	case e.dev.choices == nil || e.forced.op != "":
		return fixed, true
	}
	return e.dev.choices.Chosen(s)
}

// autotune is how the variants of one operation are timed.
type autotune struct {
	shape      tune.Shape
	fixed      int // the variant that is taken where nothing can be timed
	candidates []tune.Candidate
	record     func(e *encoder, v int) // the operation by a variant
	benchmark  func(e *encoder, v int) // the same, or a part of a large one, without touching its results
}

func (a *autotune) add(variant int, name string) {
	a.candidates = append(a.candidates, tune.Candidate{Variant: variant, Name: name})
}

// benchmarkBytes is how many bytes of results a benchmark writes, about: they stand beside
// the operation's own buffers, and keep any GPU busy.
const benchmarkBytes = 64 << 20

// benchmarkRows returns how many rows of results of so many columns a benchmark has, a
// multiple of some.
func benchmarkRows(rows, cols int, t device.DType, some int) int {
	return min(rows, max(1, benchmarkBytes/(cols*t.Size()*some))*some)
}

// tunedRows is for how many rows of results the variant of an operation is chosen, of which
// the encoder has rows at hand: as many as a benchmark would have of the whole operation, however
// that is cut.
func (e *encoder) tunedRows(rows, cols int, t device.DType) int {
	return benchmarkRows(max(rows, e.whole), cols, t, splitRows)
}

// autotune returns the variant for a's operation: that of the file, or the fastest. An
// encoder that counts times nothing, and chooses nothing for good.
func (e *encoder) autotune(a autotune) int {
	if e.lists {
		e.listed = a.candidates
		return a.fixed
	}
	choices := e.dev.choices
	choice := tune.Candidate{Variant: a.fixed}
	if v, ok := choices.Kept(a.shape, a.candidates); ok {
		choice.Variant = v
	} else if e.counts {
		e.estimate(&a)
	} else if fastest, ok := e.fastest(&a); ok {
		choice = fastest
	}
	if e.ctx.Err() == nil && !e.counts {
		choices.Choose(a.shape, choice)
	}
	return choice.Variant
}

// estimate counts the scratch of a's benchmarks, and of the operation by any variant.
func (e *encoder) estimate(a *autotune) {
	for _, c := range a.candidates {
		for _, record := range []func(*encoder, int){a.benchmark, a.record} {
			each := e.beside()
			record(each, c.Variant)
			e.scratch.most = max(e.scratch.most, each.scratch.most)
		}
	}
}

// beside returns an encoder whose scratch comes after that of e's operation so far.
func (e *encoder) beside() *encoder {
	return &encoder{dev: e.dev, ctx: e.ctx, op: "tuning", counts: e.counts, scratch: scratch{used: e.scratch.used, most: e.scratch.used}}
}

// fastest times a's candidates; ok is false where none could be, or one was missed.
func (e *encoder) fastest(a *autotune) (best tune.Candidate, ok bool) {
	defer e.dev.Trim()
	prepare := func(variant int) (tune.Run, func(), error) {
		each := e.beside()
		a.benchmark(each, variant)
		if each.err != nil {
			return nil, nil, each.err
		}
		release, err := each.acquire()
		return func() (float64, error) { return e.dev.try(e.ctx, "tuning", each.dispatches) }, release, err
	}
	best, ok = tune.Fastest(a.candidates, prepare, func(c tune.Candidate, err error) {
		e.dev.log.Debug("a variant is left out", "variant", c.Name, "error", err)
	})
	return best, ok && e.ctx.Err() == nil
}
