package engine

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/tokenizer"
	"gimbal/inference/watch"
	"gimbal/inference/weights"
)

// Inspect implements Engine. Weights are mapped onto the device to check their shapes,
// not read.
func (l *Local) Inspect(ctx context.Context, r Request) (_ Model, err error) {
	c := r.checkpoint()
	if c.Dir, err = weights.Find(c.Dir); err != nil {
		return Model{}, err
	}
	parts, err := c.Inspect()
	if err != nil {
		return Model{}, err
	}
	m := Model{Dir: c.Dir, Modes: modesOf(c)}
	var errs []error
	for _, p := range parts {
		m.Parts = append(m.Parts, Part{Name: p.Name, Path: p.Path, Bytes: p.Bytes, DTypes: p.DTypes, Unused: p.Unused, Zeros: p.Zeros, Config: p.Config, Other: p.Other, Err: p.Err})
		if !p.Other {
			errs = append(errs, p.Err)
		}
	}
	if err := weights.JoinCauses(errs...); err != nil {
		return m, err
	}
	dev, err := l.open(ctx)
	if err != nil {
		return m, err
	}
	p, err := loadChecked(ctx, dev, c, inference.QuantNone, func(inference.Event) {}, l.checkSamples)
	if err != nil {
		return m, err
	}
	m.Whole, m.HasCamera, m.ReadsKeys, m.Recipe = true, p.HasCamera(), p.ReadsKeys(), p.recipe
	m.Variant, m.Twins = p.variant, p.layout.Twins()
	m.Cached = cached(p.layout)
	return m, p.Close()
}

// cached returns the kinds of weights that need not be made: those that the checkpoint
// brings, and those that were made before, for all of its experts.
func cached(l *weights.Layout) (kinds []inference.Quant) {
	for _, q := range quantKinds {
		there := true
		for name, expert := range l.Experts {
			there = there && weights.HasQuantised(l.Dir, name, expert.Store, stored(q))
		}
		if there {
			kinds = append(kinds, q)
		}
	}
	return kinds
}

var quantKinds = []inference.Quant{inference.QuantBF16, inference.QuantINT8, inference.QuantNF4, inference.QuantNF4Double}

// vocabulary is a checkpoint's tokenizer.
type vocabulary struct {
	of        weights.Checkpoint
	files     string // as they looked when it was opened
	tokenizer *tokenizer.Tokenizer
	limit     int
}

// Tokens implements Engine.
func (l *Local) Tokens(ctx context.Context, r Request, texts ...string) ([]Tokens, error) {
	v, err := l.vocabulary(r.checkpoint())
	if err != nil {
		return nil, err
	}
	counts := make([]Tokens, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		counts[i] = Tokens{N: v.tokenizer.Count(text), Limit: v.limit}
	}
	return counts, nil
}

func (l *Local) vocabulary(c weights.Checkpoint) (*vocabulary, error) {
	files := watch.See(c.Dir)
	l.mu.Lock()
	v := l.vocab
	l.mu.Unlock()
	if v != nil && v.of == c && v.files == files {
		return v, nil
	}
	v, err := openVocabulary(c)
	if err != nil {
		return nil, err
	}
	v.of, v.files = c, files
	l.mu.Lock()
	l.vocab = v // one is enough, and it is large
	l.mu.Unlock()
	return v, nil
}

// openVocabulary opens a checkpoint's tokenizer. The experts say how much they read.
func openVocabulary(c weights.Checkpoint) (*vocabulary, error) {
	parts, err := c.Inspect()
	if err != nil {
		return nil, err
	}
	v := &vocabulary{limit: tokenizer.DefaultMaxLen}
	for _, p := range parts {
		if p.Config != nil {
			v.limit = min(v.limit, p.Config.TextLen)
		}
		if p.Name == "tokenizer" {
			if p.Err != nil {
				return nil, p.Err
			}
			if v.tokenizer, err = tokenizerAt(p.Path); err != nil {
				return nil, err
			}
		}
	}
	if v.tokenizer == nil {
		return nil, fmt.Errorf("%s: no tokenizer", c.Dir)
	}
	return v, nil
}

// unsupported tries a small matrix of every quantisation on the device and returns
// why it cannot do which.
func unsupported(ctx context.Context, dev device.Device) map[inference.Quant]string {
	missing := map[inference.Quant]string{}
	for _, q := range quantKinds {
		if err := try(ctx, dev, q); errors.Is(err, device.ErrUnsupported) {
			missing[q] = err.Error()
		}
	}
	return missing
}

// try multiplies by a matrix of zeros that is kept as q says.
func try(ctx context.Context, dev device.Device, q inference.Quant) error {
	const n = device.NF4Block
	const label = "quantisation test"
	arena := nn.NewArena(dev)
	defer arena.Release()
	mat := func(t device.DType, rows, cols int) device.Mat { return arena.Mat(label, t, rows, cols) }
	l := device.Linear{X: mat(device.F32, 1, n), Y: mat(device.F32, 1, n), W: device.NewWeight(stored(q).Format.OnDevice(), 0, n, n, mat)}
	if err := arena.Err(); err != nil {
		return err
	}
	return dev.Do(ctx, label, func(e device.Encoder) { e.Record(l) })
}
