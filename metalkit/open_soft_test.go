//go:build !darwin && !cuda

package metalkit

import (
	"runtime"
	"testing"
)

// openTest returns the device over the software driver.
func openTest(tb testing.TB, opts Options) *gpu {
	tb.Helper()
	return openSoft(tb, runtime.GOMAXPROCS(0), false, opts)
}
