package metalkit

import (
	"context"
	"errors"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// A plan of dispatches runs as command buffers, each of which the host waits for: between
// two of them the end of a context is heard. How much goes into one is the work that the
// limits allow, at the speed that was measured. Where the system stops one, what it had
// under way is run again if that can be, dispatch by dispatch; else whoever submitted it is told.

// submit runs the plan of e in as few command buffers as that takes, or each dispatch in
// one where ran is to be told of each.
func (d *gpu) submit(ctx context.Context, label string, e *encoder, ran func(device.Launch)) error {
	release, err := e.acquire()
	if err != nil {
		return err
	}
	defer release()
	for first := 0; first < len(e.dispatches); {
		if err := ctx.Err(); err != nil {
			return err
		}
		end := first + 1
		if ran == nil {
			end = d.endOfCommandBuffer(e.plan, first)
		}
		seconds, err := d.run(ctx, label, e, first, end)
		if err != nil {
			return err
		}
		if ran != nil {
			ran(e.plan[first].launch(seconds))
		}
		first = end
	}
	return ctx.Err()
}

// run runs dispatches number first to end-1 as one command buffer, and learns how long such may be.
func (d *gpu) run(ctx context.Context, label string, e *encoder, first, end int) (seconds float64, err error) {
	seconds, err = d.try(ctx, label, e.dispatches[first:end])
	var stopped *driver.StoppedError
	if errors.As(err, &stopped) && repeatable(e.plan[first:end], e.dispatches[first:end]) {
		seconds, err = 0, nil
		for i := first; i < end && err == nil; i++ {
			var s float64
			s, err = d.try(ctx, label, e.dispatches[i:i+1])
			seconds += s
		}
	}
	if err == nil && d.limits.Timed {
		work := 0.0
		for _, p := range e.plan[first:end] {
			work += d.shareOfCommandBuffer(p)
		}
		d.pace.learn(work, seconds)
	}
	return seconds, err
}

// try runs dispatches as one command buffer, and notes what its failure means for the next.
func (d *gpu) try(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	if d.lost != nil {
		return 0, d.lost
	}
	seconds, err := d.watch.run(ctx, label, dispatches)
	var stopped *driver.StoppedError
	switch {
	case errors.As(err, &stopped):
		if stopped.TooLong {
			d.pace.halve()
		}
		d.log.Warn("the system stopped work on the GPU", "label", label, "too long", stopped.TooLong, "error", stopped.Text)
	case errors.Is(err, device.ErrDeviceLost):
		d.lost = err
	}
	return seconds, err
}

// repeatable reports whether dispatches that were stopped on their way may run again: none of
// them writes to memory that it, or one before it, reads.
func repeatable(plan []planned, dispatches []driver.Dispatch) bool {
	read := map[uintptr]bool{}
	for i, c := range dispatches {
		to := int(c.Buffers) - 1
		for j, from := range c.Bind[:to] {
			if plan[i].absent>>j&1 == 0 {
				read[from.Handle] = true
			}
		}
		if read[c.Bind[to].Handle] {
			return false
		}
	}
	return true
}

// endOfCommandBuffer returns where the command buffer ends that begins with dispatch
// number first: before the one whose work is too much, but for the first.
func (d *gpu) endOfCommandBuffer(plan []planned, first int) int {
	if d.limits.CommandBufferFLOPs == 0 {
		return len(plan)
	}
	end, share, most := first+1, d.shareOfCommandBuffer(plan[first]), d.pace.of()
	for end < len(plan) && share+d.shareOfCommandBuffer(plan[end]) <= most {
		share += d.shareOfCommandBuffer(plan[end])
		end++
	}
	return end
}

// shareOfCommandBuffer is how much p is of what a command buffer could do at the chip's
// peak; 1 is all.
func (d *gpu) shareOfCommandBuffer(p planned) float64 {
	share := p.productFLOPs / d.limits.CommandBufferFLOPs
	if p.matmul2d {
		share /= d.chip.Speedup()
	}
	if p.useful > 0 {
		share /= p.useful
	}
	if d.bytes > 0 {
		share = max(share, float64(p.moved)/d.bytes)
	}
	return share
}

// flopsOfCommandBuffer is how much one may compute; 0 for no limit. Who counts memory is told
// the most that it ever may be.
func (e *encoder) flopsOfCommandBuffer() float64 {
	if e.counts {
		return e.dev.limits.CommandBufferFLOPs
	}
	return e.dev.limits.CommandBufferFLOPs * e.dev.pace.of()
}

// bytesOfCommandBuffer is how much one may move; 0 for no limit.
func (e *encoder) bytesOfCommandBuffer() float64 { return e.dev.bytes * e.dev.pace.of() }

// rowsOfCommandBuffer returns how many of an operation's rows go into one command buffer;
// flops is the work of all.
func (e *encoder) rowsOfCommandBuffer(rows int, flops int64) int {
	most := e.flopsOfCommandBuffer()
	if most == 0 || float64(flops) <= most {
		return rows
	}
	return max(splitRows, int(float64(rows)*most/float64(flops))/splitRows*splitRows)
}
