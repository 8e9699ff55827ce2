package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"gimbal/inference"
)

// TestProgressBar makes sure that steps and decoding have a bar each, even of the
// same length, and that none is wider than a terminal.
func TestProgressBar(t *testing.T) {
	var out, errs bytes.Buffer
	r := newReporter(false, &out, &errs)
	r.terminal = true
	const total = 81
	for i := range total {
		r.event(inference.Step{Index: i + 1, Total: total, Expert: "high_noise_model", Timestep: 999, Seconds: 160.21,
			Remaining: 3*time.Hour + 7*time.Minute + 12*time.Second})
	}
	for i := range total {
		r.event(inference.Decoding{Frames: i + 1, Total: total})
	}
	r.event(inference.Saved{Video: "v.mp4", Seconds: 4000})
	lines := strings.Split(strings.TrimSpace(errs.String()), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines, want one of steps, one of frames and the end:\n%s", len(lines), errs.String())
	}
	for i, want := range []string{"step 81/81", "decoded 81/81", "done in"} {
		shown := strings.Split(lines[i], "\r")
		if last := shown[len(shown)-1]; !strings.Contains(last, want) {
			t.Errorf("line %d ends with %q, want %q", i, last, want)
		}
		for _, text := range shown {
			if n := utf8.RuneCountInString(text); n > 80 {
				t.Errorf("%d columns: %q", n, text)
			}
		}
	}
	if !strings.Contains(out.String(), "v.mp4") {
		t.Errorf("the video is not named:\n%s", out.String())
	}
}
