package umt5

import (
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// eps is T5's for its RMS norm.
const eps = 1e-6

// Encode returns the hidden states of ids, [len(ids), Dim()]; none on a dry device, where
// they are the caller's to count. It fails for no ids and for an id that the vocabulary does
// not have.
func (e *Encoder) Encode(ctx context.Context, ids []int32) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("umt5: found no ids, expected at least the end token")
	}
	for i, id := range ids {
		if id < 0 || int(id) >= e.sizes.Vocab {
			return nil, fmt.Errorf("umt5: id at %d: found %d, expected 0 to %d (do tokenizer and text encoder belong together?)", i, id, e.sizes.Vocab-1)
		}
	}
	arena := nn.NewArena(e.dev)
	defer arena.Release()
	states, err := e.encode(ctx, arena, ids)
	if err != nil {
		return nil, fmt.Errorf("umt5: %w", err)
	}
	return states, nil
}

func (e *Encoder) encode(ctx context.Context, arena *nn.Arena, ids []int32) ([]float32, error) {
	p := e.newPass(ctx, arena, ids)
	if err := arena.Err(); err != nil {
		return nil, err
	}
	if err := p.embed(ctx, ids); err != nil {
		return nil, err
	}
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	var states []float32
	if !e.dev.Info().Dry {
		states = make([]float32, len(ids)*e.sizes.Dim)
	}
	return states, e.dev.Read(ctx, device.Bytes(states), p.h.Buf)
}

// pass is one encoding of n tokens.
type pass struct {
	*Encoder
	ids              device.Mat // [1, n]
	distanceBuckets  device.Mat // [1, 2n-1]
	x, h             device.Mat // [n, dim]: the residual stream, the normalised states
	q, k, v          device.Mat // [n, attnDim]
	gate, up         device.Mat // [n, ffnDim]
	byDistance, bias device.Mat // [2n-1, heads] and transposed
}

func (e *Encoder) newPass(ctx context.Context, arena *nn.Arena, ids []int32) pass {
	n := len(ids)
	mat := func(label string, rows, cols int) device.Mat { return arena.Mat(label, device.F32, rows, cols) }
	return pass{
		Encoder:         e,
		ids:             arena.Ints(ctx, "ids", ids),
		distanceBuckets: arena.Ints(ctx, "distance buckets", distanceBuckets(n, e.sizes.Buckets)),
		x:               mat("x", n, e.sizes.Dim),
		h:               mat("h", n, e.sizes.Dim),
		q:               mat("q", n, e.sizes.AttnDim),
		k:               mat("k", n, e.sizes.AttnDim),
		v:               mat("v", n, e.sizes.AttnDim),
		gate:            mat("gate", n, e.sizes.FFNDim),
		up:              mat("up", n, e.sizes.FFNDim),
		byDistance:      mat("bias by distance", 2*n-1, e.sizes.Heads),
		bias:            mat("position bias", e.sizes.Heads, 2*n-1),
	}
}

// embed looks the tokens up.
func (p pass) embed(ctx context.Context, ids []int32) error {
	if !p.tokenEmbedding.Table.IsZero() {
		return p.dev.Do(ctx, "token_embedding", func(enc device.Encoder) {
			enc.Record(device.Gather{Table: p.tokenEmbedding.Table, IDs: p.ids, Y: p.x})
		})
	}
	var rows []float32
	p.dev.Hold(p.x.Bytes())
	defer p.dev.Hold(-p.x.Bytes())
	if !p.dev.Info().Dry {
		rows = make([]float32, len(ids)*p.sizes.Dim)
		if err := p.tokenEmbedding.Rows(rows, ids); err != nil {
			return err
		}
	}
	return p.dev.Write(ctx, p.x.Buf, device.Bytes(rows))
}

func (p pass) run(ctx context.Context) (err error) {
	for i := 0; i < len(p.blocks) && err == nil; i++ {
		err = p.dev.Do(ctx, fmt.Sprintf("umt5.blocks.%d", i), func(enc device.Encoder) {
			p.attention(enc, p.blocks[i])
			p.feedForward(enc, p.blocks[i])
		})
	}
	if err != nil {
		return err
	}
	return p.dev.Do(ctx, "norm", func(enc device.Encoder) { p.normalize(enc, p.norm) })
}

// attention is self-attention with a bias by distance and without a scale.
func (p pass) attention(enc device.Encoder, b block) {
	enc.Record(device.Gather{Table: b.posEmbedding.Table, IDs: p.distanceBuckets, Y: p.byDistance})
	enc.Record(device.Move{X: p.byDistance, Y: p.bias, Transpose: true})
	p.normalize(enc, b.norm1)
	b.q.Record(enc, p.h, p.q, nn.Epilogue{})
	b.k.Record(enc, p.h, p.k, nn.Epilogue{})
	b.v.Record(enc, p.h, p.v, nn.Epilogue{})
	enc.Record(device.Attention{Q: p.q, K: p.k, V: p.v, O: p.q, Heads: p.sizes.Heads, Scale: 1, RelBias: p.bias})
	b.o.Record(enc, p.q, p.x, nn.Epilogue{Add: p.x})
}

// feedForward is T5 v1.1's: fc2(fc1(x) * gelu(gate(x))).
func (p pass) feedForward(enc device.Encoder, b block) {
	p.normalize(enc, b.norm2)
	b.gate.Record(enc, p.h, p.gate, nn.Epilogue{Act: device.GELU})
	b.fc1.Record(enc, p.h, p.up, nn.Epilogue{})
	enc.Record(device.Binary{A: p.up, B: p.gate, Y: p.up, Op: device.Mul})
	b.fc2.Record(enc, p.up, p.x, nn.Epilogue{Add: p.x})
}

// normalize stores the weighted RMS norm of x in h.
func (p pass) normalize(enc device.Encoder, weight device.Mat) {
	enc.Record(device.Norm{X: p.x, Y: p.h, Kind: device.RMSNorm, Eps: eps, Weight: weight})
}
