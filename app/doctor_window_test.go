//go:build !headless && !darwin

package main

import (
	"strings"
	"testing"

	"gimbal/app/internal/x11test"
)

// TestDoctorWindow opens the real window for a second, and leaves the user's folders alone.
func TestDoctorWindow(t *testing.T) {
	x := x11test.Start(t, 1280, 840)
	r := examination(t, program, "", "--parts", "window")
	r.Env = append(r.Env, "DISPLAY="+x.Display, "LIBGL_ALWAYS_SOFTWARE=1")
	if err := r.Run(); err != nil || !strings.Contains(r.out.String(), "window       ok ") {
		t.Errorf("%v\n%s\n%s", err, r.out.String(), r.bundle(t))
	}
}
