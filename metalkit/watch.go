package metalkit

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// How long a command buffer may take: without the end of a context, with weights coming from a
// slow disk and other programs on the GPU; and after it.
const (
	patience       = 2 * time.Minute
	patienceAtLast = 10 * time.Second
)

// watch runs command buffers on a goroutine of its own, so that one which never ends can be
// given up.
type watch struct {
	drv    driver.Driver
	calls  chan call   // nil before the first one
	ran    chan answer // of the call under way
	timer  *time.Timer
	gaveUp atomic.Bool
}

type call struct {
	ctx        context.Context
	label      string
	dispatches []driver.Dispatch
}

type answer struct {
	seconds float64
	err     error
}

// start starts the goroutine.
func (w *watch) start() {
	calls, ran := make(chan call), make(chan answer, 1)
	w.calls, w.ran, w.timer = calls, ran, time.NewTimer(patience)
	go func() {
		for c := range calls {
			seconds, err := w.drv.Run(c.ctx, c.label, c.dispatches)
			ran <- answer{seconds, err}
		}
	}()
}

// run is driver.Driver's Run. Where the GPU does not answer it fails with
// device.ErrDeviceLost; the driver and the dispatches are then never to be used again.
func (w *watch) run(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	if w.calls == nil {
		w.start()
	}
	w.calls <- call{ctx, label, dispatches}
	began, ended := time.Now(), ctx.Done()
	w.timer.Reset(patience)
	for {
		select {
		case a := <-w.ran:
			return a.seconds, a.err
		case <-ended:
			ended = nil
			w.timer.Reset(patienceAtLast)
		case <-w.timer.C:
			w.gaveUp.Store(true)
			return 0, fmt.Errorf("the GPU has not answered for %d seconds; quit Gimbal, restart the Mac if the screen is stuck, and resume the run: %w",
				int(time.Since(began).Seconds()), device.ErrDeviceLost)
		}
	}
}

// close ends the goroutine.
func (w *watch) close() {
	if w.calls != nil {
		close(w.calls)
	}
}
