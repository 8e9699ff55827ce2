package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"

	"gimbal/inference"
)

// brokenWriter fails every write.
type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// TestLostOutput makes sure that what could not be printed is no success, unless nobody wanted it.
func TestLostOutput(t *testing.T) {
	for err, want := range map[error]int{syscall.ENOSPC: exitFailed, syscall.EPIPE: exitDone, syscall.EBADF: exitDone} {
		for _, args := range [][]string{{"help"}, {"devices"}, {"inspect", "main_test.go"}} {
			if code := runMain(t.Context(), args, brokenWriter{err}, io.Discard); code != want {
				t.Errorf("%v, %v: exit code %d, want %d", args, err, code, want)
			}
		}
	}
}

// TestOperands gives operands before, between and behind flags, too few and too many.
func TestOperands(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string // in the message
	}{
		{[]string{"get"}, "no MODEL given"},
		{[]string{"get", "nobody", "--list"}, `no model is called "nobody"`},
		{[]string{"get", "a", "--list", "b"}, `"b" is too much`},
		{[]string{"convert", "--to", "q4_k", "model"}, "no OUT given"},
		{[]string{"convert", "model", "out", "--to", "q9"}, `found "q9"`},
		{[]string{"inspect", ""}, "PATH is empty"},
		{[]string{"bench", "everything"}, `no benchmark "everything"`},
		{[]string{"bench", "vae", "--frame_num", "3"}, "--frame_num: found 3"},
		{[]string{"bench", "vae", "--runs", "0"}, "--runs"},
		{[]string{"bench", "attention", "--lengths", "64", "0"}, "--lengths"},
		{[]string{"tune", "--width", "x for flag -y"}, "'gimbal tune --help'"},
	} {
		var errs bytes.Buffer
		if code := runMain(t.Context(), c.args, io.Discard, &errs); code != exitUsage || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", c.args, code, exitUsage, c.want, errs.String())
		}
	}
}

// TestInterruptedText says where an interrupted run is kept, and not where in the work it was,
// but nothing less of what went wrong besides.
func TestInterruptedText(t *testing.T) {
	stopped := fmt.Errorf("blocks.3: %w", context.Canceled)
	kept := &inference.PausedError{Dir: "v.run", Err: stopped}
	if text := errorText(kept); text != "the run is kept in v.run: resume it with --resume v.run" {
		t.Error(text)
	}
	kept.Err = errors.Join(stopped, errors.New("the disk is full"))
	if text := errorText(kept); !strings.Contains(text, "the disk is full") {
		t.Error(text)
	}
	if !onlyCanceled(stopped) || onlyCanceled(kept) || onlyCanceled(kept.Err) {
		t.Error("what is only stopped is not told from other errors")
	}
}
