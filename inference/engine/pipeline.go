package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/tokenizer"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// Pipeline is a checkpoint on a device. It runs one job at a time; further calls wait.
type Pipeline struct {
	running sync.Mutex
	dev     device.Device
	layout  *weights.Layout
	source  source
	variant Variant
	recipe  inference.Recipe

	tokenizer *tokenizer.Tokenizer
	text      *umt5.Encoder
	vae       *vae.VAE
	experts   map[string]*wan.Model // by folder; at least one
	adapted   *adaptation           // what the experts were loaded with

	// Reuse says what sessions keep instead of computing it again, which is everything: to
	// be changed for measuring only.
	Reuse wan.Reuse
}

// experts are the folders of the experts, the first to run first; transformers are all that
// there may be.
var (
	experts      = []string{weights.HighNoise, weights.LowNoise}
	transformers = append(slices.Clip(experts), weights.Causal)
)

// Load opens the checkpoint in folder dir on dev and checks that every tensor of it is
// there, of a known type and of the right shape. Weights are memory-mapped, so that
// loading reads little; the errors name every file and tensor that is wrong. Quantised
// weights are made at first use and kept.
func Load(ctx context.Context, dev device.Device, dir string, q inference.Quant, emit func(inference.Event)) (*Pipeline, error) {
	return LoadModel(ctx, dev, weights.Checkpoint{Dir: dir}, q, emit)
}

// LoadModel is Load of one of the models of a checkpoint.
func LoadModel(ctx context.Context, dev device.Device, c weights.Checkpoint, q inference.Quant, emit func(inference.Event)) (*Pipeline, error) {
	return loadChecked(ctx, dev, c, q, emit, func(context.Context, *weights.Layout) error { return nil })
}

// loadChecked is LoadModel that has check look at the open files before weights are made of them.
func loadChecked(ctx context.Context, dev device.Device, c weights.Checkpoint, q inference.Quant, emit func(inference.Event),
	check func(context.Context, *weights.Layout) error) (*Pipeline, error) {
	layout, err := c.Open()
	if err != nil {
		return nil, err
	}
	c.Dir = layout.Dir
	p := &Pipeline{dev: dev, layout: layout, variant: variantOf(c, layout), Reuse: wan.AllReuse}
	if p.recipe, err = parseRecipe(layout.RecipeDir, distilled(c, p.variant.Recipe), layout.Recipe); err == nil {
		p.source, err = fingerprint(layout)
	}
	if err == nil {
		err = p.open(ctx, emit)
	}
	if err == nil {
		err = check(ctx, layout)
	}
	if err == nil && q != inference.QuantNone {
		p.source.Quant = q
		err = p.quantize(ctx, q, emit)
	}
	if err != nil {
		p.Close()
		return nil, &inference.CheckpointError{Dir: c.Dir, Err: err}
	}
	return p, nil
}

// part is one part of a checkpoint: how large it is and how it is opened.
type part struct {
	name  string
	bytes int64
	open  func() error
}

// open opens all parts and checks that they belong together.
func (p *Pipeline) open(ctx context.Context, emit func(inference.Event)) error {
	parts := append([]part{{"tokenizer", 0, func() (err error) {
		p.tokenizer, err = openTokenizer(p.layout)
		return err
	}}}, p.parts(ctx)...)
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
		emit(inference.Loading{Part: part.name, Bytes: part.bytes, Done: done, Total: total})
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return p.check()
}

// parts are those with weights.
func (p *Pipeline) parts(ctx context.Context) []part {
	p.experts = map[string]*wan.Model{}
	parts := []part{
		{"text encoder", p.layout.Text.Bytes(), func() (err error) {
			p.text, err = umt5.Load(ctx, p.dev, p.layout.Text)
			return err
		}},
		{"VAE", p.layout.VAE.Bytes(), func() (err error) {
			p.vae, err = vae.Load(ctx, p.dev, p.layout.VAE, statistics(p.layout))
			return err
		}},
	}
	for _, name := range transformers {
		if e, ok := p.layout.Experts[name]; ok {
			parts = append(parts, part{name, e.Store.Bytes(), func() error {
				model, err := wan.LoadAdapted(ctx, p.dev, e.Store, e.Config, p.adapted.of(name))
				if err == nil {
					p.experts[name] = model
				}
				return err
			}})
		}
	}
	return parts
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

// ReadsKeys reports whether the checkpoint is an act one: it is told the keys that are
// pressed, and only the turns of a camera path.
func (p *Pipeline) ReadsKeys() bool { return p.controlChannels() == clip.ActChannels }

// readsKeys is ReadsKeys of a layout that is not loaded.
func readsKeys(l *weights.Layout) bool {
	for _, e := range l.Experts {
		sizes, _ := weights.ReadWanSizes(e.Store, e.Config) // whoever loads it says what is wrong
		return sizes.CameraChannels == clip.ActChannels
	}
	return false
}

// causal reports whether the checkpoint's model makes videos chunk by chunk.
func (p *Pipeline) causal() bool { return p.experts[weights.Causal] != nil }

// controlChannels returns how many channels of a control the experts read; 0 for none.
func (p *Pipeline) controlChannels() int {
	for _, m := range p.experts {
		if m.CameraChannels != 0 {
			return m.CameraChannels
		}
	}
	return 0
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

// expert returns the folder of the expert for high or low noise. A checkpoint of one
// expert runs it at every step.
func (p *Pipeline) expert(highNoise bool) string {
	want := weights.LowNoise
	if highNoise {
		want = weights.HighNoise
	}
	if p.experts[want] == nil {
		for name := range p.experts {
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
	return errors.Join(p.adapted.close(), p.layout.Close())
}

// stored says what package weights calls q, which is one of the choices there are.
func stored(q inference.Quant) weights.Quant {
	w, err := weights.ParseQuant(q.String())
	if err != nil {
		panic(err)
	}
	return w
}
