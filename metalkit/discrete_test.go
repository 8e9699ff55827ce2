//go:build !darwin && !cuda

package metalkit

import (
	"sync"
	"testing"

	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/soft"
)

// far is the software driver with memory that the host does not see, as that of a GPU of its own.
type far struct {
	*soft.Driver
	mu   sync.Mutex
	host map[uintptr][]byte
}

var _ driver.Discrete = (*far)(nil)

func (d *far) Alloc(size int64) (driver.Memory, error) {
	m, err := d.Driver.Alloc(size)
	if err != nil {
		return m, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.host[m.Handle] = m.Host
	return driver.Memory{Handle: m.Handle}, nil
}

func (d *far) Alias([]byte) (driver.Memory, bool) { return driver.Memory{}, false }

func (d *far) Free(m driver.Memory) {
	m.Host = d.of(m)
	d.mu.Lock()
	delete(d.host, m.Handle)
	d.mu.Unlock()
	d.Driver.Free(m)
}

func (d *far) of(m driver.Memory) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.host[m.Handle]
}

func (d *far) Zero(m driver.Memory, size int64) error {
	clear(d.of(m)[:size])
	return nil
}

func (d *far) Write(m driver.Memory, at int64, src []byte) error {
	copy(d.of(m)[at:], src)
	return nil
}

func (d *far) Read(dst []byte, m driver.Memory, at int64) error {
	copy(dst, d.of(m)[at:])
	return nil
}

// TestDiscrete runs what deals with memory, and all kinds of weights, on a GPU whose memory the host
// does not see.
func TestDiscrete(t *testing.T) {
	t.Parallel()
	devicetest.Run(t, openFar(t), devicetest.Options{Product: productBound, Parallel: true, Parts: []string{
		"Buffers", "Submissions", "Mistakes", "Linear", "Quantised", "Gather", "Move"}})
}

// TestLostBesides is TestLost of devices that only the software driver makes.
func TestLostBesides(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) *gpu{
		"far":      openFar,
		"backward": func(t *testing.T) *gpu { return openSoft(t, 1, true, Options{}) },
	} {
		t.Run(name, func(t *testing.T) {
			devicetest.Run(t, open(t), devicetest.Options{Product: productBound, Parts: []string{"Lost"}})
		})
	}
}

func openFar(t *testing.T) *gpu {
	t.Helper()
	drv, err := soft.New(2, false)
	if err != nil {
		t.Fatal(err)
	}
	return openOver(t, &far{Driver: drv, host: map[uintptr][]byte{}}, Options{})
}
