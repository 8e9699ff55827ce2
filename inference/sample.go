package inference

import (
	"context"
	"fmt"
	"image"
	"time"

	"gimbal/inference/wan"
)

// sampling holds what the steps of a run share: the session of the expert at work,
// and the velocities, allocated once.
type sampling struct {
	*run
	c            conditioning
	expert       string // at work
	session      *wan.Session
	cond, uncond []float32
	clean        []float32     // the video that the velocity points to, for previews
	ahead        chan struct{} // closed when the next expert's weights are read; nil before that began
}

// sample does the steps that are left, saving the run's state after each.
func (r *run) sample(ctx context.Context, c conditioning) error {
	if r.step >= r.job.Steps {
		return nil
	}
	s := &sampling{
		run: r, c: c,
		cond: make([]float32, len(r.latent)), uncond: make([]float32, len(r.latent)), clean: make([]float32, len(r.latent)),
	}
	defer s.close()
	ctx, stop := context.WithCancel(ctx)
	defer func() {
		stop()
		if s.ahead != nil {
			<-s.ahead
		}
	}()
	begin, first := time.Now(), r.step
	for r.step < r.job.Steps {
		stepBegin := time.Now()
		e, err := s.next(ctx)
		if err != nil {
			return err
		}
		if err := r.save(); err != nil {
			return err
		}
		e.Seconds = time.Since(stepBegin).Seconds()
		e.Elapsed = time.Since(begin)
		e.Remaining = e.Elapsed / time.Duration(r.step-first) * time.Duration(r.job.Steps-r.step)
		r.emit(e)
	}
	return nil
}

// next does one step: both guidance passes, the checks, the solver.
func (s *sampling) next(ctx context.Context) (Step, error) {
	t, sigma := s.solver.Timesteps()[s.step], s.solver.Sigmas()[s.step]
	e := Step{Index: s.step + 1, Total: s.job.Steps, Expert: s.p.expert(t, s.job.Boundary), Timestep: t}
	s.readAhead(ctx, e.Expert)
	if err := s.velocity(ctx, e, float32(s.job.scale(t))); err != nil {
		return e, err
	}
	for i, v := range s.cond {
		s.clean[i] = s.latent[i] - float32(sigma)*v
	}
	s.solver.Step(s.step, s.cond, s.latent)
	if bad := unhealthy(s.latent); bad != "" {
		return e, &UnhealthyError{Step: e.Index, Expert: e.Expert, Where: "latent after the solver", Found: bad}
	}
	s.step++
	e.Preview = s.preview()
	return e, nil
}

// velocity leaves the guided velocity, uncond + scale*(cond - uncond), in s.cond.
func (s *sampling) velocity(ctx context.Context, e Step, scale float32) error {
	if err := s.forward(ctx, e, 0, s.cond); err != nil || scale == 1 {
		return err
	}
	if err := s.forward(ctx, e, 1, s.uncond); err != nil {
		return err
	}
	for i, u := range s.uncond {
		s.cond[i] = u + scale*(s.cond[i]-u)
	}
	return nil
}

// forward runs one pass of the step's expert and checks what it gives.
func (s *sampling) forward(ctx context.Context, e Step, prompt int, out []float32) error {
	session, err := s.sessionOf(ctx, e.Expert)
	if err != nil {
		return fmt.Errorf("step %d: %w", e.Index, err)
	}
	if err := session.Velocity(ctx, s.latent, e.Timestep, prompt, out); err != nil {
		return fmt.Errorf("step %d, %s: %w", e.Index, e.Expert, err)
	}
	bad := unhealthy(out)
	if bad == "" {
		return nil
	}
	where, found := locate(ctx, session, s.latent, e.Timestep, prompt, bad)
	return &UnhealthyError{Step: e.Index, Expert: e.Expert, Where: where, Found: found}
}

// sessionOf returns the expert's session, made at its first use. The other expert's is
// closed first: the schedule never goes back to it. With Offload its weights are let go
// of too.
func (s *sampling) sessionOf(ctx context.Context, expert string) (*wan.Session, error) {
	if s.expert == expert {
		return s.session, nil
	}
	s.close()
	if s.job.Offload {
		letGo(s.p.layout, expert)
	}
	in := wan.Input{
		F: s.f, H: s.h, W: s.w,
		Y:             append(s.mask(), s.c.picture...),
		Contexts:      s.c.prompts,
		Reuse:         s.job.Reuse,
		AttentionType: s.job.attention(),
	}
	if s.path != nil {
		in.Camera, in.Plucker = true, s.path.Plucker(s.frames, s.height, s.width)
	}
	session, err := s.p.experts[expert].NewSession(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", expert, err)
	}
	s.expert, s.session = expert, session
	s.p.collect()
	return session, nil
}

func (s *sampling) close() {
	if s.session != nil {
		s.session.Close()
		s.p.dev.Trim()
	}
	s.expert, s.session = "", nil
}

// preview returns a small picture of each latent frame, or none where the VAE's
// statistics do not say how a latent looks.
func (s *sampling) preview() []image.Image {
	if s.p.vae.RGB.Factors == nil {
		return nil
	}
	pictures := make([]image.Image, s.f)
	for i := range pictures {
		pictures[i] = s.p.vae.Preview(s.clean, s.f, s.h, s.w, i)
	}
	return pictures
}
