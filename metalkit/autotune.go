package metalkit

import (
	"fmt"
	"slices"

	"gimbal/inference/device"
	"gimbal/inference/device/host"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// A run starts with the fixed variants. When a later submission has an operation of the same
// shape, and its operands hold what the first one left there, the others are ready (prepare.go)
// and timed.

// chosen returns the variant to run an operation of a shape by, unless it is still to be
// timed: the fixed one where nothing is.
func (e *encoder) chosen(s tune.Shape, fixed int) (variant int, ok bool) {
	switch {
	case e.lists:
		return 0, false
	case e.dev.choices == nil || e.forced.op != "" || e.checking:
		return fixed, true
	}
	return e.dev.choices.Chosen(s)
}

// usable returns the first of n variants, from number first on, that runs an operation and
// whose kernel is not switched off; if all are, the first that runs it.
func (e *encoder) usable(first, n int, of func(v int) (kernel string, runs bool)) int {
	for _, off := range []bool{false, true} {
		for i := range n {
			v := (first + i) % n
			if kernel, runs := of(v); runs && (off || e.checking || !e.dev.isOff(kernel)) {
				return v
			}
		}
	}
	return first
}

// isOff reports whether a kernel is switched off.
func (d *gpu) isOff(kernel string) bool { return d.choices != nil && d.choices.Wrong(kernel) != "" }

// autotune is how the variants of one operation are timed.
type autotune struct {
	op         device.Op
	shape      tune.Shape
	fixed      int // the variant that is taken where nothing can be timed
	candidates []tune.Candidate
	kernels    map[int]string          // of the candidates
	record     func(e *encoder, v int) // the operation by a variant
	// The same, or a part of a large one, to other results, which it returns.
	benchmark func(e *encoder, v int) device.Mat
}

// add adds a variant, unless its kernel is switched off.
func (a *autotune) add(e *encoder, variant int, name, kernel string) {
	if e.lists || !e.dev.isOff(kernel) {
		a.candidates = append(a.candidates, tune.Candidate{Variant: variant, Name: name})
		if a.kernels == nil {
			a.kernels = map[int]string{}
		}
		a.kernels[variant] = kernel
	}
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

// autotune returns the variant for a's operation: that of the file, or the fastest, or until
// it can be found the fixed one. An encoder that counts times nothing, and chooses nothing for
// good.
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
	} else if !e.ready(&a) {
		return a.fixed
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
		each := e.beside()
		a.benchmark(each, c.Variant)
		e.scratch.most = max(e.scratch.most, each.scratch.most)
		each = e.beside()
		a.record(each, c.Variant)
		e.scratch.most = max(e.scratch.most, each.scratch.most)
	}
}

// beside returns an encoder whose scratch comes after that of e's operation so far.
func (e *encoder) beside() *encoder {
	return &encoder{dev: e.dev, ctx: e.ctx, op: "tuning", counts: e.counts, scratch: scratch{used: e.scratch.used, most: e.scratch.used}}
}

// fastest times a's candidates; ok is false where none could be, or one was missed. Those whose
// results are not the fixed one's are switched off.
func (e *encoder) fastest(a *autotune) (best tune.Candidate, ok bool) {
	defer e.dev.Trim()
	e.dev.toPrepare(1)
	e.dev.tellPreparation()
	defer e.dev.prepared()
	if i := slices.IndexFunc(a.candidates, func(c tune.Candidate) bool { return c.Variant == a.fixed }); i > 0 {
		a.candidates[0], a.candidates[i] = a.candidates[i], a.candidates[0]
	}
	var want []byte // of the fixed variant
	prepare := func(variant int) (tune.Trial, error) {
		each := e.beside()
		y := a.benchmark(each, variant)
		if each.err == nil {
			each.err = e.rightOn(a, each, variant)
		}
		if each.err != nil {
			if each.refused != "" {
				e.dev.refuse(each.refused, each.err)
			}
			return tune.Trial{}, each.err
		}
		b, err := e.dev.acquireScratch(each.scratch.most)
		if err != nil {
			return tune.Trial{}, err
		}
		each.place(b)
		run := func() (float64, error) { return e.dev.try(e.ctx, "tuning", each.dispatches) }
		first := func() (float64, error) {
			rows := sampleOf(y, b)
			if err := rows.spoil(e.dev); err != nil {
				return 0, err
			}
			seconds, err := run()
			if err != nil {
				return 0, err
			}
			got, err := rows.read(e.dev)
			if err == nil && want == nil {
				want = got
			}
			// Without finite numbers, as of operands that nothing has written yet, nothing is compared.
			if by := difference(y.DType, got, want); err == nil && allFinite(y.DType, want) && by > e.dev.tolerance(y.DType) {
				why := fmt.Sprintf("differs by %.2g of the largest result from %s, in %s", by, a.kernels[a.fixed], a.op)
				e.dev.switchOff(a.kernels[variant], why)
				err = fmt.Errorf("%s %s", a.kernels[variant], why)
			}
			return seconds, err
		}
		return tune.Trial{First: first, Run: run, Release: b.Release}, nil
	}
	best, ok = tune.Fastest(a.candidates, prepare, func(c tune.Candidate, err error) {
		e.dev.log.Debug("a variant is left out", "variant", c.Name, "error", err)
	})
	return best, ok && e.ctx.Err() == nil
}

// rightOn fails where a kernel of each, which is a's operation by a variant, is wrong.
func (e *encoder) rightOn(a *autotune, each *encoder, variant int) error {
	if e.dev.oracle.open == nil {
		return nil
	}
	for i := range each.plan {
		each.plan[i].variant = variant
	}
	if wrong := each.firstWrong(a.op, 0); wrong != "" {
		return fmt.Errorf("%s: %s", wrong, e.dev.choices.Wrong(wrong))
	}
	return nil
}

// rows are some rows of a benchmark's results, where they lie in the scratch.
type rows struct {
	driver.Memory
	at   []int64
	size int // bytes of each
}

// sampleOf takes rows of y from all over it, and of every place in a tile.
func sampleOf(y device.Mat, b *host.Buffer[memory]) rows {
	const most = 67
	n, size := min(y.Rows, most), y.DType.Size()
	r := rows{Memory: b.Mem.Memory, size: min(y.Cols, 1<<14) * size}
	for i := range n {
		r.at = append(r.at, int64(y.Offset+i*(y.Rows-1)/max(1, n-1)*y.Stride)*int64(size))
	}
	return r
}

// spoil fills the rows with numbers that are no results: a kernel that writes nothing shows.
func (r rows) spoil(d *gpu) error {
	bad := slices.Repeat([]byte{0x3f}, r.size) // about 1 in every type
	for _, at := range r.at {
		if far, ok := d.drv.(driver.Discrete); ok {
			if err := far.Write(r.Memory, at, bad); err != nil {
				return err
			}
		} else if r.Host != nil {
			copy(r.Host[at:], bad)
		}
	}
	return nil
}

// read returns the rows one after the other; none where there is no memory.
func (r rows) read(d *gpu) ([]byte, error) {
	all := make([]byte, 0, len(r.at)*r.size)
	for _, at := range r.at {
		if far, ok := d.drv.(driver.Discrete); ok {
			row := make([]byte, r.size)
			if err := far.Read(row, r.Memory, at); err != nil {
				return nil, err
			}
			all = append(all, row...)
		} else if r.Host != nil {
			all = append(all, r.Host[at:at+int64(r.size)]...)
		}
	}
	return all, nil
}
