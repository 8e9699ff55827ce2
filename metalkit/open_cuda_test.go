//go:build cuda

package metalkit

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// untimed chooses variants as the software driver does, so that the same ones are tested.
type untimed struct{ *cudaDriver }

func (d untimed) limits() limits {
	l := d.cudaDriver.limits()
	l.timed = false
	return l
}

// openTest returns the device over the NVIDIA GPU.
func openTest(tb testing.TB, opts Options) device.Device {
	tb.Helper()
	drv, err := newCUDADriver()
	if err != nil {
		tb.Fatal(err)
	}
	dev, err := open(untimed{drv}, opts)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

func TestCUDAInfo(t *testing.T) {
	drv, err := newCUDADriver()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.close()
	available, total, err := drv.gpu.Room()
	t.Logf("%+v, %d of %d bytes free, %v", drv.info, available, total, err)
	dev, err := OpenCUDA(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", dev.Info())
	if err := dev.Close(); err != nil {
		t.Error(err)
	}
}

// TestCUDALoad compiles every kernel for the GPU, and says what it takes.
func TestCUDALoad(t *testing.T) {
	drv, err := newCUDADriver()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.close()
	var group sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, name := range kernels.Names() {
		for aligned := range uint32(2) {
			group.Go(func() {
				turn <- struct{}{}
				defer func() { <-turn }()
				start := time.Now()
				k, err := drv.load(specialisation{kernel: name, constants: constants{a: 1, b: 1, c: 1, y: 1, flags: 1, aligned: aligned}})
				if err != nil {
					t.Errorf("%s: %v", name, err)
					return
				}
				took := time.Since(start)
				registers, local, err := drv.gpu.Uses(k)
				drv.gpu.Unload(k)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				}
				t.Logf("%s, aligned %d: %d registers, %d bytes of local memory, %d ms", name, aligned, registers, local, took.Milliseconds())
			})
		}
	}
	group.Wait()
}

// TestCUDAMemory asks for more than there is, and has none left over at the end.
func TestCUDAMemory(t *testing.T) {
	drv, err := newCUDADriver()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.close()
	if _, err := drv.alloc(1 << 50); err == nil {
		t.Error("a petabyte is there")
	} else {
		t.Log(err)
	}
	before, _, err := drv.gpu.Room()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		m, err := drv.alloc(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		drv.free(m)
	}
	if after, _, err := drv.gpu.Room(); err != nil || after != before {
		t.Errorf("%d bytes are free, before it were %d, %v", after, before, err)
	}
}
