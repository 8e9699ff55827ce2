package studio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/library"
)

// tick is how often a run's times and memory are looked at.
const tick = 500 * time.Millisecond

// work makes the queue's runs, one after the other, until the Studio closes.
func (s *Studio) work() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.queued:
		}
		for s.life.Err() == nil {
			e, ctx, resume, ok := s.next()
			if !ok {
				break
			}
			s.run(ctx, e, resume)
		}
	}
}

// next takes the first run off the queue.
func (s *Studio) next() (e library.Entry, ctx context.Context, resume, ok bool) {
	s.change(func(n *Snapshot) {
		if ok = len(n.Queue) > 0 && !s.closed; !ok {
			return
		}
		e = n.Queue[0]
		n.Queue = slices.Clone(n.Queue[1:])
		resume = s.facts.resume[e.ID]
		delete(s.facts.resume, e.ID)
		ctx, s.cancel = context.WithCancel(s.life)
		e.State, e.Started = library.Running, time.Now()
		n.Run = Run{Entry: e, Phase: PhaseStarting, Steps: e.Settings.Job.Steps, Remaining: -1, Step: e.Steps}
		s.facts.timing = timing{started: e.Started, remaining: -1}
		s.put(e)
	})
	return e, ctx, resume, ok
}

// run makes one video, and keeps what came of it.
func (s *Studio) run(ctx context.Context, e library.Entry, resume bool) {
	defer s.cancel()
	stop := make(chan struct{})
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		s.tick(stop)
	}()
	r := s.request(e, resume)
	var err error
	if !resume {
		err = os.RemoveAll(s.lib.FramesDir(e.ID))
	}
	if r.Checkpoint == "" {
		err = errors.New("the demo model is not unpacked: choose a model folder, or make room in the cache folder")
	}
	var saved inference.Saved
	if err == nil {
		saved, err = s.o.Engine.Run(ctx, r, s.event)
	}
	close(stop)
	<-ticking
	s.finish(ctx, saved, err)
}

// finish notes how the run ended.
func (s *Studio) finish(ctx context.Context, saved inference.Saved, err error) {
	if err == nil {
		if err := s.thumbnail(s.Snapshot().Run.Entry.ID); err != nil {
			s.o.Log.Warn("keeping a thumbnail", "err", err)
		}
	}
	s.change(func(n *Snapshot) {
		run := n.Run
		e := run.Entry
		e.Finished = time.Now()
		e.Seconds += e.Finished.Sub(e.Started).Seconds()
		e.Device = n.Device.Name
		run.Elapsed = e.Finished.Sub(e.Started)
		run.Phase, run.Preview, run.Remaining = PhaseFinished, nil, 0
		switch {
		case err == nil:
			e.State, e.RunDir, e.Steps = library.Done, "", run.Steps
			e.Video, e.ContactSheet, e.Sidecar = saved.Video, saved.ContactSheet, saved.Sidecar
			run.Fraction = 1
		case s.closed:
			e.State = library.Interrupted
		case ctx.Err() != nil:
			e.State = library.Cancelled
		default:
			e.State = library.Failed
			run.Code, run.Error = explain(err)
			run.Details = details(n, e, err)
			e.Error = run.Error
			for _, p := range placed(err, Warning) { // until the field changes; another attempt is free
				s.facts.after[p.Field] = p
			}
			s.o.Log.Error("run failed", "id", e.ID, "err", err)
		}
		run.Entry = e
		n.Run = run
		s.put(e)
		s.due("estimate", "presets") // the engine learnt from the run
		if s.facts.modelOld {
			s.due("model")
		}
		s.facts.modelOld = false
		if err == nil {
			s.show(n, e)
		}
	})
}

// thumbnail makes the middle frame of a run's video its thumbnail.
func (s *Studio) thumbnail(id library.ID) error {
	v, err := s.lib.Video(id)
	if err != nil {
		return err
	}
	frame, err := v.Frame(v.Frames / 2)
	if err != nil {
		return err
	}
	return s.lib.SetThumbnail(id, frame)
}

// explain says in words why a run failed.
func explain(err error) (Code, string) {
	code := RunFailed
	var unhealthy *inference.UnhealthyError
	var large *inference.TooLargeError
	switch {
	case errors.As(err, &large):
		code = RunTooLarge
	case errors.Is(err, device.ErrOutOfMemory):
		code = RunOutOfMemory
	case errors.Is(err, device.ErrDeviceLost):
		code = RunDeviceLost
	case errors.As(err, &unhealthy):
		code = RunUnhealthy
	case errors.Is(err, syscall.ENOSPC):
		code = RunDiskFull
	}
	// What the pipeline adds for its command line is not for a window.
	text, _, _ := strings.Cut(err.Error(), " (the run is kept in ")
	return code, render("run."+string(code), map[string]any{"Text": text})
}

// details is what to copy into a report of what went wrong.
func details(n *Snapshot, e library.Entry, err error) string {
	j := e.Settings.Job
	checkpoint := e.Settings.Checkpoint
	if checkpoint == "" {
		checkpoint = "demo model"
	}
	return fmt.Sprintf("%v\n\nDevice: %s\nModel: %s, weights %s\n%d frames, %d pixels, %d steps of %s, shift %g, guidance %g and %g, seed %d\nStep %d, %s, %s\n",
		err, n.Device.Name, checkpoint, e.Settings.Quant, j.Frames, j.MaxArea, j.Steps, j.Solver, j.Shift,
		j.Guidance.Low, j.Guidance.High, j.Seed, n.Run.Step, n.Run.Phase, e.Finished.Format(time.RFC3339))
}

// places tells by the beginning of an error of the engine to which field it belongs.
var places = []struct {
	prefix string
	field  Field
}{
	{"image:", FieldPicture}, {"picture:", FieldPicture}, {"action_path:", FieldCamera}, {"camera:", FieldCamera}, {"prompt:", FieldPrompt},
	{"frame_num:", FieldFrames}, {"max_area:", FieldSize}, {"sample_steps:", FieldSteps}, {"sample_solver:", FieldSolver},
	{"sample_shift:", FieldShift}, {"sample_guide_scale:", FieldGuidanceLow}, {"boundary:", FieldBoundary}, {"noise_rng:", FieldNoise},
	{"fps:", FieldFPS}, {"save_file:", FieldOutput}, {"VAE_CHUNK_SIZE:", FieldVAEChunk}, {"VAE_CHUNK_THRESHOLD:", FieldVAEThreshold},
	{"vae_tile:", FieldVAETile}, {"attention_chunk:", FieldAttnChunk}, {"attention_dtype:", FieldAttnType}, {"quant:", FieldQuant}, {"checkpoint ", FieldModel},
}

// placed returns the lines of an error as problems of the fields that they belong to;
// other lines are left out.
func placed(err error, level Level) []Problem {
	if err == nil {
		return nil
	}
	var all []Problem
	for line := range strings.Lines(err.Error()) {
		line = strings.TrimSpace(line)
		for _, p := range places {
			if strings.HasPrefix(line, p.prefix) {
				all = append(all, problem(p.field, level, OtherProblem, map[string]any{"Text": line}, err.Error()))
				break
			}
		}
	}
	return all
}

// event takes what the engine reports.
func (s *Studio) event(e inference.Event) {
	s.change(func(n *Snapshot) {
		phase := n.Run.Phase
		s.apply(n, e)
		if phase == PhaseCancelling {
			n.Run.Phase = phase
		}
		s.progress(n)
	})
}

func (s *Studio) apply(n *Snapshot, e inference.Event) {
	run, now := &n.Run, time.Now()
	switch e := e.(type) {
	case inference.Loading:
		run.Phase, run.Part, run.DoneBytes, run.Total = PhaseLoading, e.Part, e.Done, e.Total
	case inference.Quantizing:
		run.Phase, run.Part, run.DoneBytes, run.Total = PhaseQuantizing, e.Part, e.Done, e.Total
	case inference.Planned:
		s.facts.timing.planned = estimateOf(e.Plan)
	case inference.Notice:
		run.Messages = append(slices.Clip(run.Messages), e.Text)
	case inference.Prepared:
		run.Phase, run.Step, run.Steps, run.FirstStep, run.Frames = PhaseText, e.FirstStep-1, e.Steps, e.FirstStep, e.Frames
		if e.FirstStep > e.Steps {
			run.Phase = PhaseDecoding
		}
		run.Entry.Width, run.Entry.Height, run.Entry.Frames, run.Entry.RunDir = e.Width, e.Height, e.Frames, e.RunDir
		s.put(run.Entry)
	case inference.TextEncoded:
		run.Phase = PhasePicture
	case inference.PictureEncoded:
		run.Phase = PhaseSampling
	case inference.Step:
		run.Phase, run.Step, run.Steps, run.Expert, run.StepSeconds = PhaseSampling, e.Index, e.Total, e.Expert, e.Seconds
		run.Preview, run.Entry.Steps = e.Preview, e.Index
		s.facts.timing.step, s.facts.timing.remaining = now, e.Remaining
		if e.Index == e.Total {
			run.Phase = PhaseDecoding
		}
	case inference.Decoding:
		run.Phase, run.Decoded, run.Frames = PhaseDecoding, e.Frames, e.Total
		t := &s.facts.timing
		if t.decoding.IsZero() {
			t.decoding = now
		}
		if e.Frames > 1 {
			t.step, t.remaining = now, now.Sub(t.decoding)/time.Duration(e.Frames-1)*time.Duration(e.Total-e.Frames)
		}
	}
}

// tick keeps times and memory up to date until stop is closed.
func (s *Studio) tick(stop chan struct{}) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		memory := s.o.Engine.Memory()
		memory.Process = s.o.Process()
		s.change(func(n *Snapshot) {
			n.Run.Memory = memory
			s.progress(n)
		})
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
	}
}

// The shares of a run's progress bar that lie before its first and after its last step.
const (
	shareBefore = 0.05
	shareAfter  = 0.10
)

// progress reckons elapsed and remaining time and the bar.
func (s *Studio) progress(n *Snapshot) {
	run, t := &n.Run, s.facts.timing
	run.Elapsed = time.Since(t.started)
	run.Remaining = -1
	switch {
	case t.remaining < 0 && t.planned.Time > 0 && run.Phase != PhaseQuantizing:
		run.Remaining = max(0, t.planned.Time-run.Elapsed)
	case t.remaining >= 0:
		run.Remaining = max(0, t.remaining-time.Since(t.step))
		if run.Step < run.Steps {
			run.Remaining += decodeTime(t.planned)
		}
	}
	steps := float64(run.Step) / float64(max(1, run.Steps))
	bar := (1 - shareBefore - shareAfter) * steps
	switch run.Phase {
	case PhaseStarting, PhaseLoading, PhaseQuantizing:
		bar = 0
	case PhaseText, PhasePicture:
		bar += shareBefore / 2
	default:
		bar += shareBefore + shareAfter*float64(run.Decoded)/float64(max(1, run.Frames))
	}
	run.Fraction = max(run.Fraction, bar)
}

// decodeTime returns how long the decoding will take, 0 if not known.
func decodeTime(e Estimate) time.Duration {
	for _, p := range e.Phases {
		if p.Name == "decode" {
			return p.Time
		}
	}
	return 0
}
