package wan

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
)

// Session runs forward passes for one clip, or, where it is causal, for one chunk of a video
// after the other. It is used by one goroutine at a time, and so are all sessions of a model
// with LoRAs, which have some memory in common.
type Session struct {
	// Inspect, unless nil, is called after every block of a forward. hidden reads
	// the residual stream, [tokens, dim]. An error ends the forward.
	Inspect func(block int, hidden func() ([]float32, error)) error

	m             *Model
	in            Input // without its tensors
	grid          grid
	arena         *nn.Arena
	texts         *nn.Arena // what the prompts take
	contexts      int       // prompts
	attentionType device.DType
	computeType   device.DType // see device.Info

	patches    device.Mat // [tokens, in_dim*patch]
	out        device.Mat // [tokens, out_dim*patch]
	act        activations
	modulation modulation
	prompts    prompts
	camera     *camera // nil without a camera path
	cache      *cache  // nil unless causal
	residuals  residuals

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
	s := &Session{
		m: m, in: in, grid: g, arena: nn.NewArena(m.dev), texts: nn.NewArena(m.dev), contexts: len(in.Contexts),
		attentionType: in.AttentionType, computeType: m.dev.Info().ComputeType,
	}
	if in.Cache == nil && s.computeType != 0 && !s.attention16() {
		s.attentionType = s.computeType // products round queries, keys and values to it
	}
	s.in.Y, s.in.Plucker, s.in.Contexts = nil, nil, nil
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
	if err := errors.Join(s.arena.Err(), s.m.reserve(tokens)); err != nil {
		return err
	}
	s.hostPatches = s.arena.Staging().Floats(tokens * s.patches.Cols)
	s.hostOut = s.arena.Staging().Floats(tokens * s.out.Cols)
	s.grid.patchify(s.hostPatches, s.patches.Cols, cfg.OutDim*patch, in.Y, cfg.InDim-cfg.OutDim)
	head := cfg.Dim / cfg.NumHeads
	s.cos = s.arena.Mat("rope.cos", device.F32, tokens, head/2)
	s.sin = s.arena.Mat("rope.sin", device.F32, tokens, head/2)

	rows := tokens
	if in.Reuse.Time {
		rows = 1
	}
	s.modulation = newModulation(s.arena, cfg, rows)
	s.keepResiduals(ctx, in.Residuals)
	if in.Cache != nil {
		s.cache = newCache(s.arena, s.m, *in.Cache, s.grid, len(in.Contexts), in.AttentionType)
	}
	if err := s.arena.Err(); err != nil {
		return err
	}
	if err := s.prepareText(ctx, in.Contexts); err != nil {
		return err
	}
	if in.Cache != nil {
		err := s.modulation.keep(ctx, s.arena, s.m.dev, &s.m.w, in.Cache.Times)
		if err == nil && in.Camera {
			s.newCamera()
			err = s.arena.Err()
		}
		return err
	}
	if err := s.fillRope(ctx, 0); err != nil {
		return err
	}
	return s.prepareCamera(ctx, in)
}

// prepareText brings the prompts to the device, in place of those before.
func (s *Session) prepareText(ctx context.Context, contexts []Context) error {
	s.texts.Release()
	s.texts, s.prompts = nn.NewArena(s.m.dev), prompts{}
	in := s.in
	in.Contexts = contexts
	s.prompts.load(ctx, s.texts, s.m, in)
	if err := errors.Join(s.texts.Err(), s.m.reserve(s.prompts.text.Rows)); err != nil {
		return err
	}
	if !s.in.Reuse.CrossAttention {
		return nil
	}
	return s.prompts.precompute(ctx, s.texts, s.m)
}

func (s *Session) newCamera() {
	tokens := s.grid.tokens()
	s.camera = &camera{
		plucker: s.arena.Mat("camera.plucker", device.F32, tokens, s.m.CameraChannels*s.grid.patchSize()),
		signal:  s.arena.Mat("camera.signal", device.F32, tokens, s.m.Config.Dim),
	}
}

func (s *Session) prepareCamera(ctx context.Context, in Input) error {
	if !in.Camera {
		return nil
	}
	s.newCamera()
	if err := s.arena.Err(); err != nil {
		return err
	}
	if err := s.camera.load(ctx, s, in.Plucker); err != nil || !in.Reuse.Camera {
		return err
	}
	return s.camera.precompute(ctx, s.arena, s.m, &s.act)
}

// Velocity computes the velocity of the latent x, [out_dim, F, H, W], at timestep
// t (0 to 1000), for number text of the contexts, and writes it to out, which may be
// x. If it fails, out is as it was. On a dry device both may be nil.
func (s *Session) Velocity(ctx context.Context, x []float32, t float64, text int, out []float32) error {
	if err := s.m.checkTensor("velocity", out, s.shape()...); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if err := s.load(x, text); err != nil {
		return err
	}
	if s.cache != nil && s.cache.depth < len(s.m.w.blocks) {
		return errRecalled
	}
	if err := s.forward(ctx, t, text); err != nil {
		return fmt.Errorf("wan: forward at timestep %g: %w", t, err)
	}
	s.grid.unpatchify(out, s.hostOut, s.m.Config.OutDim)
	return nil
}

// shape is that of the latent.
func (s *Session) shape() []int {
	g := s.grid
	return []int{s.m.Config.OutDim, g.f * g.pt, g.h * g.ph, g.w * g.pw}
}

// load brings the latent of a forward to hostPatches.
func (s *Session) load(x []float32, text int) error {
	if err := s.m.checkTensor("latent", x, s.shape()...); err != nil {
		return fmt.Errorf("wan: %w", err)
	}
	if text < 0 || text >= s.contexts {
		return fmt.Errorf("wan: text context %d of %d", text, s.contexts)
	}
	if s.cache != nil && s.cache.depth == 0 {
		return errNoChunk
	}
	s.grid.patchify(s.hostPatches, s.patches.Cols, 0, x, s.m.Config.OutDim)
	return nil
}

// forward runs the model from hostPatches to hostOut.
func (s *Session) forward(ctx context.Context, t float64, text int) error {
	keep := text < len(s.residuals.of)
	if keep {
		s.residuals.known[text] = false
	}
	if err := s.start(ctx, t, text); err != nil {
		return err
	}
	for i := range s.m.w.blocks {
		if err := s.runBlock(ctx, i, text); err != nil {
			return err
		}
	}
	if keep {
		if err := s.m.dev.Do(ctx, "residual", func(enc device.Encoder) { s.residuals.record(enc, s, text) }); err != nil {
			return err
		}
		s.residuals.known[text] = true
	}
	if err := s.m.dev.Do(ctx, "head", s.head); err != nil {
		return err
	}
	return s.m.dev.Read(ctx, device.Bytes(s.hostOut), s.out.Buf)
}

// start computes what the blocks of a forward start from.
func (s *Session) start(ctx context.Context, t float64, text int) error {
	dev := s.m.dev
	if err := s.modulation.setTimestep(ctx, dev, t); err != nil {
		return err
	}
	if err := dev.Write(ctx, s.patches.Buf, device.Bytes(s.hostPatches)); err != nil {
		return err
	}
	return dev.Do(ctx, "embeddings", func(enc device.Encoder) { s.embed(enc, text) })
}

func (s *Session) runBlock(ctx context.Context, i, text int) error {
	err := s.m.dev.Do(ctx, s.m.w.blocks[i].name, func(enc device.Encoder) { s.block(enc, i, text) })
	if err != nil {
		return err
	}
	return s.inspect(ctx, i)
}

// embed computes what the blocks start from.
func (s *Session) embed(enc device.Encoder, text int) {
	w := &s.m.w
	w.patch.Record(enc, s.patches, s.act.x, nn.Epilogue{})
	s.modulation.embed(enc, w)
	s.prompts.embed(enc, w, text)
	if s.prompts.change.on {
		s.prompts.embed(enc, w, text+s.contexts)
	}
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
func (s *Session) Close() {
	s.arena.Release()
	s.texts.Release()
}
