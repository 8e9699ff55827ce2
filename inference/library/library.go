package library

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// ErrInUse says that another program, most likely another Gimbal, has the library.
var ErrInUse = errors.New("another Gimbal is running with this library: use that one, or quit it first")

// The files of a library's folder.
const (
	databaseName = "library.db"
	runsName     = "runs"
	framesName   = "frames"
	thumbName    = "thumb.jpg"
	entryName    = "run.json"
)

// lockWait is how long Open waits for a library that another program has.
const lockWait = time.Second

// Library is an open library. It may be used from several goroutines.
type Library struct {
	dir    string
	report Report

	writing sync.Mutex // held while the disk is written to; guards db
	db      *bbolt.DB  // nil once it is closed

	mu      sync.RWMutex // guards what follows, and waits for no disk
	entries map[ID]Entry
	version uint64
}

// Report is what Open did besides opening.
type Report struct {
	// SetAside is where a damaged database was put, "" if it was whole or not there;
	// Rebuilt is the number of runs that the new one got from the runs' folders.
	SetAside string
	Rebuilt  int
	// Interrupted are the runs that a program was at when it ended.
	Interrupted []ID
}

// Open opens the library in the folder dir, which it makes if needed. The error is
// ErrInUse if another program has it.
func Open(dir string) (*Library, error) {
	if err := os.MkdirAll(filepath.Join(dir, runsName), 0o755); err != nil {
		return nil, fmt.Errorf("library: %w", err)
	}
	l := &Library{dir: dir}
	err := l.openDatabase()
	if err == nil {
		err = l.recoverRuns()
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("library %s: %w", dir, err)
	}
	return l, nil
}

// Report returns what Open did.
func (l *Library) Report() Report { return l.report }

// Close lets go of the library.
func (l *Library) Close() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.db == nil {
		return nil
	}
	db := l.db
	l.db = nil
	return db.Close()
}

// Create makes an entry in the state Queued, and its folder.
func (l *Library) Create(s Settings) (Entry, error) {
	now := time.Now()
	var salt [4]byte
	rand.Read(salt[:])
	e := Entry{
		ID: ID(now.UTC().Format("20060102-150405.000") + "-" + hex.EncodeToString(salt[:])), State: Queued, Settings: s, Created: now,
	}
	if err := os.MkdirAll(l.Folder(e.ID), 0o755); err != nil {
		return Entry{}, fmt.Errorf("library: %w", err)
	}
	return e, l.Put(e)
}

// Put keeps e, in place of what the library had under its ID.
func (l *Library) Put(e Entry) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.db == nil {
		return errors.New("library: it is closed")
	}
	if err := l.store(e); err != nil {
		return fmt.Errorf("library: keeping run %s: %w", e.ID, err)
	}
	l.change(func() { l.entries[e.ID] = e })
	return nil
}

// change changes the entries.
func (l *Library) change(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.version++
}

// Version grows when an entry is put or deleted.
func (l *Library) Version() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.version
}

// Get returns the entry called id.
func (l *Library) Get(id ID) (Entry, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	e, ok := l.entries[id]
	return e, ok
}

// Search returns the entries in which all words of query occur, in whatever case,
// the newest first; all of them for an empty query.
func (l *Library) Search(query string) []Entry {
	words := strings.Fields(strings.ToLower(query))
	l.mu.RLock()
	defer l.mu.RUnlock()
	var found []Entry
	for _, id := range slices.Backward(slices.Sorted(maps.Keys(l.entries))) {
		if e := l.entries[id]; matches(e, words) {
			found = append(found, e)
		}
	}
	return found
}

func matches(e Entry, words []string) bool {
	s, j := e.Settings, e.Settings.Job
	text := strings.ToLower(strings.Join([]string{
		j.Prompt, j.NegativePrompt, filepath.Base(j.Image), filepath.Base(j.ActionPath), s.Camera, filepath.Base(s.Checkpoint),
		j.Quant.String(), j.Solver, filepath.Base(j.Output), string(e.State), e.Created.Format("2006-01-02"),
		fmt.Sprintf("seed:%d frames:%d steps:%d %dx%d", j.Seed, j.Frames, j.Steps, e.Width, e.Height),
	}, "\n"))
	for _, word := range words {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// MadeBy returns the run that a file or folder was made by: its video, the files beside
// that, or its saved state.
func (l *Library) MadeBy(path string) (ID, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	for id, e := range l.entries {
		if path != "" && slices.Contains(e.files(), path) {
			return id, true
		}
	}
	return "", false
}

// Folder returns the library's own folder for a run: its inputs and frames.
func (l *Library) Folder(id ID) string { return filepath.Join(l.dir, runsName, string(id)) }

// FramesDir returns the folder in which a run's frames belong, inference.Job's
// FramesDir.
func (l *Library) FramesDir(id ID) string { return filepath.Join(l.Folder(id), framesName) }

// Video returns the frames of a finished run.
func (l *Library) Video(id ID) (*Video, error) {
	e, ok := l.Get(id)
	if !ok {
		return nil, fmt.Errorf("library: there is no run %s", id)
	}
	return openVideo(l.FramesDir(id), e.Video, e.Settings.Job.FPS)
}

// Delete takes a run out of the library: it moves its video, the files beside that
// and its saved state to the trash and removes the library's own folder for it. If
// the trash refuses, the run stays.
func (l *Library) Delete(id ID, trash Trash) error {
	e, ok := l.Get(id)
	if !ok {
		return nil
	}
	if !e.State.Finished() {
		return fmt.Errorf("library: %s is %s: cancel it first", e.Title(), e.State)
	}
	for _, path := range e.files() {
		if _, err := os.Lstat(path); path == "" || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := trash.Trash(path); err != nil {
			return fmt.Errorf("moving %s to the trash: %w", path, err)
		}
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.db == nil {
		return errors.New("library: it is closed")
	}
	if err := l.forget(id); err != nil {
		return fmt.Errorf("library: %w", err)
	}
	l.change(func() { delete(l.entries, id) })
	if err := os.RemoveAll(l.Folder(id)); err != nil {
		return fmt.Errorf("library: %w", err)
	}
	return nil
}
