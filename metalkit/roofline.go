package metalkit

import (
	"context"
	"math"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/dry"
	"gimbal/metalkit/internal/roofline"
)

// Chip is what is public of an Apple GPU.
type Chip = roofline.Chip

// Chips returns the chips that are known here, with their largest GPU.
func Chips() []Chip { return roofline.Chips() }

// FindChip returns the chip called name, with or without "Apple" before it.
func FindChip(name string) (chip Chip, ok bool) { return roofline.Find(name) }

// Roofline is a dry device that runs nothing: it plans every dispatch as a Mac's GPU of a
// chip would get it, by the fixed variants, and tells what the dispatches take at the peak.
type Roofline struct {
	*gpu
	events []Event
}

// Event is one call of a device's methods that does work.
type Event struct {
	Name           string  // the label of a Do, "Write" or "Read"
	CommandBuffers int     // of a Do, each of which the host waits for
	Longest        float64 // seconds of the longest command buffer; an end of the context waits for no more
	Operations     []Operation
}

// Operation is one operation of a Do with its dispatches.
type Operation struct {
	Kind string // such as "Linear"
	// Sizes are Linear's rows, inner and outer columns, Attention's queries, keys,
	// columns of a head and heads, Conv's frames, pixels, inner and outer columns, and
	// the rows and columns of the others.
	Sizes      [4]int
	Kernel     string      // of the dispatch with the most work
	Dispatches int         // of its parts, too, if it is cut into several command buffers
	Least      device.Cost // of the whole
	// Moved is how many bytes come from and go to memory: what threadgroups read
	// twice counts twice, unless the chip's cache has it. That is counted on twice over:
	// threadgroups that run at once read together what they share, and what a swizzle
	// makes them use again soon, a band of a matrix, a head's keys and values or the
	// frames under a filter, is kept if it fits three quarters of the system-level
	// cache; if it does not, all of it is read again. An operation that is cut into
	// several command buffers reads anew what they share.
	Moved int64
	// Occupancy is the share of the chip's lanes that compute what is asked for:
	// tiles reach beyond the edges of matrices, and the last threadgroups do not fill
	// all cores.
	Occupancy float64
	// Seconds are those at the chip's peak, of arithmetic at this occupancy or of the
	// memory's bandwidth, whichever takes longer.
	Seconds float64
}

// OpenRoofline returns the device for chip, which multiplies in compute.
func OpenRoofline(chip Chip, compute device.DType) (*Roofline, error) {
	d, err := open(dry.New(planLimits(chip)), Options{Compute: compute})
	if err != nil {
		return nil, err
	}
	d.chip, d.cache = chip, chip.CacheBudget()
	return &Roofline{gpu: d}, nil
}

// planLimits are those of a chip that a plan needs: memory has none.
func planLimits(chip Chip) driver.Limits {
	return driver.Limits{
		Name: chip.Name, WorkingSet: math.MaxInt64 / 2, MaxThreads: 1024, MaxShared: 32 << 10,
		Matmul2D:           chip.Speedup() > 1,
		CommandBufferFLOPs: driver.DefaultCommandBufferFLOPs,
	}
}

// Take returns what has happened since the last call.
func (r *Roofline) Take() []Event {
	taken := r.events
	r.events = nil
	return taken
}

// Do plans what f records.
func (r *Roofline) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return r.gpu.Do(ctx, label, func(e device.Encoder) {
		f(e)
		if r.enc.err == nil {
			r.events = append(r.events, r.event(label, r.enc.plan))
		}
	})
}

// Info implements device.Device.
func (r *Roofline) Info() device.Info {
	info := r.gpu.Info()
	info.Dry = true
	return info
}

// Map returns a buffer of no memory; mem may be nil.
func (r *Roofline) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	b, err := r.Provide(desc, 0, func(int64) (memory, error) { return memory{Memory: driver.Memory{Handle: 1}}, nil })
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Write notes that the host writes.
func (r *Roofline) Write(ctx context.Context, _ device.Buffer, _ []byte) error {
	r.events = append(r.events, Event{Name: "Write"})
	return ctx.Err()
}

// Read notes that the host reads; dst stays as it is.
func (r *Roofline) Read(ctx context.Context, _ []byte, _ device.Buffer) error {
	r.events = append(r.events, Event{Name: "Read"})
	return ctx.Err()
}

// event gathers the dispatches of each operation, and of each command buffer.
func (r *Roofline) event(label string, plan []planned) Event {
	event := Event{Name: label}
	number, longest, end, commandBuffer := 0, 0.0, 0, 0.0
	for i, p := range plan {
		if i == end {
			end, commandBuffer = r.endOfCommandBuffer(plan, i), 0
			event.CommandBuffers++
		}
		if p.number != number {
			number, longest = p.number, -1
			event.Operations = append(event.Operations, Operation{Kind: p.op})
		}
		seconds, occupancy := r.chip.Time(roofline.Dispatch{
			Groups: p.groups[0] * p.groups[1] * p.groups[2], Threads: p.threads, FLOPs: p.flops(), Matmul2D: p.matmul2d, Useful: p.useful, Bytes: p.moved,
		})
		commandBuffer += seconds
		event.Longest = max(event.Longest, commandBuffer)
		o := &event.Operations[len(event.Operations)-1]
		o.Dispatches++
		o.Least = o.Least.Plus(p.least)
		o.Moved += p.moved
		o.Seconds += seconds
		if seconds > longest {
			longest, o.Kernel, o.Sizes, o.Occupancy = seconds, p.kernel, p.sizes, occupancy
		}
	}
	return event
}
