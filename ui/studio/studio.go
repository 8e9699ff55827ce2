package studio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gimbal/assets"
	"gimbal/inference/library"
	"gimbal/ui/watch"
)

// Options say what a Studio works with.
type Options struct {
	Engine Engine
	// Dir is the program's own folder, for settings.json, library/ and pasted/.
	Dir string
	// OutputDir is the folder for videos until the user chooses another.
	OutputDir string
	// Demo unpacks the demo model and says where it is.
	Demo func() (assets.Demo, error)
	// Trash takes what is deleted from the library.
	Trash library.Trash
	// Process returns the program's resident memory in bytes; nil for the real one.
	Process func() int64
	Log     *slog.Logger
}

// Studio is the view-model of the main window.
type Studio struct {
	o       Options
	lib     *library.Library
	watcher *watch.Watcher
	chores  *chores // what must happen in order: the library's and the settings' writes
	notes   notifier

	life   context.Context // ends with Close
	end    context.CancelFunc
	worker sync.WaitGroup // the goroutine that makes the runs
	tasks  sync.WaitGroup // checks under way

	mu     sync.Mutex
	closed bool
	now    Snapshot // its slices and maps are replaced, never written to
	facts  facts    // what stands behind the snapshot
	checks map[string]*check
	queued chan struct{} // tells the worker that the queue grew
	cancel context.CancelFunc
}

// facts are what is known beside what the snapshot shows.
type facts struct {
	typed    map[Field]Problem // of what was typed
	found    map[string]Problem
	after    map[Field]Problem // of the last run, until the field changes
	path     loadedPath
	demo     assets.Demo
	demoErr  error
	presets  []storedPreset
	touched  bool // the user changed something
	wantRun  bool // Generate waits for the checks
	noticeID uint64
	resume   map[library.ID]bool // queued runs that go on from their state
	shelf    int                 // grows when the library changes
	modelOld bool                // its files changed during a run
	timing   timing
}

// New opens the library and the settings in Options.Dir and starts to look at the
// last inputs in the background. It fails with library.ErrInUse if another Gimbal
// has that folder, and if the folder cannot be written.
func New(o Options) (*Studio, error) {
	if o.Process == nil {
		o.Process = residentMemory
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("the program's own folder cannot be made: %w", err)
	}
	lib, err := library.Open(filepath.Join(o.Dir, "library"))
	if err != nil {
		return nil, err
	}
	s := &Studio{
		o: o, lib: lib, chores: newChores(), checks: map[string]*check{}, queued: make(chan struct{}, 1),
		facts: facts{
			typed: map[Field]Problem{}, found: map[string]Problem{}, after: map[Field]Problem{}, resume: map[library.ID]bool{},
		},
	}
	s.life, s.end = context.WithCancel(context.Background())
	s.watcher = watch.New(o.Log, s.fileChanged)
	s.change(func(n *Snapshot) {
		n.Form.Inputs = DefaultInputs()
		n.Settings.OutputDir = o.OutputDir
		s.restore(n)
		s.reportLibrary(n)
	})
	s.start()
	return s, nil
}

// start begins the background work.
func (s *Studio) start() {
	s.worker.Go(s.work)
	s.background(func() {
		demo, err := s.o.Demo()
		if err != nil {
			s.o.Log.Error("unpacking the demo model", "err", err)
		}
		s.change(func(n *Snapshot) {
			s.facts.demo, s.facts.demoErr = demo, err
			if err == nil && !s.facts.touched {
				s.useDemo(n) // the first start: something that works at once
			}
		})
	})
	s.background(func() {
		dev, err := s.o.Engine.Device(s.life)
		if err != nil {
			dev.Error = err.Error()
			s.o.Log.Error("opening the device", "err", err)
		}
		dev.Ready = err == nil
		s.change(func(n *Snapshot) { n.Device = dev })
	})
}

// background runs f, which returns soon after s.life ends, in a goroutine.
func (s *Studio) background(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.tasks.Go(f)
	}
}

// Close cancels what is under way, which the library then shows as interrupted and
// offers to resume, saves the settings and closes the library and the engine. It
// returns ctx's error if that ends first.
func (s *Studio) Close(ctx context.Context) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	settings := s.stored()
	s.mu.Unlock()
	s.end()
	done := make(chan error, 1)
	go func() {
		s.watcher.Close()
		s.worker.Wait()
		s.tasks.Wait()
		err := s.saveSettings(settings)
		s.chores.close()
		s.notes.close()
		done <- errors.Join(err, s.lib.Close(), s.o.Engine.Close())
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return fmt.Errorf("closing: %w", ctx.Err())
	}
}

// Snapshot returns the state as it is now: what Edit changed is in it.
func (s *Studio) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Subscribe calls f with the state, at once and after changes, from a goroutine of
// its own, one call at a time and at most ten a second; the last change always
// arrives. The returned function ends that; a call under way may still finish.
func (s *Studio) Subscribe(f func(Snapshot)) (stop func()) {
	return s.notes.subscribe(func() { f(s.Snapshot()) })
}

// change changes the state: f writes to the snapshot and to s.facts, then follows
// what depends on them. Slices and maps in the snapshot must be replaced.
func (s *Studio) change(f func(n *Snapshot)) {
	s.mu.Lock()
	f(&s.now)
	s.follow()
	s.derive()
	s.followEstimates(&s.now)
	s.now.Version++
	s.mu.Unlock()
	s.notes.notify()
}

// touch is change for what the user did.
func (s *Studio) touch(f func(n *Snapshot)) {
	s.change(func(n *Snapshot) {
		s.facts.touched = true
		f(n)
	})
}

// notice adds a message that belongs to no field.
func (s *Studio) notice(n *Snapshot, level Level, code Code, args map[string]any, details string) {
	s.facts.noticeID++
	n.Notices = append(n.Notices[:len(n.Notices):len(n.Notices)], Notice{
		ID: s.facts.noticeID, Level: level, Code: code, Args: args, Text: render("notice."+string(code), args), Details: details,
	})
	const most = 20
	if len(n.Notices) > most {
		n.Notices = n.Notices[len(n.Notices)-most:]
	}
}

// Dismiss removes a notice.
func (s *Studio) Dismiss(notice uint64) {
	s.change(func(n *Snapshot) {
		var kept []Notice
		for _, m := range n.Notices {
			if m.ID != notice {
				kept = append(kept, m)
			}
		}
		n.Notices = kept
	})
}

// timing is what the progress of a run is reckoned from.
type timing struct {
	started   time.Time
	step      time.Time     // of the last step
	remaining time.Duration // at that time; -1 if not known
	decoding  time.Time     // when the first frame was there
	planned   Estimate
}
