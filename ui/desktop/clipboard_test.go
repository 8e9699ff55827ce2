package desktop

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestClipboardPicture(t *testing.T) {
	r := NewRecorder(t.TempDir())
	if data, err := r.ClipboardPicture(); data != nil || err != nil {
		t.Errorf("an empty clipboard gives %d bytes, %v", len(data), err)
	}
	r.Copied = func() ([]byte, error) { return []byte("pixels"), nil }
	if data, err := r.ClipboardPicture(); string(data) != "pixels" || err != nil {
		t.Errorf("got %q, %v", data, err)
	}
	r.Copied = func() ([]byte, error) { return make([]byte, clipboardBytes+1), nil }
	if data, err := r.ClipboardPicture(); data != nil || err != errClipboardSize {
		t.Errorf("a large picture gives %d bytes, %v", len(data), err)
	}
	wrong := errors.New("wrong")
	r.Copied = func() ([]byte, error) { return nil, wrong }
	if _, err := r.ClipboardPicture(); err != wrong {
		t.Errorf("got %v, want %v", err, wrong)
	}
}

// TestClipboardIsNotWaitedForLong has programs that never give their picture.
func TestClipboardIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRecorder(t.TempDir())
		stuck := make(chan struct{})
		defer close(stuck)
		r.Copied = func() ([]byte, error) { <-stuck; return nil, context.Canceled }
		start := time.Now()
		if _, err := r.ClipboardPicture(); err != errClipboardTime || time.Since(start) != clipboardTime {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}
