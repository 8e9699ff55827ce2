package wan

import (
	"context"
	"errors"
	"fmt"
	"math"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// Session runs forward passes for one clip. It is used by one goroutine at a time.
type Session struct {
	// Inspect, unless nil, is called after every block of a forward. hidden reads
	// the residual stream, [tokens, dim]. An error ends the forward.
	Inspect func(block int, hidden func() ([]float32, error)) error

	m             *Model
	grid          grid
	arena         *nn.Arena
	attentionType device.DType
	computeType   device.DType // see device.Info

	patches    device.Mat // [tokens, in_dim*patch]
	out        device.Mat // [tokens, out_dim*patch]
	act        activations
	modulation modulation
	prompts    prompts
	camera     *camera // nil without a camera path

	cos, sin device.Mat // [tokens, head dim/2]

	// The host's side of patches and out. The conditioning's columns stay.
	hostPatches, hostOut []float32
}

// NewSession prepares forwards for in, of which nothing is kept: it makes all
// buffers, and computes what in.Reuse says to compute once.
func (m *Model) NewSession(ctx context.Context, in Input) (*Session, error) {
	g, err := m.grid(in)
	if err == nil {
		err = m.check(in)
	}
	if err != nil {
		return nil, fmt.Errorf("wan: %w", err)
	}
	s := &Session{m: m, grid: g, arena: nn.NewArena(m.dev), attentionType: in.AttentionType, computeType: m.dev.Info().ComputeType}
	if err := s.prepare(ctx, in); err != nil {
		s.Close()
		return nil, fmt.Errorf("wan: prepare a session of %d tokens: %w", g.tokens(), err)
	}
	return s, nil
}

func (s *Session) prepare(ctx context.Context, in Input) error {
	cfg, tokens, patch := s.m.Config, s.grid.tokens(), s.grid.patchSize()
	s.patches = s.arena.Mat("patches", device.F32, tokens, cfg.InDim*patch)
	s.out = s.arena.Mat("out", device.F32, tokens, cfg.OutDim*patch)
	s.act = newActivations(s.arena, cfg, tokens)
	if err := s.arena.Err(); err != nil {
		return err
	}
	s.hostPatches = s.arena.Staging().Floats(tokens * s.patches.Cols)
	s.hostOut = s.arena.Staging().Floats(tokens * s.out.Cols)
	s.grid.patchify(s.hostPatches, s.patches.Cols, cfg.OutDim*patch, in.Y, cfg.InDim-cfg.OutDim)
	s.cos = s.rope(ctx, "rope.cos", math.Cos)
	s.sin = s.rope(ctx, "rope.sin", math.Sin)

	rows := tokens
	if in.Reuse.Time {
		rows = 1
	}
	s.modulation = newModulation(s.arena, cfg, rows)
	s.prompts.load(ctx, s.arena, s.m, in)
	if err := s.arena.Err(); err != nil {
		return err
	}
	if in.Reuse.CrossAttention {
		if err := s.prompts.precompute(ctx, s.arena, s.m); err != nil {
			return err
		}
	}
	return s.prepareCamera(ctx, in)
}

func (s *Session) rope(ctx context.Context, label string, of func(float64) float64) device.Mat {
	d := s.m.Config.Dim / s.m.Config.NumHeads
	return s.arena.Filled(ctx, label, s.grid.tokens(), d/2, func(table []float32) {
		ropeTable(table, s.grid.f, s.grid.h, s.grid.w, d, of)
	})
}

func (s *Session) prepareCamera(ctx context.Context, in Input) error {
	if !in.Camera {
		return nil
	}
	tokens, cols := s.grid.tokens(), s.m.CameraChannels*s.grid.patchSize()
	s.camera = &camera{
		plucker: s.arena.Filled(ctx, "camera.plucker", tokens, cols, func(rays []float32) {
			s.grid.patchify(rays, cols, 0, in.Plucker, s.m.CameraChannels)
		}),
		signal: s.arena.Mat("camera.signal", device.F32, tokens, s.m.Config.Dim),
	}
	if err := s.arena.Err(); err != nil || !in.Reuse.Camera {
		return err
	}
	return s.camera.precompute(ctx, s.arena, s.m, &s.act)
}

// Velocity computes the velocity of the latent x, [out_dim, F, H, W], at timestep
// t (0 to 1000), for number text of the contexts, and writes it to out, which may be
// x. If it fails, out is as it was. On a dry device both may be nil.
func (s *Session) Velocity(ctx context.Context, x []float32, t float64, text int, out []float32) error {
	channels, g := s.m.Config.OutDim, s.grid
	shape := []int{channels, g.f * g.pt, g.h * g.ph, g.w * g.pw}
	if err := errors.Join(s.m.checkTensor("latent", x, shape...), s.m.checkTensor("velocity", out, shape...)); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if text < 0 || text >= len(s.prompts.keyBias) {
		return fmt.Errorf("wan: text context %d of %d", text, len(s.prompts.keyBias))
	}
	g.patchify(s.hostPatches, s.patches.Cols, 0, x, channels)
	if err := s.forward(ctx, t, text); err != nil {
		return fmt.Errorf("wan: forward at timestep %g: %w", t, err)
	}
	g.unpatchify(out, s.hostOut, channels)
	return nil
}

// forward runs the model from hostPatches to hostOut.
func (s *Session) forward(ctx context.Context, t float64, text int) error {
	dev, w := s.m.dev, &s.m.w
	if err := s.modulation.setTimestep(ctx, dev, t); err != nil {
		return err
	}
	if err := dev.Write(ctx, s.patches.Buf, device.Bytes(s.hostPatches)); err != nil {
		return err
	}
	if err := dev.Do(ctx, "embeddings", func(enc device.Encoder) { s.embed(enc, text) }); err != nil {
		return err
	}
	for i := range w.blocks {
		if err := dev.Do(ctx, w.blocks[i].name, func(enc device.Encoder) { s.block(enc, i, text) }); err != nil {
			return err
		}
		if err := s.inspect(ctx, i); err != nil {
			return err
		}
	}
	if err := dev.Do(ctx, "head", s.head); err != nil {
		return err
	}
	return dev.Read(ctx, device.Bytes(s.hostOut), s.out.Buf)
}

// embed computes what the blocks start from.
func (s *Session) embed(enc device.Encoder, text int) {
	w := &s.m.w
	w.patch.Record(enc, s.patches, s.act.x, nn.Epilogue{})
	s.modulation.embed(enc, w)
	s.prompts.embed(enc, w, text)
	if s.camera != nil {
		s.camera.embed(enc, w, &s.act)
	}
}

func (s *Session) head(enc device.Encoder) {
	w := &s.m.w
	s.modulation.setHead(enc, w)
	s.modulation.norm(enc, s.act.x, s.act.h, s.m.eps, headShift, headScale)
	w.head.Record(enc, s.act.h, s.out, nn.Epilogue{})
}

func (s *Session) inspect(ctx context.Context, block int) error {
	if s.Inspect == nil {
		return nil
	}
	return s.Inspect(block, func() ([]float32, error) {
		hidden := make([]float32, s.act.x.Rows*s.act.x.Cols)
		return hidden, s.m.dev.Read(ctx, device.Bytes(hidden), s.act.x.Buf)
	})
}

// Close gives the session's memory back.
func (s *Session) Close() { s.arena.Release() }
