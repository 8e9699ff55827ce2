package watch

import (
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// every is the time between two looks without an event.
	every = 500 * time.Millisecond
	// settle is how long events are collected before a look: a copy of a folder is
	// many of them.
	settle = 100 * time.Millisecond
	// depth is how far below a folder changes count: a checkpoint has folders of files.
	depth = 2
	// most bounds the files below one path that a look takes in.
	most = 2000
)

// Watcher watches a set of paths.
type Watcher struct {
	changed func(path string)
	events  *fsnotify.Watcher // nil where the system has no more of them
	log     *slog.Logger
	stop    chan struct{}
	done    chan struct{}
	others  chan struct{} // holds one while other paths are watched than those of the events

	mu    sync.Mutex
	paths map[string]look // by path as given to Add
}

// look is what was at a path: the names, sizes and times of its files.
type look = string

// New returns a Watcher that calls changed, from one goroutine, with each path whose
// file or folder changed, went, or came.
func New(log *slog.Logger, changed func(path string)) *Watcher {
	w := &Watcher{changed: changed, log: log, stop: make(chan struct{}), done: make(chan struct{}), others: make(chan struct{}, 1), paths: map[string]look{}}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		log.Warn("files are watched by looking only", "err", err)
	} else {
		w.events = events
	}
	go w.run()
	return w
}

// Add watches path, too; an empty one is skipped. Changes count from here on, so who shows what is
// at path adds it before looking there.
func (w *Watcher) Add(path string) {
	w.mu.Lock()
	_, known := w.paths[path]
	w.mu.Unlock()
	if known || path == "" {
		return
	}
	seen := See(path)
	w.mu.Lock()
	if _, known = w.paths[path]; !known {
		w.paths[path] = seen
	}
	w.mu.Unlock()
	w.resubscribe()
}

// Keep ends the watching of all but paths. It waits for no disk.
func (w *Watcher) Keep(paths ...string) {
	w.mu.Lock()
	before := len(w.paths)
	maps.DeleteFunc(w.paths, func(path string, _ look) bool { return !slices.Contains(paths, path) })
	fewer := len(w.paths) < before
	w.mu.Unlock()
	if fewer {
		w.resubscribe()
	}
}

// resubscribe has the watching goroutine ask for other events.
func (w *Watcher) resubscribe() {
	select {
	case w.others <- struct{}{}:
	default: // it has yet to
	}
}

// Close stops watching. changed is not called after it returns.
func (w *Watcher) Close() {
	close(w.stop)
	<-w.done
}

func (w *Watcher) run() {
	defer close(w.done)
	var events <-chan fsnotify.Event
	var errs <-chan error
	if w.events != nil {
		defer w.events.Close()
		events, errs = w.events.Events, w.events.Errors
	}
	timer := time.NewTimer(every)
	soon := false
	for {
		select {
		case <-w.stop:
			return
		case _, ok := <-events:
			if !ok {
				events, errs = nil, nil
			} else if !soon {
				soon = true
				timer.Reset(settle)
			}
		case <-w.others:
			w.subscribe()
		case err := <-errs:
			w.log.Debug("watching files", "err", err) // a look comes anyway
		case <-timer.C:
			soon = false
			w.look()
			timer.Reset(every)
		}
	}
}

// look compares what is there with what was, and reports the differences.
func (w *Watcher) look() {
	w.mu.Lock()
	paths := maps.Clone(w.paths)
	w.mu.Unlock()
	var changed []string
	for path, before := range paths {
		now := See(path)
		w.mu.Lock()
		if seen, ok := w.paths[path]; ok && seen == before && now != before {
			w.paths[path] = now
			changed = append(changed, path)
		}
		w.mu.Unlock()
	}
	if len(changed) == 0 {
		return
	}
	w.subscribe() // folders may be new
	for _, path := range changed {
		w.changed(path)
	}
}

// subscribe asks the system for events of the paths that exist, and no others.
func (w *Watcher) subscribe() {
	if w.events == nil {
		return
	}
	want := map[string]bool{}
	w.mu.Lock()
	paths := slices.Collect(maps.Keys(w.paths))
	w.mu.Unlock()
	for _, path := range paths {
		walk(path, func(path string, info fs.FileInfo) {
			if info.IsDir() {
				want[path] = true
			}
		})
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			want[path] = true
		}
	}
	for _, path := range w.events.WatchList() {
		if !want[path] {
			w.events.Remove(path)
		}
	}
	for path := range want {
		if err := w.events.Add(path); err != nil {
			w.log.Debug("watching files", "path", path, "err", err) // looking finds its changes
		}
	}
}

// See describes what is at path: it differs if anything there has changed.
func See(path string) string {
	var seen strings.Builder
	walk(path, func(path string, info fs.FileInfo) {
		fmt.Fprintf(&seen, "%s %v %d", path, info.Mode(), info.ModTime().UnixNano())
		if !info.IsDir() {
			fmt.Fprintf(&seen, " %d", info.Size())
		}
		seen.WriteByte('\n')
	})
	return seen.String()
}

// walk calls f with what is at path, links followed, and below.
func walk(root string, f func(path string, info fs.FileInfo)) {
	left := most
	var visit func(path string, below int)
	visit = func(path string, below int) {
		info, err := os.Stat(path)
		if err != nil || left == 0 {
			return
		}
		left--
		f(path, info)
		if !info.IsDir() || below == 0 {
			return
		}
		entries, _ := os.ReadDir(path) // sorted; what cannot be read has no files to see
		for _, e := range entries {
			visit(filepath.Join(path, e.Name()), below-1)
		}
	}
	visit(root, depth)
}
