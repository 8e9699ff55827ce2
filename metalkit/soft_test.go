//go:build !darwin

package metalkit

import (
	"testing"

	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver/soft"
)

// openSoft returns the device over a software driver of so many workers.
func openSoft(tb testing.TB, workers int, backward bool, opts Options) *gpu {
	tb.Helper()
	drv, err := soft.New(workers, backward)
	if err != nil {
		tb.Fatal(err)
	}
	return openOver(tb, drv, opts)
}

// TestBackward starts the threads of every threadgroup with the last one, and the
// threadgroups, too: what a barrier should keep apart shows, and what one threadgroup
// writes of another's results.
func TestBackward(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, openSoft(t, 1, true, Options{}), devicetest.Options{Product: productBound, Parallel: true})
}
