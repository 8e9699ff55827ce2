//go:build !headless

package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
)

// logLimit is the size at which a log file is put aside at the next start.
const logLimit = 4 << 20

// openLog opens the log file gimbal.log in dir, the one before it kept as
// gimbal.old.log, and has the runtime write there too why the program died: a
// program that was started by double-click has no terminal.
func openLog(dir string, also io.Writer) (*slog.Logger, io.Closer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, fmt.Errorf("making the folder for logs: %w", err)
	}
	path := filepath.Join(dir, "gimbal.log")
	if info, err := os.Stat(path); err == nil && info.Size() >= logLimit {
		if err := os.Rename(path, filepath.Join(dir, "gimbal.old.log")); err != nil {
			return nil, nil, fmt.Errorf("putting the full log file aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the log file: %w", err)
	}
	if err := debug.SetCrashOutput(file, debug.CrashOptions{}); err != nil {
		file.Close()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return slog.New(slog.NewTextHandler(tee{file, also}, nil)), file, nil
}

// tee writes to the log file and, as far as it takes it, to the terminal.
type tee struct{ file, also io.Writer }

func (t tee) Write(p []byte) (int, error) {
	_, _ = t.also.Write(p)
	return t.file.Write(p)
}
