package wan

import (
	"context"
	"fmt"
	"math"

	"gimbal/inference/device"
)

// Session runs forward passes for one clip. It is used by one goroutine at a time.
type Session struct {
	// Inspect, unless nil, is called after every block of a forward. hidden reads
	// the residual stream, [tokens, dim]. An error ends the forward.
	Inspect func(block int, hidden func() ([]float32, error)) error

	m         *Model
	grid      grid
	mem       memory
	attention Attention
	factors   device.DType // see device.Info

	patches device.Mat // [tokens, in_dim*patch]
	out     device.Mat // [tokens, out_dim*patch]
	act     activations
	clock   clock
	prompts prompts
	camera  *camera // nil without a camera path

	cos, sin device.Mat // [tokens, head dim/2]

	// The host's side of patches and out. The conditioning's columns stay.
	hostPatches, hostOut []float32
	hostBytes            int64
}

// NewSession prepares forwards for in, of which nothing is kept: it makes all
// buffers, and computes what in.Reuse says to compute once.
func (m *Model) NewSession(ctx context.Context, in Input) (*Session, error) {
	size := in.size(m)
	g, err := m.grid(size)
	if err == nil {
		err = m.check(in)
	}
	if err != nil {
		return nil, fmt.Errorf("wan: %w", err)
	}
	return m.newSession(ctx, g, size, in)
}

// NewDrySession prepares forwards for an input of a size, on a dry device.
func (m *Model) NewDrySession(ctx context.Context, size Size) (*Session, error) {
	if !m.dev.Info().Dry {
		panic("wan: a dry session on a device that computes")
	}
	g, err := m.grid(size)
	if err != nil {
		return nil, fmt.Errorf("wan: %w", err)
	}
	return m.newSession(ctx, g, size, Input{})
}

func (m *Model) newSession(ctx context.Context, g grid, size Size, in Input) (*Session, error) {
	s := &Session{m: m, grid: g, mem: memory{dev: m.dev}, attention: size.Attention, factors: m.dev.Info().Factors}
	if err := s.prepare(ctx, size, in); err != nil {
		s.Close()
		return nil, fmt.Errorf("wan: prepare a session of %d tokens: %w", g.tokens(), err)
	}
	return s, nil
}

func (s *Session) prepare(ctx context.Context, size Size, in Input) error {
	cfg, tokens, volume := s.m.Config, s.grid.tokens(), s.grid.volume()
	s.patches = s.mem.mat("patches", tokens, cfg.InDim*volume)
	s.out = s.mem.mat("out", tokens, cfg.OutDim*volume)
	s.act = newActivations(&s.mem, cfg, tokens)
	if s.mem.err != nil {
		return s.mem.err
	}
	s.hostBytes = 4 * int64(tokens*(s.patches.Cols+s.out.Cols))
	s.hostPatches = device.Floats(s.m.dev, tokens*cfg.InDim*volume)
	s.hostOut = device.Floats(s.m.dev, tokens*cfg.OutDim*volume)
	if in.Y != nil {
		s.grid.patchify(s.hostPatches, cfg.InDim*volume, cfg.OutDim*volume, in.Y, cfg.InDim-cfg.OutDim)
	}
	s.cos = s.rope(ctx, "rope.cos", math.Cos)
	s.sin = s.rope(ctx, "rope.sin", math.Sin)

	rows := tokens
	if size.Reuse.Time {
		rows = 1
	}
	s.clock = newClock(&s.mem, cfg, rows)
	if s.mem.err != nil {
		return s.mem.err
	}
	if err := s.preparePrompts(ctx, size, in.Contexts); err != nil {
		return err
	}
	return s.prepareCamera(ctx, size, in.Plucker)
}

func (s *Session) rope(ctx context.Context, label string, of func(float64) float64) device.Mat {
	d := s.m.Config.Dim / s.m.Config.NumHeads
	return s.mem.of(ctx, label, s.grid.tokens(), d/2, func(table []float32) {
		ropeTable(table, s.grid.f, s.grid.h, s.grid.w, d, of)
	})
}

func (s *Session) preparePrompts(ctx context.Context, size Size, contexts [][]float32) error {
	s.prompts.load(ctx, &s.mem, s.m, size, contexts)
	if s.mem.err != nil || !size.Reuse.CrossAttention {
		return s.mem.err
	}
	return s.prompts.keep(ctx, &s.mem, s.m)
}

func (s *Session) prepareCamera(ctx context.Context, size Size, plucker []float32) error {
	if !size.Camera {
		return nil
	}
	tokens, cols := s.grid.tokens(), s.m.CameraChannels*s.grid.volume()
	s.camera = &camera{
		plucker: s.mem.of(ctx, "camera.plucker", tokens, cols, func(rays []float32) {
			s.grid.patchify(rays, cols, 0, plucker, s.m.CameraChannels)
		}),
		signal: s.mem.mat("camera.signal", tokens, s.m.Config.Dim),
	}
	if s.mem.err != nil || !size.Reuse.Camera {
		return s.mem.err
	}
	return s.camera.keep(ctx, &s.mem, s.m, &s.act)
}

// DryForward records the work of one forward for number text of the contexts, on a
// dry device.
func (s *Session) DryForward(ctx context.Context, text int) error { return s.forward(ctx, 0, text) }

// Velocity computes the velocity of the latent x, [out_dim, F, H, W], at timestep
// t (0 to 1000), for number text of the contexts, and writes it to out, which may be
// x. If it fails, out is as it was.
func (s *Session) Velocity(ctx context.Context, x []float32, t float64, text int, out []float32) error {
	channels, volume := s.m.Config.OutDim, s.grid.volume()
	values := s.grid.tokens() * channels * volume
	switch {
	case len(x) != values || len(out) != values:
		return fmt.Errorf("wan: latent of %d values and velocity of %d, expected %d", len(x), len(out), values)
	case text < 0 || text >= len(s.prompts.keyBias):
		return fmt.Errorf("wan: text context %d of %d", text, len(s.prompts.keyBias))
	}
	s.grid.patchify(s.hostPatches, s.patches.Cols, 0, x, channels)
	if err := s.forward(ctx, t, text); err != nil {
		return fmt.Errorf("wan: forward at timestep %g: %w", t, err)
	}
	s.grid.unpatchify(out, s.hostOut, channels)
	return nil
}

// forward runs the model from hostPatches to hostOut.
func (s *Session) forward(ctx context.Context, t float64, text int) error {
	dev, w := s.m.dev, &s.m.w
	if err := s.clock.set(ctx, dev, t); err != nil {
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
	enc.Record(w.patch.op(s.patches, s.act.x))
	s.clock.embed(enc, w)
	s.prompts.enter(enc, w, text)
	if s.camera != nil && !s.camera.plucker.IsZero() {
		s.camera.stem(enc, w, &s.act)
	}
}

func (s *Session) head(enc device.Encoder) {
	w := &s.m.w
	s.clock.enterHead(enc, w)
	s.clock.norm(enc, s.act.x, s.act.h, s.m.eps, headShift, headScale)
	enc.Record(w.head.op(s.act.h, s.out))
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

// Close gives the session's buffers back.
func (s *Session) Close() {
	s.mem.release()
	s.m.dev.Hold(-s.hostBytes)
	s.hostBytes = 0
}
