package metalkit

import (
	"context"

	"gimbal/inference/device"
)

// A plan of dispatches runs as command buffers, each of which the host waits for: between
// two of them the end of a context is heard. How much goes into one is the work that the
// limits allow.

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
		seconds, err := d.drv.Run(ctx, label, e.dispatches[first:end])
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

// endOfCommandBuffer returns where the command buffer ends that begins with dispatch
// number first: before the one whose work is too much, but for the first.
func (d *gpu) endOfCommandBuffer(plan []planned, first int) int {
	if d.limits.CommandBufferFLOPs == 0 {
		return len(plan)
	}
	end, share := first+1, d.shareOfCommandBuffer(plan[first])
	for end < len(plan) && share+d.shareOfCommandBuffer(plan[end]) <= 1 {
		share += d.shareOfCommandBuffer(plan[end])
		end++
	}
	return end
}

// shareOfCommandBuffer is how much of the work of a command buffer p is; 1 is all.
func (d *gpu) shareOfCommandBuffer(p planned) float64 {
	share := p.productFLOPs / d.limits.CommandBufferFLOPs
	if p.useful > 0 {
		share /= p.useful
	}
	if d.bytes > 0 {
		share = max(share, float64(p.moved)/d.bytes)
	}
	return share
}

// rowsOfCommandBuffer returns how many of an operation's rows go into one command buffer;
// flops is the work of all.
func (d *gpu) rowsOfCommandBuffer(rows int, flops int64) int {
	most := d.limits.CommandBufferFLOPs
	if most == 0 || float64(flops) <= most {
		return rows
	}
	return max(splitRows, int(float64(rows)*most/float64(flops))/splitRows*splitRows)
}
