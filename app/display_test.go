//go:build !headless && !darwin

package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestDeadDisplay says in a sentence why no window opens.
func TestDeadDisplay(t *testing.T) {
	for _, c := range []struct{ display, wayland, want string }{
		{":987", "", "DISPLAY=:987"}, {"nonsense", "", "DISPLAY=nonsense"}, {"localhost:987", "", "DISPLAY=localhost:987"}, {"", "wayland-0", "Xwayland"},
	} {
		cmd := exec.Command(program)
		cmd.Env = append(os.Environ(), "DISPLAY="+c.display, "WAYLAND_DISPLAY="+c.wayland, "HOME="+t.TempDir())
		var errs bytes.Buffer
		cmd.Stderr = &errs
		cmd.Run() // its exit code is what counts
		if code, lines := cmd.ProcessState.ExitCode(), strings.Count(errs.String(), "\n"); code != exitUsage || lines != 1 || !strings.Contains(errs.String(), c.want) {
			t.Errorf("%+v: exit code %d, %d lines\n%s", c, code, lines, errs.String())
		}
	}
}
