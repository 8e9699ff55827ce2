package live

import (
	"context"
	"time"

	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// run is the goroutine that makes chunks: it opens the model, makes a chunk whenever one is
// due, and goes back. When there is nothing else to do, it makes pictures for the strip.
func (s *Session) run() {
	if err := s.open(); err != nil {
		s.fail(err)
		return
	}
	for s.life.Err() == nil {
		to, due := s.todo()
		var err error
		switch {
		case to != nil:
			err = s.back(*to)
		case due:
			err = s.make()
		case s.drawThumb():
		default:
			select {
			case <-s.wake:
			case <-s.life.Done():
			}
		}
		if err != nil && !s.interrupted() {
			s.fail(err)
			return
		}
	}
}

// open opens the model and the record, and has the model remember the chunks so far.
func (s *Session) open() (err error) {
	if s.walker, err = s.o.Open(s.life); err != nil {
		return err
	}
	if err := s.openRecord(); err != nil {
		return err
	}
	text := s.firstPrompt()
	p, err := s.encode(s.life, text)
	if err != nil {
		return err
	}
	shape := s.walker.Shape()
	s.change(func() {
		if s.said == "" {
			s.said = text
		}
		s.prompt, s.state.Prompt = p, text
		s.state.Width, s.state.Height = shape.Width, shape.Height
		s.state.ChunkFrames = shape.Frames(2) - shape.Frames(1)
	})
	s.work.Go(s.encodePrompts)
	s.work.Go(s.decodeParts)
	s.work.Go(s.showPictures)
	s.keep.Lock()
	at := s.rec.at
	s.showRecord()
	s.keep.Unlock()
	return s.back(at)
}

// todo returns the chunk to go on from, if it is another one, and whether a chunk is due.
func (s *Session) todo() (to *int, due bool) {
	changed := false
	defer func() {
		if changed {
			s.o.Changed()
		}
	}()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.goTo != nil {
		to, s.goTo = s.goTo, nil
		return to, false
	}
	due = s.wanting()
	phase := Walking
	if !due {
		phase, s.touched = Ready, time.Time{} // letting go shows in no chunk
	}
	if changed = phase != s.state.Phase; changed {
		s.state.Phase, s.seen = phase, nil
	}
	// One chunk ahead would act too late: the next one begins when it will be there just in
	// time for its first picture, and never while another waits for a decoder that is slower.
	ahead := time.Duration(s.pending)*s.interval() > s.lead || s.undrawn > 1
	return nil, due && !ahead
}

// wanting reports whether somebody does something, or the world is to go on without. s.mu is held.
func (s *Session) wanting() bool {
	return !s.state.Paused && (!s.idle || !s.state.Held.With(s.tapped).Still() || s.nudged)
}

// interval is the time between two pictures.
func (s *Session) interval() time.Duration {
	return time.Second / time.Duration(s.walker.Job().FPS)
}

// begin returns a context for a piece of work that Go interrupts.
func (s *Session) begin() (context.Context, func()) {
	ctx, cancel := context.WithCancel(s.life)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.interrupt = cancel
	if s.goTo != nil {
		cancel()
	}
	return ctx, func() {
		s.mu.Lock()
		s.interrupt = nil
		s.mu.Unlock()
		cancel()
	}
}

// interrupted reports whether the last piece of work may have ended because of Go or Close.
func (s *Session) interrupted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.goTo != nil || s.life.Err() != nil
}

// make makes the next chunk of what is held now.
func (s *Session) make() error {
	ctx, done := s.begin()
	defer done()
	s.mu.Lock()
	prompt := s.prompt
	s.mu.Unlock()
	if err := s.walker.Tell(ctx, s.path, prompt); err != nil {
		return err
	}
	begin := time.Now() // what is pressed while the model is told acts already
	s.mu.Lock()
	in, touched, epoch := s.state.Held.With(s.tapped), s.touched, s.epoch
	s.tapped, s.touched = Input{}, time.Time{}
	s.nudged = s.nudged && s.prompt != prompt // words that came while the model was told want a chunk of their own
	s.state.Acting = in
	s.mu.Unlock()
	s.o.Changed()

	s.keep.Lock()
	depth := s.rec.depth(s.rec.at) + 1
	n := s.rec.poses(depth)
	s.keep.Unlock()
	path := s.path.Extend(steer(s.path.Last(), in, n))
	latent, err := s.walker.Make(ctx, path, prompt)
	if err != nil {
		return err
	}
	number, err := s.keepChunk(prompt, in, path.Poses()[path.Frames()-n:], latent)
	if err != nil {
		return err
	}
	s.path = path
	shape := s.walker.Shape()
	pictures := shape.Frames(depth+1) - shape.Frames(depth)
	s.change(func() {
		s.state.Made = time.Since(begin)
		if s.epoch == epoch {
			s.pending += pictures
		}
		if s.lead == 0 {
			s.lead = time.Since(begin)
		}
	})
	if err := s.send(ctx, part{epoch: epoch, chunk: number, latent: latent, begun: begin, touched: touched}); err != nil {
		return err
	}
	return s.walker.Remember(ctx)
}

// keepChunk puts a chunk on disk and returns its number.
func (s *Session) keepChunk(prompt *engine.Prompt, in Input, poses []clip.Pose, latent []float32) (int, error) {
	s.keep.Lock()
	defer s.keep.Unlock()
	number, err := s.rec.addPrompt(prompt.Text)
	if err != nil {
		return 0, err
	}
	s.prompts[prompt.Text] = prompt
	if err := s.rec.addChunk(number, in, poses, latent); err != nil {
		return 0, err
	}
	s.showRecord()
	return s.rec.at, nil
}

// back has the model remember the way to a chunk, and its picture seen, and goes on from there.
func (s *Session) back(to int) error {
	ctx, done := s.begin()
	defer done()
	s.keep.Lock()
	to = min(to, len(s.rec.chunks)-1)
	way := s.rec.way(to)
	var err error
	if s.rec.at != to {
		if err = s.rec.goTo(to); err == nil {
			s.showRecord()
		}
	}
	path, text, since, old := s.rec.path(way), s.rec.text(to), s.rec.since(way), ""
	if since > 0 {
		old = s.rec.text(way[since-1])
	}
	s.keep.Unlock()
	if err != nil {
		return err
	}
	warm, err := s.latents(way[max(0, len(way)-warmChunks):])
	if err != nil {
		return err
	}
	epoch := 0
	s.change(func() { s.state.Phase, epoch = Opening, s.epoch })
	if err := s.send(ctx, part{epoch: epoch, chunk: to, anew: true, warm: warm}); err != nil { // meanwhile
		return err
	}
	prompt, err := s.encode(ctx, text)
	if err != nil {
		return err
	}
	err = s.walker.Return(ctx, engine.Way{
		Chunks: len(way), Prompt: prompt, Since: since, Before: old, Path: path,
		Latent: func(k int) ([]float32, error) {
			s.keep.Lock()
			defer s.keep.Unlock()
			return s.rec.latent(way[k])
		},
	}, func(done, of int) {
		s.change(func() { s.state.Replayed, s.state.Replay = done, of })
	})
	if err != nil {
		return err
	}
	s.path = path
	s.change(func() {
		s.state.Replay, s.state.Replayed = 0, 0
		if !s.touched.IsZero() {
			s.touched = time.Now() // pressed while it was opened: it can act from now on
		}
	})
	return nil
}

// send hands a part to the goroutine that decodes.
func (s *Session) send(ctx context.Context, p part) error {
	if err := ctx.Err(); err != nil {
		return err // its epoch may be that of the way that is wanted instead
	}
	s.mu.Lock()
	s.undrawn++
	s.mu.Unlock()
	select {
	case s.decode <- p:
		return nil
	case <-ctx.Done():
		s.mu.Lock()
		s.undrawn--
		s.mu.Unlock()
		return ctx.Err()
	}
}

// latents reads chunks' latents.
func (s *Session) latents(chunks []int) (list [][]float32, err error) {
	s.keep.Lock()
	defer s.keep.Unlock()
	for _, c := range chunks {
		latent, err := s.rec.latent(c)
		if err != nil {
			return nil, err
		}
		list = append(list, latent)
	}
	return list, nil
}

// encode returns a prompt that is encoded, now or before.
func (s *Session) encode(ctx context.Context, text string) (*engine.Prompt, error) {
	if p := s.prompts[text]; p != nil {
		return p, nil
	}
	p, err := s.walker.Encode(ctx, text)
	if err == nil {
		if len(s.prompts) >= mostPrompts {
			clear(s.prompts)
		}
		s.prompts[text] = p
	}
	return p, err
}

// mostPrompts is how many encoded prompts are kept: one takes 8 MB of LingBot-World.
const mostPrompts = 16
