package umt5

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/weights"
)

// Encoder is UMT5's encoder on a device.
type Encoder struct {
	dev     device.Device
	weights *weights.Loader
	sizes

	tokenEmbedding device.Mat // [vocab, dim]
	blocks         []block
	norm           device.Mat // [1, dim]
}

// sizes are what the shapes of the tensors say.
type sizes struct {
	vocab, dim     int // token_embedding.weight
	attnDim        int // blocks.0.attn.q.weight
	ffnDim         int // blocks.0.ffn.gate.0.weight
	buckets, heads int // blocks.0.pos_embedding.embedding.weight
}

// block is blocks.N of the checkpoint.
type block struct {
	norm1, norm2   device.Mat // [1, dim]
	q, k, v, o     nn.Linear
	gate, fc1, fc2 nn.Linear
	posEmbedding   device.Mat // [buckets, heads]
}

// Load puts the weights of store on dev. Weights stay in the mapped file where
// the device can use them there; store must stay open until Close. The error
// names every tensor that is missing or misshapen.
func Load(ctx context.Context, dev device.Device, store *weights.Store) (*Encoder, error) {
	l := weights.NewLoader(dev, store)
	e := &Encoder{dev: dev, weights: l}
	if err := e.load(ctx, l, store); err != nil {
		l.Release()
		return nil, fmt.Errorf("umt5: %w", err)
	}
	return e, nil
}

func (e *Encoder) load(ctx context.Context, l *weights.Loader, store *weights.Store) error {
	layers, err := countLayers(store)
	if err != nil {
		return err
	}
	embedding := l.Weight("token_embedding.weight", 0, 0)
	q := l.Weight("blocks.0.attn.q.weight", 0, embedding.In)
	gate := l.Weight("blocks.0.ffn.gate.0.weight", 0, embedding.In)
	position := l.Weight("blocks.0.pos_embedding.embedding.weight", 0, 0)
	if err := l.Err(); err != nil {
		return err
	}
	e.tokenEmbedding = embedding.Data
	e.sizes = sizes{
		vocab: embedding.Out, dim: embedding.In, attnDim: q.Out, ffnDim: gate.Out,
		buckets: position.Out, heads: position.In,
	}
	if err := e.sizes.check(store.Path()); err != nil {
		return err
	}
	e.norm = l.Vector("norm.weight", e.dim)
	for i := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		e.blocks = append(e.blocks, loadBlock(l, fmt.Sprintf("blocks.%d.", i), e.sizes))
	}
	return l.Err()
}

func loadBlock(l *weights.Loader, name string, s sizes) block {
	linear := func(name string, out, in int) nn.Linear { return nn.Linear{Weight: l.Weight(name, out, in)} }
	return block{
		norm1:        l.Vector(name+"norm1.weight", s.dim),
		q:            linear(name+"attn.q.weight", s.attnDim, s.dim),
		k:            linear(name+"attn.k.weight", s.attnDim, s.dim),
		v:            linear(name+"attn.v.weight", s.attnDim, s.dim),
		o:            linear(name+"attn.o.weight", s.dim, s.attnDim),
		norm2:        l.Vector(name+"norm2.weight", s.dim),
		gate:         linear(name+"ffn.gate.0.weight", s.ffnDim, s.dim),
		fc1:          linear(name+"ffn.fc1.weight", s.ffnDim, s.dim),
		fc2:          linear(name+"ffn.fc2.weight", s.dim, s.ffnDim),
		posEmbedding: l.Weight(name+"pos_embedding.embedding.weight", s.buckets, s.heads).Data,
	}
}

// check fails where tensors of the file that are well on their own do not fit
// together.
func (s sizes) check(path string) error {
	const position = `tensor "blocks.0.pos_embedding.embedding.weight" shape`
	shape := fmt.Sprint([]int{s.buckets, s.heads})
	if s.attnDim%s.heads != 0 {
		return &weights.Error{Path: path, Field: position, Found: shape,
			Want: fmt.Sprintf("[buckets heads], the heads dividing the %d rows of blocks.0.attn.q.weight", s.attnDim)}
	}
	if s.buckets < 4 || s.buckets/4 >= maxDistance {
		return &weights.Error{Path: path, Field: position, Found: shape,
			Want: fmt.Sprintf("[buckets heads] with 4 to %d buckets", 4*maxDistance-1)}
	}
	return nil
}

// countLayers returns the number of blocks that store's names speak of.
func countLayers(store *weights.Store) (int, error) {
	layers := 1 // a store without blocks is one that lacks blocks.0
	names := store.Names()
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, "blocks.")
		index, _, _ := strings.Cut(rest, ".")
		i, err := strconv.Atoi(index)
		if !ok || err != nil {
			continue
		}
		if i < 0 || i >= len(names) {
			return 0, &weights.Error{Path: store.Path(), Field: "names of tensors", Found: name, Want: "blocks counted from 0"}
		}
		layers = max(layers, i+1)
	}
	return layers, nil
}

// Dim returns the length of a hidden state.
func (e *Encoder) Dim() int { return e.dim }

// Vocab returns the number of ids that the encoder knows.
func (e *Encoder) Vocab() int { return e.vocab }

// Close gives back what the encoder holds on the device. A second call does
// nothing.
func (e *Encoder) Close() { e.weights.Release() }
