package studio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"gimbal/assets"
	"gimbal/inference/engine"
	"gimbal/inference/hub"
	"gimbal/inference/library"
	"gimbal/inference/live"
	"gimbal/inference/queue"
	"gimbal/inference/watch"
)

// Options say what a Studio works with.
type Options struct {
	Engine engine.Engine
	// OpenWalk opens the causal model of a request on this machine; nil for no walks.
	OpenWalk func(context.Context, engine.Request) (live.Walker, error)
	// Connect returns the engine of the server at an address; nil where there are none.
	Connect func(server, key string) (engine.Engine, error)
	Keys    Keys // of servers, and tokens of hubs; nil for none
	// Hub returns a client of the hub that models are downloaded from, with an account's token
	// or else the one of the environment; nil where there is none.
	Hub func(token string) (*hub.Client, error)
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

	// watch makes the watcher of files; nil for the real one.
	watch func(changed func(path string)) watcher
}

// watcher tells of changes to files and folders.
type watcher interface {
	Add(path string)
	Keep(paths ...string)
	Close()
}

// Studio is the view-model of the main window.
type Studio struct {
	o       Options
	lib     *library.Library
	queue   *queue.Queue
	watcher watcher
	servers *servers
	serial  *serial // what must happen in order
	notes   notifier
	saving  sync.Mutex // held while settings are kept

	life  context.Context // ends with Close
	end   context.CancelFunc
	tasks sync.WaitGroup // checks under way

	mu      sync.Mutex
	closed  bool
	walk    *live.Session      // nil for none
	begins  bool               // a walk is about to begin
	picture func(live.Picture) // takes the pictures of walks; nil for nobody
	now     Snapshot           // its slices and maps are replaced, never written to
	state   state              // what stands behind the snapshot
	checks  map[string]*check
}

// state is what is known beside what the snapshot shows.
type state struct {
	typed        map[Field]Problem  // of what was typed
	checked      map[string]Problem // by the check that found it
	failed       map[Field]Problem  // of the last run, until the field changes
	path         loadedPath
	demo         assets.Demo
	demoErr      error
	models       map[bool]inspected // of the demo model (true) and of the model folder
	unsuited     bool               // the form waits to know what suits the model that runs
	presets      []storedPreset
	edited       bool // the user changed something
	wantRun      bool // Generate waits for the checks
	noticeID     uint64
	modelChanged bool // its files did during a run
	history      history
	typing       Field                // that Edit is about
	getting      *getting             // the download under way; nil for none
	offers       map[string]hub.Offer // what the hub has, by the models' names
}

// New opens the library and the settings in Options.Dir and starts to look at the
// last inputs in the background. It fails with library.ErrInUse if another Gimbal
// has that folder, and if the folder cannot be written.
func New(o Options) (*Studio, error) {
	if o.watch == nil {
		o.watch = func(changed func(path string)) watcher { return watch.New(o.Log, changed) }
	}
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("the program's own folder cannot be made: %w", err)
	}
	lib, err := library.Open(filepath.Join(o.Dir, "library"))
	if err != nil {
		return nil, err
	}
	s := &Studio{
		o: o, lib: lib, serial: newSerial(), checks: map[string]*check{},
		state: state{offers: map[string]hub.Offer{}, typed: map[Field]Problem{}, checked: map[string]Problem{}, failed: map[Field]Problem{}, models: map[bool]inspected{}},
	}
	s.servers = &servers{o: &s.o, all: map[string]engine.Engine{}}
	s.life, s.end = context.WithCancel(context.Background())
	s.watcher = o.watch(s.fileChanged)
	s.queue = queue.New(queue.Options{
		Engine: o.Engine, Remote: s.servers.engine, Library: lib, Demo: s.demoCheckpoint, Changed: s.queueChanged, Ended: s.runEnded, NotKept: s.runNotKept, Process: o.Process, Log: o.Log,
	})
	s.change(func(n *Snapshot) {
		n.Form.Inputs, n.Form.typed = DefaultInputs(), map[Field]string{}
		n.Settings.OutputDir = o.OutputDir
		n.Walk.Idle = true
		n.Get = s.newGet()
		s.restore(n)
		s.reportLibrary(n)
	})
	s.background(s.unpackDemo)
	s.serial.enqueue(s.goOn)
	s.change(s.goOnGetting)
	return s, nil
}

func (s *Studio) unpackDemo() {
	demo, err := s.o.Demo()
	if err != nil {
		s.o.Log.Error("unpacking the demo model", "err", err)
	}
	s.change(func(*Snapshot) { s.state.demo, s.state.demoErr = demo, err })
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
	settings, untouched := s.stored(), s.untouched()
	s.mu.Unlock()
	s.end()
	done := make(chan error, 1)
	go func() {
		s.watcher.Close()
		s.serial.enqueue(s.endWalk)
		s.serial.close()
		s.queue.Close()
		s.tasks.Wait()
		var err error
		if !untouched {
			err = s.saveSettings(settings)
		}
		s.notes.close()
		done <- errors.Join(err, s.lib.Close(), s.servers.close())
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
	n := s.now
	if s.walk != nil {
		n.Walk.State = s.walk.State()
	}
	return n
}

// Subscribe calls f with the state, at once and after changes, from a goroutine of
// its own, one call at a time and at most ten per second; the last change always
// arrives. The returned function ends that; a call under way may still finish.
func (s *Studio) Subscribe(f func(Snapshot)) (stop func()) {
	return s.notes.subscribe(func() { f(s.Snapshot()) })
}

// change changes the state and tells of it.
func (s *Studio) change(f func(n *Snapshot)) {
	s.update(f)
	s.notes.notify()
}

// update changes the state: f writes to the snapshot and to s.state, then what depends on
// them is computed, checked and, where a run waited for that, begun. Slices and maps in the
// snapshot must be replaced.
func (s *Studio) update(f func(n *Snapshot)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := &s.now
	f(n)
	s.startChecks(n)
	s.derive(n)
	if s.state.wantRun && !n.Form.Checking {
		s.state.wantRun = false
		s.generate(n)
		s.startChecks(n)
		s.derive(n)
	}
	s.startPlans(n)
	n.Version++
}

// userChange is change for what the user did.
func (s *Studio) userChange(f func(n *Snapshot)) {
	s.change(func(n *Snapshot) {
		s.state.edited = true
		before := n.Form.Inputs
		s.state.typing = FieldNone
		f(n)
		s.state.history.changed(before, n.Form.Inputs, s.state.typing)
	})
}

// notice adds a message that belongs to no field, in place of the last of its kind if that told
// of nothing wrong.
func (s *Studio) notice(n *Snapshot, level Level, code Code, args map[string]any, details string) {
	s.state.noticeID++
	n.Notices = slices.DeleteFunc(slices.Clone(n.Notices), func(m Notice) bool { return m.Level == Info && m.Code == code })
	n.Notices = append(n.Notices, Notice{
		ID: s.state.noticeID, Level: level, Code: code, Args: args, Text: render("notice."+string(code), args), Details: details,
	})
	const most = 20
	for len(n.Notices) > most { // the oldest of those that matter least
		i := max(0, slices.IndexFunc(n.Notices, func(m Notice) bool { return m.Level == Info }))
		n.Notices = slices.Delete(slices.Clone(n.Notices), i, i+1)
	}
}

// Dismiss removes a notice.
func (s *Studio) Dismiss(notice uint64) {
	s.change(func(n *Snapshot) {
		n.Notices = slices.DeleteFunc(slices.Clone(n.Notices), func(m Notice) bool { return m.ID == notice })
	})
}
