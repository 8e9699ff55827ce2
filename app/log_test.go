//go:build !headless

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestLog writes to a log that is new, goes on, and is put aside when it is full.
func TestLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "Logs", "Gimbal")
	path := filepath.Join(dir, "gimbal.log")
	write := func(message string) string {
		t.Helper()
		var terminal bytes.Buffer
		log, file, err := openLog(dir, &terminal)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		log.Info(message)
		return terminal.String()
	}
	if out := write("first"); !strings.Contains(out, "first") {
		t.Errorf("the terminal got %q", out)
	}
	write("second")
	if got := read(t, path); !strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("the log holds %q, want both messages", got)
	}
	if err := os.Truncate(path, logLimit); err != nil {
		t.Fatal(err)
	}
	write("third")
	if got := read(t, path); strings.Contains(got, "first") || !strings.Contains(got, "third") {
		t.Errorf("the log after a full one holds %q, want the third message alone", got)
	}
	if info, err := os.Stat(filepath.Join(dir, "gimbal.old.log")); err != nil || info.Size() != logLimit {
		t.Errorf("the full log is not kept: %v", err)
	}
}

// TestLogCrash has a goroutine of another process panic and finds that in the log.
func TestLogCrash(t *testing.T) {
	if dir := os.Getenv(crashVariable); dir != "" {
		if _, _, err := openLog(dir, os.Stderr); err != nil {
			t.Fatal(err)
		}
		done := make(chan bool)
		go func() { panic("a goroutine gave up") }()
		<-done
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestLogCrash$")
	cmd.Env = append(os.Environ(), crashVariable+"="+dir)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Fatalf("the other process did not panic:\n%s", out)
	}
	if got := read(t, filepath.Join(dir, "gimbal.log")); !strings.Contains(got, "a goroutine gave up") || !strings.Contains(got, "log_test.go") {
		t.Errorf("the log does not say why the program died: %q", got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
