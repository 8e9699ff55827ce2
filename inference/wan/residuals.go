package wan

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// residuals are what the blocks added to the patches' embedding in the last forward of each of
// the first contexts.
type residuals struct {
	of    []device.Mat // [tokens, dim]
	known []bool
	minus device.Mat // [1, dim] of -1

	ones    device.Weight // [1, dim]
	squares device.Mat    // [tokens, 1], of the norms
}

// keepResiduals makes room for those of so many contexts.
func (s *Session) keepResiduals(ctx context.Context, contexts int) {
	if contexts == 0 {
		return
	}
	row := func(label string, value float32) device.Mat {
		return s.arena.Filled(ctx, label, 1, s.m.Config.Dim, func(values []float32) {
			for i := range values {
				values[i] = value
			}
		})
	}
	tokens := s.grid.tokens()
	r := &s.residuals
	r.minus, r.ones, r.known = row("residual.minus", -1), device.DenseWeight(row("residual.ones", 1)), make([]bool, contexts)
	r.squares = s.arena.Mat("residual.squares", device.F32, tokens, 1)
	for i := range contexts {
		r.of = append(r.of, s.arena.Mat(fmt.Sprintf("residual.%d", i), device.F32, tokens, s.m.Config.Dim))
	}
}

// record records residual = x - embedding of the patches, which is computed once more.
func (r *residuals) record(enc device.Encoder, s *Session, text int) {
	s.m.w.patch.Record(enc, s.patches, r.of[text], nn.Epilogue{Gate: r.minus, Add: s.act.x})
}

var errNoResidual = errors.New("wan: nothing is remembered of the blocks: compute the velocity first")

// Knows reports whether Skip has what it needs for number text of the contexts.
func (s *Session) Knows(text int) bool {
	return text < len(s.residuals.known) && s.residuals.known[text]
}

// Skip is Velocity with what the blocks added in the last forward of number text of the contexts
// in the place of the blocks. The session has to be one that keeps it, see Input.Residuals.
func (s *Session) Skip(ctx context.Context, x []float32, t float64, text int, out []float32) error {
	if !s.Knows(text) {
		return errNoResidual
	}
	if err := s.m.checkTensor("velocity", out, s.shape()...); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if err := s.load(x, text); err != nil {
		return err
	}
	if err := s.skip(ctx, t, text); err != nil {
		return fmt.Errorf("wan: forward without blocks at timestep %g: %w", t, err)
	}
	s.grid.unpatchify(out, s.hostOut, s.m.Config.OutDim)
	return nil
}

func (s *Session) skip(ctx context.Context, t float64, text int) error {
	dev := s.m.dev
	if err := s.modulation.setTimestep(ctx, dev, t); err != nil {
		return err
	}
	if err := dev.Write(ctx, s.patches.Buf, device.Bytes(s.hostPatches)); err != nil {
		return err
	}
	err := dev.Do(ctx, "skip", func(enc device.Encoder) {
		s.m.w.patch.Record(enc, s.patches, s.act.x, nn.Epilogue{Add: s.residuals.of[text]})
		s.modulation.embed(enc, &s.m.w)
		s.head(enc)
	})
	if err != nil {
		return err
	}
	return dev.Read(ctx, device.Bytes(s.hostOut), s.out.Buf)
}

// Norms returns the Euclidean norm of what Skip would add, of every token.
func (s *Session) Norms(ctx context.Context, text int) ([]float32, error) {
	if !s.Knows(text) {
		return nil, errNoResidual
	}
	r := &s.residuals
	err := s.m.dev.Do(ctx, "norms", func(enc device.Encoder) {
		enc.Record(device.Binary{A: r.of[text], B: r.of[text], Y: s.act.h, Op: device.Mul})
		enc.Record(device.Linear{X: s.act.h, W: r.ones, Y: r.squares})
	})
	norms := make([]float32, r.squares.Rows)
	if err == nil {
		err = s.m.dev.Read(ctx, device.Bytes(norms), r.squares.Buf)
	}
	for i, square := range norms {
		norms[i] = float32(math.Sqrt(float64(square)))
	}
	return norms, err
}

// Signal returns the embedding of timestep t, or what the blocks are given of it.
func (s *Session) Signal(ctx context.Context, t float64, projected bool) ([]float32, error) {
	m := &s.modulation
	if err := m.setTimestep(ctx, s.m.dev, t); err != nil {
		return nil, err
	}
	if err := s.m.dev.Do(ctx, "time_embedding", func(enc device.Encoder) { m.embed(enc, &s.m.w) }); err != nil {
		return nil, err
	}
	of := m.embedding
	if projected {
		of = m.projection
	}
	values := make([]float32, of.Rows*of.Cols) // of equal rows
	err := s.m.dev.Read(ctx, device.Bytes(values), of.Buf)
	return values[:of.Cols], err
}
