package metalkit

import (
	"context"
	"fmt"
	"math"

	"gimbal/inference/device"
)

// Paper is a dry device that runs nothing: it plans every launch as a Mac's GPU of a chip
// would get it, by the fixed variants, and tells what the launches take.
type Paper struct {
	*gpu
	chip   Chip
	runs   *int // of the driver
	events []Event
}

// Event is one call of a device's methods that does work.
type Event struct {
	Name       string  // the label of a Do, "Write" or "Read"
	Runs       int     // of a Do, each of which the host waits for
	Longest    float64 // seconds of the longest run; an end of the context waits for no more
	Operations []Operation
}

// Operation is one operation of a Do with its launches.
type Operation struct {
	Kind string // such as "Linear"
	// Sizes are Linear's rows, inner and outer columns, Attention's queries, keys,
	// columns of a head and heads, Conv's frames, pixels, inner and outer columns, and
	// the rows and columns of the others.
	Sizes    [4]int
	Kernel   string      // of the launch with the most work
	Launches int         // of its parts, too, if it is cut into several runs
	Least    device.Cost // of the whole
	// Moved is how many bytes come from and go to memory: what threadgroups read
	// twice counts twice, unless the chip's cache has it. That is counted on twice over:
	// threadgroups that run at once read together what they share, and what an order
	// of threadgroups is made to use again soon, a band of a matrix, a head's keys and
	// values or the frames under a filter, is kept if it fits three quarters of the
	// system-level cache; if it does not, all of it is read again. An operation that is
	// cut into several runs reads anew what they share.
	Moved int64
	// Occupancy is the share of the chip's lanes that compute what is asked for:
	// tiles reach beyond the edges of matrices, and the last threadgroups do not fill
	// all cores.
	Occupancy float64
	// Seconds are those at the chip's peak, of arithmetic at this occupancy or of the
	// memory's bandwidth, whichever takes longer.
	Seconds float64
}

// OpenPaper returns the device for chip.
func OpenPaper(chip Chip, compute device.DType) (*Paper, error) {
	runs := new(int)
	dev, err := open(paperDriver{chip.Name, runs}, Options{Compute: compute})
	if err != nil {
		return nil, err
	}
	p := &Paper{gpu: dev.(*gpu), chip: chip, runs: runs}
	p.gpu.chip, p.gpu.cache = chip, chip.kept()
	p.gpu.observe = func(label string, notes []note) {
		p.events = append(p.events, Event{Name: label, Longest: p.longest(notes), Operations: p.operations(notes)})
	}
	return p, nil
}

// Take returns what has happened since the last call.
func (p *Paper) Take() []Event {
	taken := p.events
	p.events = nil
	return taken
}

// Do plans what f records.
func (p *Paper) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	before := *p.runs
	err := p.gpu.Do(ctx, label, f)
	if n := len(p.events); err == nil && n > 0 {
		p.events[n-1].Runs = *p.runs - before
	}
	return err
}

// Info implements device.Device.
func (p *Paper) Info() device.Info {
	info := p.gpu.Info()
	info.Dry = true
	return info
}

// Map returns a buffer of no memory; mem may be nil.
func (p *Paper) Map(desc device.Desc, _ []byte, _ func()) (device.Buffer, error) {
	b, err := p.Provide(desc, 0, func(int64) (memory, error) { return memory{handle: 1}, nil })
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Write notes that the host writes.
func (p *Paper) Write(ctx context.Context, _ device.Buffer, _ []byte) error {
	p.events = append(p.events, Event{Name: "Write"})
	return ctx.Err()
}

// Read notes that the host reads; dst stays as it is.
func (p *Paper) Read(ctx context.Context, _ []byte, _ device.Buffer) error {
	p.events = append(p.events, Event{Name: "Read"})
	return ctx.Err()
}

// operations gathers the launches of each operation.
func (p *Paper) operations(notes []note) []Operation {
	var list []Operation
	number, busiest := 0, 0.0
	for _, n := range notes {
		if n.number != number {
			number, busiest = n.number, -1
			list = append(list, Operation{Kind: n.op})
		}
		o := &list[len(list)-1]
		seconds, occupancy := p.seconds(n)
		o.Launches++
		o.Least = o.Least.Plus(n.least)
		o.Moved += n.moved
		o.Seconds += seconds
		if seconds > busiest {
			busiest, o.Kernel, o.Sizes, o.Occupancy = seconds, n.kernel, n.sizes, occupancy
		}
	}
	return list
}

// longest is how long the longest of the runs takes that the launches are cut into.
func (p *Paper) longest(notes []note) (longest float64) {
	for first := 0; first < len(notes); {
		run, last := 0.0, p.gpu.endOfRun(notes, first)
		for _, n := range notes[first:last] {
			seconds, _ := p.seconds(n)
			run += seconds
		}
		longest, first = max(longest, run), last
	}
	return longest
}

// seconds is how long n takes, and at which occupancy it computes.
func (p *Paper) seconds(n note) (seconds, occupancy float64) {
	waves := float64(n.groups[0]*n.groups[1]*n.groups[2]) / float64(p.chip.resident(n.threads))
	occupancy = waves / math.Ceil(waves)
	if n.area > 0 {
		occupancy *= n.area
	}
	return max(n.flops()/p.chip.FLOPS()/occupancy, float64(n.moved)/p.chip.Bandwidth), occupancy
}

// paperDriver has no memory and runs nothing.
type paperDriver struct {
	chip string
	runs *int
}

func (d paperDriver) limits() limits {
	return limits{name: d.chip, workingSet: math.MaxInt64 / 2, work: workOfRun, maxThreads: 1024, maxShared: 32 << 10}
}

func (paperDriver) alloc(int64) (memory, error)            { return memory{handle: 1}, nil }
func (paperDriver) alias([]byte) (memory, bool)            { return memory{handle: 1}, true }
func (paperDriver) free(memory)                            {}
func (paperDriver) pipeline(specialisation) (int32, error) { return 0, nil }
func (paperDriver) close()                                 {}
func (d paperDriver) run(context.Context, string, []call) (float64, error) {
	*d.runs++
	return 0, nil
}

func (paperDriver) capture(string) (func() error, error) {
	return nil, fmt.Errorf("a paper device has nothing to capture: %w", device.ErrUnsupported)
}
