package umt5

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/weights"
)

// Encoder is UMT5's encoder on a device.
type Encoder struct {
	dev     device.Device
	weights *weights.Loader
	sizes   weights.UMT5Sizes

	tokenEmbedding weights.Lookup // [vocab, dim]
	blocks         []block
	norm           device.Mat // [1, dim]
}

// block is blocks.N of the checkpoint.
type block struct {
	norm1, norm2   device.Mat // [1, dim]
	q, k, v, o     nn.Linear
	gate, fc1, fc2 nn.Linear
	posEmbedding   weights.Lookup // [buckets, heads]
}

// Load puts the weights of store on dev. Weights stay in the mapped file where
// the device can use them there; store must stay open until Close. The error
// names every tensor that is missing or misshapen.
func Load(ctx context.Context, dev device.Device, store *weights.Store) (*Encoder, error) {
	sizes, err := weights.ReadUMT5Sizes(store)
	if err != nil {
		return nil, fmt.Errorf("umt5: %w", err)
	}
	e := &Encoder{dev: dev, weights: weights.NewLoader(dev, store, sizes.Table()), sizes: sizes}
	if err := e.load(ctx, store.Path()); err != nil {
		e.Close()
		return nil, fmt.Errorf("umt5: %w", err)
	}
	return e, nil
}

func (e *Encoder) load(ctx context.Context, path string) error {
	e.tokenEmbedding = e.weights.Lookup("token_embedding.weight")
	e.norm = e.weights.Vector("norm.weight")
	for i := range e.sizes.Layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.blocks = append(e.blocks, loadBlock(e.weights, fmt.Sprintf("blocks.%d.", i)))
	}
	return errors.Join(e.weights.Err(), check(e.sizes, path))
}

func loadBlock(l *weights.Loader, name string) block {
	linear := func(name string) nn.Linear { return nn.Linear{Weight: l.Weight(name)} }
	return block{
		norm1:        l.Vector(name + "norm1.weight"),
		q:            linear(name + "attn.q.weight"),
		k:            linear(name + "attn.k.weight"),
		v:            linear(name + "attn.v.weight"),
		o:            linear(name + "attn.o.weight"),
		norm2:        l.Vector(name + "norm2.weight"),
		gate:         linear(name + "ffn.gate.0.weight"),
		fc1:          linear(name + "ffn.fc1.weight"),
		fc2:          linear(name + "ffn.fc2.weight"),
		posEmbedding: l.Lookup(name + "pos_embedding.embedding.weight"),
	}
}

// check fails where tensors of the file that are well on their own do not fit
// together. What is missing fits.
func check(s weights.UMT5Sizes, path string) error {
	const position = `tensor "blocks.0.pos_embedding.embedding.weight" shape`
	shape := fmt.Sprint([]int{s.Buckets, s.Heads})
	if s.Heads != 0 && s.AttnDim%s.Heads != 0 {
		return &weights.Error{Path: path, Field: position, Found: shape,
			Want: fmt.Sprintf("[buckets heads], the heads dividing the %d rows of blocks.0.attn.q.weight", s.AttnDim)}
	}
	if s.Buckets != 0 && (s.Buckets < 4 || s.Buckets/4 >= maxDistance) {
		return &weights.Error{Path: path, Field: position, Found: shape,
			Want: fmt.Sprintf("[buckets heads] with 4 to %d buckets", 4*maxDistance-1)}
	}
	return nil
}

// Dim returns the length of a hidden state.
func (e *Encoder) Dim() int { return e.sizes.Dim }

// Vocab returns the number of ids that the encoder knows.
func (e *Encoder) Vocab() int { return e.sizes.Vocab }

// Close gives back what the encoder holds on the device. A second call does
// nothing.
func (e *Encoder) Close() { e.weights.Release() }
