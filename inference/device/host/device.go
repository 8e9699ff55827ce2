package host

import (
	"context"
	"fmt"
	"sync"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// Memory is a piece of a device's memory.
type Memory interface {
	Bytes() []byte // as the host sees it; may be longer than the buffer
}

// Device is the host's side of a device with memory of type M.
type Device[M Memory] struct {
	name  string
	limit int64
	free  func(m M, counted int64)
	turn  chan struct{} // holds one token while a submission runs

	mu        sync.Mutex // guards what follows
	live      map[*Buffer[M]]bool
	allocated int64
	peak      int64
	closed    bool
}

// New returns a device whose errors begin with name, and that hands out at most
// limit bytes. It calls free once for the memory of every buffer, with the bytes
// that count as allocated, 0 for a mapped one; one call at a time.
func New[M Memory](name string, limit int64, free func(m M, counted int64)) *Device[M] {
	return &Device[M]{name: name, limit: limit, free: free, turn: make(chan struct{}, 1), live: map[*Buffer[M]]bool{}}
}

// What follows is what device.Device asks and most devices do not need: their buffers take
// their own bytes, released memory is not kept, and the program's memory is not counted.

// AllocSize implements device.Device.
func (*Device[M]) AllocSize(n int64) int64 { return n }

// Trim implements device.Device.
func (*Device[M]) Trim() {}

// Hold implements device.Device.
func (*Device[M]) Hold(int64) {}

// Limit returns the most bytes that New allows.
func (d *Device[M]) Limit() int64 { return d.limit }

// Held returns the bytes that are allocated now, and that were at most.
func (d *Device[M]) Held() (now, peak int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.allocated, d.peak
}

// Locked calls f while no memory is provided or given back.
func (d *Device[M]) Locked(f func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f()
}

// Submit runs f, one submission after the other, unless ctx ends before its turn
// or the device is closed: device.Device's Do. Errors begin with label.
func (d *Device[M]) Submit(ctx context.Context, label string, f func() error) error {
	if err := d.submit(ctx, f); err != nil {
		return fmt.Errorf("%s: %w", label, err)
	}
	return nil
}

func (d *Device[M]) submit(ctx context.Context, f func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case d.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.turn }()
	if err := d.open(); err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	if err := mapped.Lost(); err != nil {
		return err
	}
	err := f()
	if lost := mapped.Lost(); lost != nil { // what it came to is not to be believed
		return lost
	}
	return err
}

func (d *Device[M]) open() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.lost()
}

// lost is an error once the device is closed; d.mu is held.
func (d *Device[M]) lost() error {
	if d.closed {
		return fmt.Errorf("the device is closed: %w", device.ErrDeviceLost)
	}
	return nil
}

// Shut waits for the running submission, releases the buffers that were not, and
// then calls last. A second call does nothing.
func (d *Device[M]) Shut(last func()) {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return
	}
	d.closed = true
	left := make([]*Buffer[M], 0, len(d.live))
	for b := range d.live {
		left = append(left, b)
	}
	d.mu.Unlock()
	for _, b := range left {
		b.Release()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	last()
}
