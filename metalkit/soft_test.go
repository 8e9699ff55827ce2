//go:build !darwin

package metalkit

import (
	"fmt"
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

// TestMatmul2DRegisters has the weights of attention by matmul2d stay in registers where the next product
// wants them there, and go through threadgroup memory where it does not. It starts with the last threads.
func TestMatmul2DRegisters(t *testing.T) {
	t.Parallel()
	for _, c := range computes {
		for i, v := range tables()[c.dtype].attention {
			if !v.matmul2d || testing.Short() && c.dtype == device.F16 {
				continue
			}
			for _, r := range []soft.Registers{soft.Together, soft.Apart} {
				t.Run(fmt.Sprint(c.name, "/", v.name, " ", r), func(t *testing.T) {
					t.Parallel()
					drv, err := soft.New(1, true)
					if err != nil {
						t.Fatal(err)
					}
					drv.Lay(r)
					dev := openOver(t, drv, Options{Compute: c.dtype})
					by := forcedDevice{dev, forced{tune.Attention, i}}
					q, k, o := allocMat(t, dev, device.F32, 70, 2*v.width), allocMat(t, dev, c.dtype, 97, 2*v.width), allocMat(t, dev, device.F32, 70, 2*v.width)
					err = by.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Attention{Q: q, K: k, V: k, O: o, Heads: 2, Scale: 1}) })
					if passes := drv.Passes(); err != nil || (passes > 0) != (r == soft.Apart) {
						t.Errorf("weights went through threadgroup memory by %d threads, %v", passes, err)
					}
					conforms(t, dev, by.forced, "Attention", c.bound)
				})
			}
		}
	}
}
