package metalkit

import (
	"maps"
	"sync"
	"time"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// preparation is what there is to do until the GPU runs every operation by the fastest
// kernels: to compile them, beside the run where the driver can, and to time them.
type preparation struct {
	eager bool // nothing is beside the run
	tell  func(device.Preparation)
	began time.Time
	told  device.Preparation

	mu          sync.Mutex // guards what follows
	contests    map[tune.Shape]*contest
	submission  int
	done, total int
	made        int // pipelines beside the run
}

// contest is one of variants at a shape.
type contest struct {
	seen  int                            // the submission that had the shape first
	begun map[driver.Specialisation]bool // what is made, or in the making
	ready chan struct{}                  // closed when that is there; nil before it began
}

// OnPreparation implements device.Preparer.
func (d *gpu) OnPreparation(tell func(device.Preparation)) {
	d.Locked(func() { d.prepare.tell = tell })
}

// prepared notes that one more thing of those that were begun is done.
func (d *gpu) prepared() {
	p := &d.prepare
	p.mu.Lock()
	p.done++
	p.mu.Unlock()
}

// toPrepare notes that n more things are begun.
func (d *gpu) toPrepare(n int) {
	p := &d.prepare
	p.mu.Lock()
	p.total += n
	p.mu.Unlock()
}

// tellPreparation tells how far it is, if that has changed.
func (d *gpu) tellPreparation() {
	p := &d.prepare
	p.mu.Lock()
	now := device.Preparation{Done: p.done, Total: p.total}
	p.mu.Unlock()
	if p.tell == nil || now.Total == 0 || now.Done == p.told.Done && now.Total == p.told.Total {
		return
	}
	now.Seconds = time.Since(p.began).Seconds()
	p.told = now
	p.tell(now)
}

// ready reports whether a's variants are to be timed now. At a shape's first submission they
// are not; from the next on their pipelines are made.
func (e *encoder) ready(a *autotune) bool {
	d, p := e.dev, &e.dev.prepare
	p.mu.Lock()
	if p.contests == nil {
		p.contests, p.began = map[tune.Shape]*contest{}, time.Now()
	}
	c := p.contests[a.shape]
	if c == nil {
		c = &contest{seen: p.submission}
		p.contests[a.shape] = c
	}
	late := p.submission > c.seen
	p.mu.Unlock()
	if !late || c.ready != nil && !closed(c.ready) {
		return false
	}
	e.makeReady(a, c)
	d.tellPreparation()
	return closed(c.ready)
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// makeReady makes the pipelines of a's variants that c has not begun and closes c.ready then: at once,
// or beside the run where the driver makes several at a time. An operation of the same shape with
// operands of other types has pipelines of its own.
func (e *encoder) makeReady(a *autotune, c *contest) {
	d := e.dev
	missing := map[driver.Specialisation]bool{}
	for _, candidate := range a.candidates {
		each := e.beside()
		each.lacks = missing
		a.benchmark(each, candidate.Variant)
	}
	maps.DeleteFunc(missing, func(s driver.Specialisation, _ bool) bool { return c.begun[s] })
	if len(missing) == 0 && c.ready != nil {
		return
	}
	if c.begun == nil {
		c.begun = map[driver.Specialisation]bool{}
	}
	maps.Copy(c.begun, missing)
	ready := make(chan struct{})
	c.ready = ready
	d.toPrepare(len(missing))
	turn := make(chan struct{}, max(1, d.limits.Compilers))
	var group sync.WaitGroup
	for s := range missing {
		compile := func() {
			turn <- struct{}{}
			d.pipeline(s) // what fails is told when it is recorded
			d.prepare.mu.Lock()
			d.prepare.made++
			d.prepare.mu.Unlock()
			<-turn
			d.prepared()
		}
		if d.limits.Compilers > 0 {
			group.Go(compile)
		} else {
			compile()
		}
	}
	if d.prepare.eager || d.limits.Compilers == 0 {
		group.Wait()
		close(ready)
		return
	}
	d.behind.Add(1)
	go func() {
		defer d.behind.Done()
		group.Wait()
		close(ready)
	}()
}
