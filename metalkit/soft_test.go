//go:build !darwin

package metalkit

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver/soft"
	"gimbal/metalkit/internal/tune"
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

// TestMatmul2DApart has the weights of attention by matmul2d, which lie where the next product does not
// want them, go through threadgroup memory, and starts with the last threads.
func TestMatmul2DApart(t *testing.T) {
	t.Parallel()
	for _, c := range computes {
		for i, v := range tables()[c.dtype].attention {
			if !v.matmul2d || testing.Short() && c.dtype == device.F16 {
				continue
			}
			t.Run(c.name+"/"+v.name, func(t *testing.T) {
				t.Parallel()
				drv, err := soft.New(1, true)
				if err != nil {
					t.Fatal(err)
				}
				drv.Lay(soft.Apart)
				conforms(t, openOver(t, drv, Options{Compute: c.dtype}), forced{tune.Attention, i}, "Attention", c.bound)
			})
		}
	}
}
