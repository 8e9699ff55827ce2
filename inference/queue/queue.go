package queue

import (
	"context"
	"image"
	"log/slog"
	"slices"
	"sync"
	"time"

	"gimbal/inference/engine"
	"gimbal/inference/library"
)

// Options say what a Queue works with.
type Options struct {
	Engine engine.Engine
	// Remote returns the engine of a server, for runs that one makes; nil where there is none.
	Remote  func(server string) (engine.Engine, error)
	Library *library.Library
	// Demo returns the folder of the demo model, which makes the runs that name no
	// checkpoint; "" where it is not unpacked.
	Demo func() string
	// Changed is told of every new state, in order. It may call State, and must not wait
	// for another method of the Queue.
	Changed func(State)
	// NotKept is told if the library could not keep a run.
	NotKept func(library.Entry, error)
	// Process returns the program's resident memory in bytes; nil for the real one.
	Process func() int64
	Log     *slog.Logger
}

// State is what a Queue does and has to do. What it holds does not change.
type State struct {
	Run     Run             // under way, or the last one
	Waiting []library.Entry // the next one first
}

// Busy reports whether a run is under way or waiting.
func (s State) Busy() bool { return s.Run.Active() || len(s.Waiting) > 0 }

// Queue makes runs. Its methods may be called from any goroutine.
type Queue struct {
	o      Options
	life   context.Context // ends with Close
	end    context.CancelFunc
	worker sync.WaitGroup
	grown  chan struct{} // holds a token: there may be a run to make

	adding  sync.Mutex // held while a run gets its name and its copies
	telling sync.Mutex // held while Changed is called

	mu     sync.Mutex
	state  State
	clock  clock                   // of the run under way
	cancel context.CancelCauseFunc // ends it
}

// New returns a Queue with nothing in it.
func New(o Options) *Queue {
	if o.Process == nil {
		o.Process = residentMemory
	}
	q := &Queue{o: o, grown: make(chan struct{}, 1)}
	q.life, q.end = context.WithCancel(context.Background())
	q.worker.Go(q.work)
	return q
}

// Close ends the run under way, which the library then has as interrupted, and returns
// when it has ended.
func (q *Queue) Close() {
	q.end()
	q.worker.Wait()
}

// State returns the state as it is now.
func (q *Queue) State() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.state
}

// change changes the state and tells of it.
func (q *Queue) change(f func(s *State)) {
	q.mu.Lock()
	f(&q.state)
	q.mu.Unlock()
	q.tell()
}

func (q *Queue) tell() {
	q.telling.Lock()
	defer q.telling.Unlock()
	q.o.Changed(q.State())
}

// Add puts a run at the end of the queue. Its video gets a free name in the folder dir,
// made of the prompt and the time, and the library keeps copies of the inputs and thumb,
// which may be nil. An error about dir is a SettingError of save_file.
func (q *Queue) Add(s library.Settings, dir string, thumb image.Image) (library.Entry, error) {
	e, err := q.begin(s, dir, thumb)
	if err == nil {
		q.enqueue(e)
	}
	return e, err
}

// enqueue puts a run that the library has at the end of the queue.
func (q *Queue) enqueue(e library.Entry) {
	q.change(func(s *State) { s.Waiting = append(slices.Clip(s.Waiting), e) })
	select {
	case q.grown <- struct{}{}:
	default:
	}
}

// Cancel ends the run under way, which it does not wait for, or takes a run off the queue.
// What the run saved stays for Resume.
func (q *Queue) Cancel(id library.ID) {
	if e, ok := q.remove(id); ok {
		e.State, e.Finished = library.Cancelled, time.Now()
		q.keep(e)
		q.tell()
		return
	}
	q.change(func(s *State) {
		if s.Run.Active() && s.Run.Entry.ID == id {
			s.Run.Phase = Cancelling
			q.cancel(engine.ErrCancelled)
		}
	})
}

// remove takes a run off the queue.
func (q *Queue) remove(id library.ID) (e library.Entry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.state.Waiting, func(e library.Entry) bool { return e.ID == id })
	if i < 0 {
		return e, false
	}
	e = q.state.Waiting[i]
	q.state.Waiting = slices.Delete(slices.Clone(q.state.Waiting), i, i+1)
	return e, true
}

// Resume queues a run that was interrupted, cancelled or failed: from where it was if it
// saved that, or else from the start. It does nothing for any other run.
func (q *Queue) Resume(id library.ID) {
	q.adding.Lock() // or two would queue it twice
	defer q.adding.Unlock()
	e, ok := q.o.Library.Get(id)
	if !ok || !e.State.Finished() || e.State == library.Done {
		return
	}
	if !e.CanResume() || !exists(e.RunDir) {
		e.RunDir, e.Steps = "", 0
	}
	e.State, e.Cause, e.Error, e.Finished = library.Queued, "", "", time.Time{}
	q.keep(e)
	q.enqueue(e)
}

// keep has the library keep a run.
func (q *Queue) keep(e library.Entry) {
	if err := q.o.Library.Put(e); err != nil {
		q.o.Log.Error("keeping a run", "id", e.ID, "err", err)
		q.o.NotKept(e, err)
	}
}

// thumbnail has the library keep a run's thumbnail.
func (q *Queue) thumbnail(id library.ID, thumb image.Image) {
	if thumb == nil {
		return
	}
	if err := q.o.Library.SetThumbnail(id, thumb); err != nil {
		q.o.Log.Warn("keeping a thumbnail", "id", id, "err", err)
	}
}
