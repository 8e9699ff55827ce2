package inference

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"gimbal/inference/device"
	"gimbal/inference/tokenizer"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// Options says what Load opens, and where.
type Options struct {
	Checkpoint string        // folder of the checkpoint
	Device     device.Device // runs the model
	Quant      weights.Quant // how the experts' weights are kept; the zero value for as they are
}

// Pipeline is an opened checkpoint. It runs one job at a time; further calls wait.
type Pipeline struct {
	running sync.Mutex
	dev     device.Device
	layout  *weights.Layout
	source  source

	tokenizer *tokenizer.Tokenizer
	text      *umt5.Encoder
	vae       *vae.VAE
	experts   map[string]*wan.Model // by folder; at least one
}

// Load opens the checkpoint and checks that every tensor of it is there, of a
// known type and of the right shape. Weights are memory-mapped, so that loading
// reads little; the errors name every file and tensor that is wrong. Quantised
// weights are made at first use and kept (weights.OpenQuantised).
func Load(ctx context.Context, o Options, emit func(Event)) (*Pipeline, error) {
	if err := o.Quant.Validate(); err != nil {
		return nil, err
	}
	layout, err := weights.OpenLayout(o.Checkpoint)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{dev: o.Device, layout: layout, experts: map[string]*wan.Model{}}
	if p.source, err = fingerprint(layout); err == nil {
		err = p.open(ctx, o, emit)
	}
	if err == nil && o.Quant.Enabled() {
		p.source.Quant = o.Quant
		err = p.quantize(ctx, o.Quant, emit)
	}
	if err != nil {
		p.Close()
		return nil, fmt.Errorf("checkpoint %s: %w", o.Checkpoint, err)
	}
	return p, nil
}

// part is one part of a checkpoint: how large it is and how it is opened.
type part struct {
	name  string
	bytes int64
	open  func() error
}

func (p *Pipeline) open(ctx context.Context, o Options, emit func(Event)) error {
	parts := []part{
		{"tokenizer", 0, func() (err error) {
			p.tokenizer, err = tokenizer.Open(p.layout.TokenizerDir)
			return err
		}},
		{"text encoder", p.layout.Text.Bytes(), func() (err error) {
			p.text, err = umt5.Load(ctx, o.Device, p.layout.Text)
			return err
		}},
		{"VAE", p.layout.VAE.Bytes(), func() (err error) {
			p.vae, err = vae.Load(ctx, o.Device, p.layout.VAE, statistics(p.layout))
			return err
		}},
	}
	for _, name := range []string{weights.HighNoise, weights.LowNoise} {
		if e, ok := p.layout.Experts[name]; ok {
			parts = append(parts, part{name, e.Store.Bytes(), func() error {
				model, err := wan.Load(ctx, o.Device, e.Store, e.Config)
				if err == nil {
					p.experts[name] = model
				}
				return err
			}})
		}
	}
	var done, total int64
	for _, part := range parts {
		total += part.bytes
	}
	var errs []error
	for _, part := range parts {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := part.open(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", part.name, err))
			continue
		}
		done += part.bytes
		emit(Loading{Part: part.name, Bytes: part.bytes, Done: done, Total: total})
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return p.fit()
}

// HasCamera reports whether every expert of the checkpoint follows a camera path.
func (p *Pipeline) HasCamera() bool {
	for _, m := range p.experts {
		if m.CameraChannels == 0 {
			return false
		}
	}
	return true
}

// CountTokens returns the number of tokens of a prompt, the end token included,
// and how many of them the model reads at most.
func (p *Pipeline) CountTokens(prompt string) (n, limit int) {
	return p.tokenizer.Count(prompt), p.tokenizer.MaxLen
}

// statistics returns those of the checkpoint's VAE: Wan 2.1's unless it brings
// its own.
func statistics(l *weights.Layout) vae.Statistics {
	if c := l.VAEConfig; c != nil {
		return vae.Statistics{
			Mean: c.LatentsMean, Std: c.LatentsStd,
			RGB:      vae.Colours{Factors: c.RGBFactors, Bias: c.RGBBias},
			FirstRGB: vae.Colours{Factors: c.FirstRGBFactors, Bias: c.FirstRGBBias},
		}
	}
	return vae.WanStatistics()
}

// expert returns the folder of the expert that runs at timestep t. A checkpoint
// of one expert runs it at every step.
func (p *Pipeline) expert(t, boundary float64) string { return expertAt(t, boundary, p.experts) }

// expertAt returns that of experts which runs at timestep t.
func expertAt(t, boundary float64, experts map[string]*wan.Model) string {
	want := weights.LowNoise
	if t >= boundary*trainTimesteps {
		want = weights.HighNoise
	}
	if experts[want] == nil {
		for name := range experts {
			return name
		}
	}
	return want
}

// Close releases the checkpoint. No job may be running.
func (p *Pipeline) Close() error {
	if p.text != nil {
		p.text.Close()
	}
	if p.vae != nil {
		p.vae.Close()
	}
	for _, m := range p.experts {
		m.Close()
	}
	return p.layout.Close()
}
