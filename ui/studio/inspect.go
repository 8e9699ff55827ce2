package studio

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/tokenizer"
	"gimbal/inference/weights"
	"gimbal/ui/watch"
)

// Inspect implements Engine.
func (e *engine) Inspect(ctx context.Context, dir string) (Model, error) {
	parts, err := weights.Inspect(dir)
	if err != nil {
		return Model{}, err
	}
	var m Model
	var errs []error
	for _, p := range parts {
		part := Part{Name: p.Name, Path: p.Path, Bytes: p.Bytes}
		if p.Err != nil {
			part.Error = p.Err.Error()
			errs = append(errs, p.Err)
		}
		m.Parts = append(m.Parts, part)
	}
	if err := errors.Join(errs...); err != nil {
		return m, err
	}
	dev, err := e.open(ctx)
	if err != nil {
		return m, err
	}
	p, err := inference.Load(ctx, inference.Options{Checkpoint: dir, Device: dev}, func(inference.Event) {})
	if err != nil {
		return m, err
	}
	m.Whole, m.HasCamera = true, p.HasCamera()
	if err := p.Close(); err != nil {
		return m, err
	}
	m.Cached, err = cached(dir)
	return m, err
}

// cached returns the quantisations that need not be made: those that the checkpoint
// in dir brings, and those that were made before, for all of its experts.
func cached(dir string) ([]weights.Quant, error) {
	l, err := weights.OpenLayout(dir)
	if err != nil {
		return nil, err
	}
	defer l.Close()
	var all []weights.Quant
	for _, o := range quantChoices[1:] {
		there := true
		for name, expert := range l.Experts {
			there = there && weights.HasQuantised(dir, name, expert.Store, o)
		}
		if there {
			all = append(all, o)
		}
	}
	return all, nil
}

// vocabulary is a checkpoint's tokenizer.
type vocabulary struct {
	look      string // of the checkpoint's files when it was opened
	tokenizer *tokenizer.Tokenizer
	limit     int
}

// Tokens implements Engine.
func (e *engine) Tokens(ctx context.Context, dir string, texts ...string) ([]Tokens, error) {
	v, err := e.vocabulary(dir)
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

func (e *engine) vocabulary(dir string) (*vocabulary, error) {
	look := watch.See(dir)
	e.mu.Lock()
	v := e.words[dir]
	e.mu.Unlock()
	if v != nil && v.look == look {
		return v, nil
	}
	v, err := openVocabulary(dir)
	if err != nil {
		return nil, err
	}
	v.look = look
	e.mu.Lock()
	clear(e.words) // one is enough, and it is large
	e.words[dir] = v
	e.mu.Unlock()
	return v, nil
}

// openVocabulary opens a checkpoint's tokenizer. The experts say how much they read.
func openVocabulary(dir string) (*vocabulary, error) {
	parts, err := weights.Inspect(dir)
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
			if v.tokenizer, err = tokenizer.Open(p.Path); err != nil {
				return nil, err
			}
		}
	}
	if v.tokenizer == nil {
		return nil, fmt.Errorf("%s: no tokenizer", dir)
	}
	return v, nil
}

// unsupported tries a small matrix of every quantisation on the device and returns
// why it cannot do which.
func unsupported(ctx context.Context, dev device.Device) map[weights.Format]string {
	missing := map[weights.Format]string{}
	for _, kind := range []weights.Format{weights.INT8, weights.NF4} {
		if err := try(ctx, dev, kind); errors.Is(err, device.ErrUnsupported) {
			missing[kind] = err.Error()
		}
	}
	return missing
}

// try multiplies by a matrix of zeros that is kept as kind says.
func try(ctx context.Context, dev device.Device, kind weights.Format) error {
	const n = weights.NF4Block
	var err error
	var buffers []device.Buffer
	defer func() {
		for _, b := range buffers {
			b.Release()
		}
	}()
	mat := func(t device.DType, rows, cols int) device.Mat {
		if err != nil {
			return device.Mat{}
		}
		d := device.Desc{Label: "quantisation test", DType: t, Shape: []int{rows, cols}}
		var b device.Buffer
		if b, err = dev.Alloc(d); err != nil {
			return device.Mat{}
		}
		buffers = append(buffers, b)
		err = dev.Write(ctx, b, make([]byte, d.Bytes()))
		return device.AsMat(b)
	}
	l := device.Linear{X: mat(device.F32, 1, n), Y: mat(device.F32, 1, n)}
	if kind == weights.INT8 {
		l.W = device.Weight{Data: mat(device.I8, n, n), Out: n, In: n, Scale: mat(device.F32, 1, n)}
	} else {
		l.W = device.Weight{
			Data: mat(device.U8, 1, n*n/2), Out: n, In: n, NF4: true, Block: weights.NF4Block,
			Scale: mat(device.F32, 1, n), Code: mat(device.F32, 1, len(weights.NF4Code)),
		}
	}
	if err != nil {
		return err
	}
	return dev.Do(ctx, "quantisation test", func(e device.Encoder) { e.Linear(l) })
}
