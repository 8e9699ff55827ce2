package desktop

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"sync"
)

// Recorder is a Desktop that only writes down what was asked of it, for tests.
type Recorder struct {
	Desktop
	// Picked answers Pick; nil cancels.
	Picked func(Panel) (string, error)
	// Copied answers ClipboardPicture; nil has no picture.
	Copied func() ([]byte, error)
	// Pad is the gamepad; nil for none.
	Pad *Gamepad

	mu    sync.Mutex
	calls []string
	inbox *inbox
}

// NewRecorder returns a Recorder whose folders are in dir.
func NewRecorder(dir string) *Recorder {
	r := &Recorder{}
	s := &system{
		Options: Options{
			Log:    slog.New(slog.NewTextHandler(io.Discard, nil)),
			Main:   func(f func()) { f() },
			Notify: func(title, body string) { r.note("notify %s: %s", title, body) },
		},
		platform: recording{r},
		folders:  foldersOf("darwin", dir, nil),
	}
	r.Desktop, r.inbox = s, &s.inbox
	return r
}

// Calls returns what was asked so far, one line each: "reveal /a/b.mp4",
// "progress", "keep awake: why", "sleep".
func (r *Recorder) Calls() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.calls...)
}

// OpenFiles does what the user does by opening files from the file manager.
func (r *Recorder) OpenFiles(paths ...string) { r.inbox.add(paths) }

// Gamepad implements Desktop.
func (r *Recorder) Gamepad() (Gamepad, bool) {
	if r.Pad == nil {
		return Gamepad{}, false
	}
	return *r.Pad, true
}

func (r *Recorder) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, fmt.Sprintf(format, args...))
}

// recording is the platform of a Recorder.
type recording struct{ *Recorder }

func (r recording) setIcon(png []byte) {
	if png == nil {
		r.note("no progress")
	} else {
		r.note("progress")
	}
}

func (r recording) keepAwake(reason string) (func(), error) {
	r.note("keep awake: %s", reason)
	return func() { r.note("sleep") }, nil
}

func (r recording) reveal(path string) error { r.note("reveal %s", path); return nil }
func (r recording) open(url string) error    { r.note("open %s", url); return nil }
func (r recording) trash(path string) error  { r.note("trash %s", path); return nil }

func (r recording) pick(p Panel) (string, error) {
	r.note("pick %s", p.Title)
	if r.Picked == nil {
		return "", nil
	}
	return r.Picked(p)
}

func (r recording) clipboardPicture(context.Context) ([]byte, error) {
	r.note("clipboard")
	if r.Copied == nil {
		return nil, nil
	}
	return r.Copied()
}
