package live

import (
	"context"
	"errors"
	"fmt"
	"image"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// Options say what a Session works with.
type Options struct {
	// Open opens the model; it is called once, in the background.
	Open func(context.Context) (Walker, error)
	// Dir is the walk's folder: of one that is there and goes on, or of one to be begun.
	Dir string
	// Idle has the walk wait while nobody does anything, instead of standing still in a world
	// that goes on.
	Idle bool
	// Changed is told that State gives something new, and Picture of every picture when it is
	// to be seen. Both are called by goroutines of the session and must return quickly; they
	// may call State, and must not wait for another method.
	Changed func()
	Picture func(Picture)
	// Memory returns the bytes that the device holds; nil for nobody knows.
	Memory func() int64
	Log    *slog.Logger
}

// Session is a walk that somebody is on. Its methods return at once and may be called from any
// goroutine.
type Session struct {
	o       Options
	life    context.Context // ends with Close
	end     context.CancelFunc
	work    sync.WaitGroup
	closing sync.Once

	wake   chan struct{} // holds a token: the maker may have something to do
	spoken chan struct{} // likewise the encoder of prompts
	decode chan part
	show   chan shown

	walker  Walker                    // set once the model is open
	prompts map[string]*engine.Prompt // the maker's
	path    *clip.Path                // up to the chunk that it goes on from; the maker's

	hopeless map[int]bool // chunks whose picture cannot be made; the maker's

	keep sync.Mutex // guards rec
	rec  *record

	mu        sync.Mutex // guards what follows, never held for long
	state     State
	tapped    Input     // was held since the last chunk began
	touched   time.Time // when the input first changed since then
	nudged    bool      // a chunk is wanted although nothing is held
	idle      bool
	goTo      *int               // chunk to go on from; nil for no other
	interrupt context.CancelFunc // ends the chunk that is made
	leisure   context.CancelFunc // ends what is done while there is nothing else
	undrawn   int                // parts that are to be decoded, or are being
	said      string             // the prompt that is wanted
	prompt    *engine.Prompt     // for the next chunk
	epoch     int                // grows whenever pictures on their way are for nobody
	pending   int                // pictures of this epoch that were made, or will be, and not seen
	lead      time.Duration      // from the beginning of a chunk to its first picture
	seen      []time.Time        // when the latest pictures were
	pauseOff  chan struct{}      // closed while not paused
}

// New begins or goes on with a walk. What is wrong appears in State.
func New(o Options) *Session {
	s := &Session{
		o: o, wake: make(chan struct{}, 1), spoken: make(chan struct{}, 1), decode: make(chan part, 1), show: make(chan shown, 64),
		prompts: map[string]*engine.Prompt{}, hopeless: map[int]bool{}, idle: o.Idle, pauseOff: make(chan struct{}),
		state: State{Phase: Opening, At: -1, Chunk: -1},
	}
	close(s.pauseOff)
	s.life, s.end = context.WithCancel(context.Background())
	s.work.Go(s.run)
	return s
}

// Close ends the walk, which stays on disk, and returns when everything is given back.
// Calls after the first do nothing.
func (s *Session) Close() (err error) {
	s.mu.Lock()
	s.end()
	s.mu.Unlock()
	s.work.Wait()
	s.closing.Do(func() {
		if s.rec != nil {
			err = s.rec.close()
		}
		if s.walker != nil {
			s.walker.Close()
		}
	})
	return err
}

// Dir returns the walk's folder.
func (s *Session) Dir() string { return s.o.Dir }

// enter returns an error if the session is closed, and else keeps it from that until leave is
// called.
func (s *Session) enter() (leave func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.life.Err(); err != nil {
		return nil, err
	}
	if s.state.Width == 0 {
		return nil, errors.New("walk: the model is not open yet")
	}
	s.work.Add(1)
	return s.work.Done, nil
}

// State returns what the session is at.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.state
	if n.ChunkFrames > 0 {
		n.Ahead = float64(s.pending) / float64(n.ChunkFrames)
	}
	n.FPS = rate(s.seen)
	n.Waiting = n.Phase == Ready && !n.Paused
	if s.o.Memory != nil {
		n.Memory = s.o.Memory()
	}
	return n
}

// rate is how many times a second came.
func rate(times []time.Time) float64 {
	if len(times) < 2 {
		return 0
	}
	span := times[len(times)-1].Sub(times[0]).Seconds()
	if span <= 0 {
		return 0
	}
	return float64(len(times)-1) / span
}

// Hold says what is held now; what was held in between counts for the next chunk too.
func (s *Session) Hold(in Input) {
	s.change(func() {
		in.Drag = [2]float64{}
		if in == s.state.Held {
			return
		}
		s.touch()
		s.state.Held = in
		s.tapped = s.tapped.With(in)
	})
}

// Drag turns the view by angles, to the right and up, in radians.
func (s *Session) Drag(right, up float64) {
	s.change(func() {
		s.touch()
		s.tapped.Drag[0] += right
		s.tapped.Drag[1] += up
	})
}

// touch notes when the input changes, for the first time since nothing was done or the last
// chunk began. s.mu is held.
func (s *Session) touch() {
	if s.touched.IsZero() || s.state.Held.With(s.tapped).Still() {
		s.touched = time.Now()
	}
}

// SetPrompt changes the prompt from the next chunk on that begins after it is encoded.
func (s *Session) SetPrompt(text string) {
	s.change(func() {
		s.said, s.state.Encoding, s.state.NoPrompt = text, true, nil
	})
	poke(s.spoken)
}

// Pause stops the walk and its pictures where they are, or goes on.
func (s *Session) Pause(on bool) {
	s.change(func() {
		if on == s.state.Paused {
			return
		}
		s.state.Paused, s.seen, s.touched = on, nil, time.Time{}
		if on {
			s.pauseOff = make(chan struct{})
		} else {
			close(s.pauseOff)
		}
	})
}

// SetIdle is Options.Idle.
func (s *Session) SetIdle(on bool) { s.change(func() { s.idle = on }) }

// Go goes back to the end of a chunk, of this way or another, and on from there; -1 is the
// beginning.
func (s *Session) Go(chunk int) {
	s.change(func() {
		if chunk < -1 || s.state.Phase == Failed {
			return
		}
		s.goTo, s.touched = &chunk, time.Time{}
		s.drop()
		if s.interrupt != nil {
			s.interrupt()
		}
	})
}

// drop has nobody see the pictures that are on their way. s.mu is held.
func (s *Session) drop() { s.epoch, s.pending, s.seen = s.epoch+1, 0, nil }

// Rename names the way that a chunk is on.
func (s *Session) Rename(chunk int, name string) error {
	s.keep.Lock()
	defer s.keep.Unlock()
	if s.rec == nil || chunk < 0 || chunk >= len(s.rec.chunks) {
		return fmt.Errorf("walk: there is no chunk %d", chunk)
	}
	if err := s.rec.name(s.rec.begin(chunk), name); err != nil {
		return err
	}
	s.showRecord()
	return nil
}

// Thumb returns a small picture of the end of a chunk; nil for none yet.
func (s *Session) Thumb(chunk int) image.Image {
	s.keep.Lock()
	defer s.keep.Unlock()
	if s.rec == nil || chunk < 0 || chunk >= len(s.rec.chunks) {
		return nil
	}
	return s.rec.thumb(chunk)
}

// change changes the state, tells of it and wakes the maker.
func (s *Session) change(f func()) {
	s.mu.Lock()
	f()
	s.endLeisure()
	s.mu.Unlock()
	poke(s.wake)
	s.o.Changed()
}

// poke leaves a token in c unless there is one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// showRecord brings what the record says into the state. s.keep is held.
func (s *Session) showRecord() {
	ways := s.rec.ways()
	s.change(func() {
		n := &s.state
		n.At, n.Ways = s.rec.at, ways
		tip := s.rec.at
		if len(n.Way) > 0 && tip >= -1 && s.rec.onWay(tip, n.Way[len(n.Way)-1]) {
			tip = n.Way[len(n.Way)-1]
		}
		n.Way = s.rec.way(tip)
	})
}

// fail ends the walk for a reason, unless it is ended.
func (s *Session) fail(err error) {
	if s.life.Err() != nil {
		return
	}
	s.o.Log.Error("the walk ended", "err", err)
	s.change(func() { s.state.Phase, s.state.Err = Failed, err })
}

// openRecord opens the walk's folder, or begins it.
func (s *Session) openRecord() (err error) {
	s.keep.Lock()
	defer s.keep.Unlock()
	dir, fingerprint := s.walker.Source()
	shape, job := s.walker.Shape(), s.walker.Job()
	if _, errThere := os.Stat(filepath.Join(s.o.Dir, logName)); errors.Is(errThere, os.ErrNotExist) {
		s.rec, err = create(s.o.Dir, Start{
			Job: job, Checkpoint: dir, Fingerprint: fingerprint, Chunk: shape.Chunk, Latent: shape.Latent,
			Width: shape.Width, Height: shape.Height, Created: time.Now(),
		})
		return err
	}
	if s.rec, err = open(s.o.Dir, false); err != nil {
		return err
	}
	start := s.rec.start
	switch {
	case start.Fingerprint != fingerprint:
		return &inference.OtherCheckpointError{Run: s.o.Dir, Checkpoint: dir}
	case start.Chunk != shape.Chunk || start.Latent != shape.Latent:
		return fmt.Errorf("%s: found chunks of %d values, expected %d: the walk was begun with other settings", s.o.Dir, start.Latent, shape.Latent)
	}
	return nil
}

// firstPrompt returns the prompt that the walk goes on with.
func (s *Session) firstPrompt() string {
	s.keep.Lock()
	defer s.keep.Unlock()
	return s.rec.text(s.rec.at)
}

// encodePrompts encodes what is said, the newest of it.
func (s *Session) encodePrompts() {
	for {
		select {
		case <-s.life.Done():
			return
		case <-s.spoken:
		}
		s.mu.Lock()
		text := s.said
		s.mu.Unlock()
		p, err := s.walker.Encode(s.life, text)
		s.change(func() {
			if text != s.said {
				return // there is a newer one
			}
			s.state.Encoding = false
			if s.state.NoPrompt = err; err == nil {
				s.prompt, s.state.Prompt, s.nudged = p, text, true
			}
		})
	}
}
