//go:build !headless

package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"fyne.io/fyne/v2"

	"gimbal/app/internal/doctor"
	"gimbal/ui/desktop"
)

// elsewhere is a desktop whose folders are not the user's.
type elsewhere struct {
	desktop.Desktop
	dir string
}

func (d elsewhere) Folders() desktop.Folders {
	return desktop.Folders{Data: filepath.Join(d.dir, "data"), Log: filepath.Join(d.dir, "log"), Cache: filepath.Join(d.dir, "cache"), Video: filepath.Join(d.dir, "video")}
}

// examineWindow opens the window over an empty library, and closes it after a second.
func examineWindow(ctx context.Context, s *doctor.Session) doctor.Verdict {
	s.Doing("look for a display")
	if err := desktop.CheckDisplay(); errors.Is(err, desktop.ErrNoDisplay) {
		return skipped(errorText(err))
	} else if err != nil {
		return faulty(err)
	}
	dir, err := os.MkdirTemp("", "gimbal-doctor-*")
	if err != nil {
		return faulty(err)
	}
	defer os.RemoveAll(dir)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	slog.SetDefault(log)
	s.Doing("open the window")
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	desk, err := desktop.New(desktop.Options{Log: log, Main: fyne.Do, Notify: func(string, string) {}})
	if err != nil {
		return faulty(err)
	}
	gui := newApp()
	var shown atomic.Bool
	gui.Lifecycle().SetOnStarted(func() {
		shown.Store(true)
		time.AfterFunc(time.Second, cancel)
	})
	if err := showWindow(ctx, gui, elsewhere{desk, dir}, log); err != nil {
		return faulty(err)
	}
	if !shown.Load() {
		return faulty(errors.New("the window closed before it was shown"))
	}
	return doctor.Verdict{Status: doctor.OK, Text: "it opened, and closed after a second"}
}
