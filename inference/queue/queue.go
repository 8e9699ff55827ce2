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
	// Ended is told of every run that ended, after Changed; nil for nobody.
	Ended func(Run)
	// NotKept is told if the library could not keep a run.
	NotKept func(library.Entry, error)
	// Process returns the program's resident memory in bytes; nil for the real one.
	Process func() int64
	Log     *slog.Logger
}

// State is what a Queue does and has to do. What it holds does not change.
type State struct {
	Run     Run             // in front: under way, or the last one
	Others  []Run           // that are under way, too, on servers, in the order in which they began
	Waiting []library.Entry // for this machine, the next one first
}

// Busy reports whether a run is under way or waiting.
func (s State) Busy() bool { return len(s.Waiting) > 0 || len(s.UnderWay()) > 0 }

// UnderWay returns the runs that are under way, the one in front first.
func (s State) UnderWay() []Run {
	if !s.Run.Active() {
		return s.Others
	}
	return append([]Run{s.Run}, s.Others...)
}

// Here reports whether a run is under way or waiting on this machine.
func (s State) Here() bool {
	return len(s.Waiting) > 0 || slices.ContainsFunc(s.UnderWay(), func(r Run) bool { return r.Entry.Settings.Server == "" })
}

// Queue makes runs: on this machine one after the other, on servers, which have queues of their
// own, all that there are. Its methods may be called from any goroutine.
type Queue struct {
	o      Options
	life   context.Context // ends with Close
	end    context.CancelFunc
	worker sync.WaitGroup
	grown  chan struct{} // holds a token: there may be a run to make

	adding  sync.Mutex // held while a run gets its name and its copies
	telling sync.Mutex // held while Changed is called

	mu       sync.Mutex
	waiting  []library.Entry
	underWay []*active                // in the order in which they began
	front    *active                  // one of them, or the last one; nil for none
	sent     map[string]chan struct{} // closed when a server has taken what was last sent, by its address
}

// active is a run under way. Queue.mu guards what changes.
type active struct {
	run    Run
	clock  clock
	cancel context.CancelCauseFunc // ends it
	taken  func()                  // says that its server has it; may be called again
}

// New returns a Queue with nothing in it.
func New(o Options) *Queue {
	if o.Process == nil {
		o.Process = residentMemory
	}
	q := &Queue{o: o, grown: make(chan struct{}, 1), sent: map[string]chan struct{}{}}
	q.life, q.end = context.WithCancel(context.Background())
	q.worker.Go(q.work)
	return q
}

// Close ends the runs under way, which the library then has as interrupted, and returns
// when they have ended.
func (q *Queue) Close() {
	q.mu.Lock()
	q.end() // nothing begins afterwards
	q.mu.Unlock()
	q.worker.Wait()
}

// State returns the state as it is now.
func (q *Queue) State() State {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := State{Waiting: q.waiting}
	if q.front != nil {
		s.Run = q.front.run
	}
	for _, a := range q.underWay {
		if a != q.front {
			s.Others = append(s.Others, a.run)
		}
	}
	return s
}

// change changes what is guarded by q.mu, and tells of it.
func (q *Queue) change(f func()) {
	q.mu.Lock()
	f()
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

// enqueue puts a run that the library has at the end of the queue, or sends it to its server.
func (q *Queue) enqueue(e library.Entry) {
	if e.Settings.Server != "" {
		q.send(e)
		return
	}
	q.change(func() { q.waiting = append(slices.Clip(q.waiting), e) })
	select {
	case q.grown <- struct{}{}:
	default:
	}
}

// Cancel ends a run under way, which it does not wait for, or takes a run off the queue.
// What the run saved stays for Resume.
func (q *Queue) Cancel(id library.ID) {
	if e, ok := q.remove(id); ok {
		e.State, e.Finished = library.Cancelled, time.Now()
		q.keep(e)
		q.tell()
		return
	}
	q.change(func() {
		if a := q.find(id); a != nil {
			a.run.Phase = Cancelling
			a.cancel(engine.ErrCancelled)
		}
	})
}

// find returns a run that is under way, else nil. q.mu is held.
func (q *Queue) find(id library.ID) *active {
	i := slices.IndexFunc(q.underWay, func(a *active) bool { return a.run.Entry.ID == id })
	if i < 0 {
		return nil
	}
	return q.underWay[i]
}

// Front puts a run that is under way in front, and reports whether it is.
func (q *Queue) Front(id library.ID) (ok bool) {
	q.change(func() {
		if a := q.find(id); a != nil {
			q.front, ok = a, true
		}
	})
	return ok
}

// remove takes a run off the queue.
func (q *Queue) remove(id library.ID) (e library.Entry, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	i := slices.IndexFunc(q.waiting, func(e library.Entry) bool { return e.ID == id })
	if i < 0 {
		return e, false
	}
	e = q.waiting[i]
	q.waiting = slices.Delete(slices.Clone(q.waiting), i, i+1)
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
