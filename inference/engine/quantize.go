package engine

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// quantize puts the experts' quantised weights in the place of their own. The
// whole checkpoint was checked before, so that making them, which may take
// minutes, is not in vain.
func (p *Pipeline) quantize(ctx context.Context, q inference.Quant, emit func(inference.Event)) error {
	for _, name := range transformers {
		e, ok := p.layout.Experts[name]
		if !ok {
			continue
		}
		store, err := weights.OpenQuantised(ctx, p.layout.Dir, name, e.Store, stored(q), quantizing(name, q, emit))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := p.replace(ctx, name, store); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		emit(inference.Quantized{Part: name, Quant: q.String(), File: store.Path(), Bytes: store.Bytes()})
	}
	return nil
}

// quantizing returns a function that reports every further percent.
func quantizing(name string, q inference.Quant, emit func(inference.Event)) func(done, total int64) {
	percent := int64(-1)
	return func(done, total int64) {
		if now := 100 * done / max(1, total); now != percent {
			percent = now
			emit(inference.Quantizing{Part: name, Quant: q.String(), Done: done, Total: total})
		}
	}
}

// replace loads an expert's weights from store, which is then the layout's.
func (p *Pipeline) replace(ctx context.Context, name string, store *weights.Store) error {
	e := p.layout.Experts[name]
	if store == e.Store {
		return nil
	}
	model, err := wan.LoadAdapted(ctx, p.dev, store, e.Config, p.adapted.of(name))
	if err != nil {
		return errors.Join(err, store.Close())
	}
	p.experts[name].Close()
	p.experts[name] = model
	p.layout.Experts[name] = weights.Expert{Store: store, Config: e.Config}
	return e.Store.Close()
}
