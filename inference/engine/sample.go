package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/wan"
)

// sampling is what the steps of a run share: the session of the expert at work.
type sampling struct {
	*run
	c       conditioning
	expert  string // at work
	session *wan.Session
	ahead   chan struct{} // closed when the next expert's weights are read; nil before that began

	begin, stepBegin time.Time
	first            int
}

// sample does the steps that are left, saving the run's state after each.
func (r *run) sample(ctx context.Context, c conditioning) error {
	if r.solver.Next() >= r.solver.Steps() {
		return nil
	}
	s := &sampling{run: r, c: c, begin: time.Now(), stepBegin: time.Now(), first: r.solver.Next()}
	defer s.close()
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		if s.ahead != nil {
			<-s.ahead
		}
	}()
	var work [denoise.Buffers][]float32
	n := r.clip.Latent(r.p.vae.Channels())
	for i := range work {
		work[i] = device.Floats(r.p.dev, n)
	}
	r.p.dev.Hold(4 * int64(r.solver.Kept()*n))
	if err := r.openCache(); err != nil {
		return err
	}
	if r.cache != nil {
		r.p.dev.Hold(4 * int64(r.cache.Kept()*n))
		defer r.p.dev.Hold(-4 * int64(r.cache.Kept()*n))
	}
	defer r.p.dev.Hold(-4 * int64(len(work)*n))
	loop := denoise.Loop{
		Solver: r.solver, Guidance: r.guidance, Cache: r.cache, Expert: r.p.expert, Model: s.model, Dry: r.planning(),
		After: func(step denoise.Step, clean []float32) error { return s.after(ctx, step, clean) },
		Phase: func(step denoise.Step, times int, work func() error) error {
			return r.phase("sample "+step.Expert, times, work)
		},
	}
	return loop.Run(ctx, r.latent, work)
}

// model returns the session of a step's expert, made at its first use. The other expert's is
// closed first: the schedule never goes back to it. With Offload its weights are let go
// of too.
func (s *sampling) model(ctx context.Context, step denoise.Step) (denoise.Model, error) {
	expert := step.Expert
	s.readAhead(ctx, expert, step.Index)
	if s.expert != expert {
		s.close()
		if s.job.Offload {
			s.p.letGoOthers(expert)
		}
		err := s.phase("prepare "+expert, 1, func() (err error) {
			s.session, err = s.open(ctx, expert)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("step %d: %s: %w", step.Index+1, expert, err)
		}
		s.expert = expert
		s.p.collect()
	}
	return checked{s.session, step.Index + 1, expert}, nil
}

// open makes an expert's session.
func (s *sampling) open(ctx context.Context, expert string) (*wan.Session, error) {
	m, positions := s.p.experts[expert], s.clip.LatentFrames*s.clip.LatentHeight*s.clip.LatentWidth
	// The mask, and mask and picture together; the rays of the camera's path.
	held := 4 * int64(positions*(s.p.vae.StrideT()+m.Config.InDim-m.Config.OutDim))
	if s.camera {
		held += 4*int64(positions*m.CameraChannels) + 3*4*int64(s.clip.Width*s.clip.Height)
	}
	s.p.dev.Hold(held)
	defer s.p.dev.Hold(-held)
	in := wan.Input{
		F: s.clip.LatentFrames, H: s.clip.LatentHeight, W: s.clip.LatentWidth,
		Camera: s.camera, Reuse: s.p.Reuse, AttentionType: attentionDTypes[s.job.AttentionDType],
		Residuals: s.residuals(),
	}
	for i, ids := range s.prompts {
		in.Contexts = append(in.Contexts, wan.Context{Tokens: len(ids), States: s.c.prompts[i]})
	}
	if !s.planning() {
		in.Y = append(s.mask(), s.c.picture...)
		if s.camera {
			in.Plucker = s.clip.Conditioning(m.CameraChannels, 0, s.clip.LatentFrames)
		}
	}
	return m.NewSession(ctx, in)
}

// attentionDTypes are the values of Job.AttentionDType.
var attentionDTypes = map[string]device.DType{"": device.F32, "f32": device.F32, "f16": device.F16, "bf16": device.BF16}

// mask returns the reference's picture mask, [frames per latent frame, f, h, w]: one
// for the first latent frame, which is given, and zero for the others.
func (r *run) mask() []float32 {
	plane := r.clip.LatentHeight * r.clip.LatentWidth
	m := make([]float32, r.p.vae.StrideT()*r.clip.LatentFrames*plane)
	for c := range r.p.vae.StrideT() {
		for i := range plane {
			m[c*r.clip.LatentFrames*plane+i] = 1
		}
	}
	return m
}

// after checks what a step gave, saves the run's state and reports the step.
func (s *sampling) after(ctx context.Context, step denoise.Step, clean []float32) error {
	pictures, err := s.previews(ctx, clean, s.solver.Next()-step.Index)
	if err != nil || s.planning() {
		return err
	}
	if bad := unhealthy(s.latent); bad != "" {
		return &inference.UnhealthyError{Step: step.Index + 1, Expert: s.expert, Where: "latent after the solver", Found: bad}
	}
	e := inference.Step{Index: step.Index + 1, Total: s.solver.Steps(), Expert: s.expert, Timestep: step.Timestep, Passes: step.Passes, Preview: pictures}
	if err := s.save(); err != nil {
		return err
	}
	e.Seconds = time.Since(s.stepBegin).Seconds()
	e.Elapsed = time.Since(s.begin)
	e.Remaining = e.Elapsed / time.Duration(e.Index-s.first) * time.Duration(e.Total-e.Index)
	s.emit(e)
	s.stepBegin = time.Now()
	return nil
}

func (s *sampling) close() {
	if s.session != nil {
		s.session.Close()
		s.p.dev.Trim()
	}
	s.expert, s.session = "", nil
}

// checked is an expert whose velocities are looked at.
type checked struct {
	*wan.Session
	step   int
	expert string
}

// Velocity implements denoise.Model.
func (m checked) Velocity(ctx context.Context, x []float32, t float64, prompt int, out []float32) error {
	if err := m.Session.Velocity(ctx, x, t, prompt, out); err != nil {
		return fmt.Errorf("step %d, %s: %w", m.step, m.expert, err)
	}
	bad := unhealthy(out)
	if bad == "" {
		return nil
	}
	where, found := locate(ctx, m.Session, x, t, prompt, bad)
	return &inference.UnhealthyError{Step: m.step, Expert: m.expert, Where: where, Found: found}
}

// Skip implements denoise.Blocks.
func (m checked) Skip(ctx context.Context, x []float32, t float64, prompt int, out []float32) error {
	if err := m.Session.Skip(ctx, x, t, prompt, out); err != nil {
		return fmt.Errorf("step %d, %s: %w", m.step, m.expert, err)
	}
	if bad := unhealthy(out); bad != "" {
		return &inference.UnhealthyError{Step: m.step, Expert: m.expert, Where: "output of a step whose blocks were left out", Found: bad}
	}
	return nil
}

// locate runs the forward pass once more, looking at every block, and returns
// the place where the numbers first go bad, and what is wrong there.
func locate(ctx context.Context, s *wan.Session, x []float32, t float64, prompt int, found string) (where, what string) {
	where, what = "output", found
	s.Inspect = func(block int, hidden func() ([]float32, error)) error {
		values, err := hidden()
		if err != nil {
			return err
		}
		if bad := unhealthy(values); bad != "" {
			where, what = fmt.Sprintf("block %d", block), bad
			return errLocated
		}
		return nil
	}
	defer func() { s.Inspect = nil }()
	err := s.Velocity(ctx, x, t, prompt, make([]float32, len(x)))
	if err != nil && !errors.Is(err, errLocated) {
		what = fmt.Sprintf("%s (looking for the block failed: %v)", found, err)
	}
	return where, what
}

// errLocated ends the forward pass of locate.
var errLocated = errors.New("located")
