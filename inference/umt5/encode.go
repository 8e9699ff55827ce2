package umt5

import (
	"context"
	"encoding/binary"
	"fmt"

	"gimbal/inference/device"
)

// eps is T5's for its RMS norm.
const eps = 1e-6

// Encode returns the hidden states of ids, [len(ids), Dim()]. It fails for no ids
// and for an id that the vocabulary does not have.
func (e *Encoder) Encode(ctx context.Context, ids []int32) ([]float32, error) {
	if len(ids) == 0 {
		return nil, fmt.Errorf("umt5: found no ids, expected at least the end token")
	}
	for i, id := range ids {
		if id < 0 || int(id) >= e.sizes.Vocab {
			return nil, fmt.Errorf("umt5: id at %d: found %d, expected 0 to %d (do tokenizer and text encoder belong together?)", i, id, e.sizes.Vocab-1)
		}
	}
	s := &scratch{dev: e.dev}
	defer s.release()
	p, err := e.newPass(ctx, s, ids)
	if err != nil {
		return nil, fmt.Errorf("umt5: %w", err)
	}
	if err := p.run(ctx); err != nil {
		return nil, fmt.Errorf("umt5: %w", err)
	}
	out := make([]float32, len(ids)*e.sizes.Dim)
	if err := e.dev.Read(ctx, device.Bytes(out), p.h.Buf); err != nil {
		return nil, fmt.Errorf("umt5: %w", err)
	}
	return out, nil
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

func (e *Encoder) newPass(ctx context.Context, s *scratch, ids []int32) (pass, error) {
	n := len(ids)
	p := pass{
		Encoder:         e,
		ids:             s.ints(ctx, "ids", ids),
		distanceBuckets: s.ints(ctx, "distance buckets", distanceBuckets(n, e.sizes.Buckets)),
		x:               s.mat("x", n, e.sizes.Dim),
		h:               s.mat("h", n, e.sizes.Dim),
		q:               s.mat("q", n, e.sizes.AttnDim),
		k:               s.mat("k", n, e.sizes.AttnDim),
		v:               s.mat("v", n, e.sizes.AttnDim),
		gate:            s.mat("gate", n, e.sizes.FFNDim),
		up:              s.mat("up", n, e.sizes.FFNDim),
		byDistance:      s.mat("bias by distance", 2*n-1, e.sizes.Heads),
		bias:            s.mat("position bias", e.sizes.Heads, 2*n-1),
	}
	return p, s.err
}

func (p pass) run(ctx context.Context) error {
	err := p.dev.Do(ctx, "token_embedding", func(enc device.Encoder) {
		enc.Record(device.Gather{Table: p.tokenEmbedding, IDs: p.ids, Y: p.x})
	})
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
	enc.Record(device.Gather{Table: b.posEmbedding, IDs: p.distanceBuckets, Y: p.byDistance})
	enc.Record(device.Move{X: p.byDistance, Y: p.bias, Transpose: true})
	p.normalize(enc, b.norm1)
	enc.Record(device.Linear{X: p.h, W: b.q, Y: p.q})
	enc.Record(device.Linear{X: p.h, W: b.k, Y: p.k})
	enc.Record(device.Linear{X: p.h, W: b.v, Y: p.v})
	enc.Record(device.Attention{Q: p.q, K: p.k, V: p.v, O: p.q, Heads: p.sizes.Heads, Scale: 1, RelBias: p.bias})
	enc.Record(device.Linear{X: p.q, W: b.o, Y: p.x, Add: p.x})
}

// feedForward is T5 v1.1's: fc2(fc1(x) * gelu(gate(x))).
func (p pass) feedForward(enc device.Encoder, b block) {
	p.normalize(enc, b.norm2)
	enc.Record(device.Linear{X: p.h, W: b.gate, Y: p.gate, Act: device.GELU})
	enc.Record(device.Linear{X: p.h, W: b.fc1, Y: p.up})
	enc.Record(device.Binary{A: p.up, B: p.gate, Y: p.up, Op: device.Mul})
	enc.Record(device.Linear{X: p.up, W: b.fc2, Y: p.x, Add: p.x})
}

// normalize stores the weighted RMS norm of x in h.
func (p pass) normalize(enc device.Encoder, weight device.Mat) {
	enc.Record(device.Norm{X: p.x, Y: p.h, Kind: device.RMSNorm, Eps: eps, Weight: weight})
}

// scratch makes buffers and remembers them. The first error sticks: after it, mat
// and ints return zero Mats.
type scratch struct {
	dev     device.Device
	buffers []device.Buffer
	err     error
}

func (s *scratch) alloc(d device.Desc) device.Mat {
	if s.err != nil {
		return device.Mat{}
	}
	b, err := s.dev.Alloc(d)
	if err != nil {
		s.err = err
		return device.Mat{}
	}
	s.buffers = append(s.buffers, b)
	return device.AsMat(b)
}

func (s *scratch) mat(label string, rows, cols int) device.Mat {
	return s.alloc(device.Desc{Label: label, DType: device.F32, Shape: []int{rows, cols}})
}

func (s *scratch) ints(ctx context.Context, label string, values []int32) device.Mat {
	m := s.alloc(device.Desc{Label: label, DType: device.I32, Shape: []int{1, len(values)}})
	if s.err == nil {
		data := make([]byte, 0, 4*len(values))
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, uint32(v))
		}
		s.err = s.dev.Write(ctx, m.Buf, data)
	}
	return m
}

func (s *scratch) release() {
	for _, b := range s.buffers {
		b.Release()
	}
}
