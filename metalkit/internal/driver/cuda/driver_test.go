//go:build cuda

package cuda

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/kernels"
)

func TestInfo(t *testing.T) {
	drv, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	available, total, err := drv.gpu.Room()
	t.Logf("%+v, %d of %d bytes free, %v", drv.info, available, total, err)
}

// TestLoad compiles every kernel for the GPU, and says what it takes.
func TestLoad(t *testing.T) {
	drv, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	var group sync.WaitGroup
	turn := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, name := range kernels.Names(kernels.Metal3) {
		for aligned := range uint32(2) {
			group.Go(func() {
				turn <- struct{}{}
				defer func() { <-turn }()
				start := time.Now()
				k, err := drv.load(driver.Specialisation{Kernel: name, Constants: driver.Constants{A: 1, B: 1, C: 1, Y: 1, Flags: 1, Aligned: aligned}})
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

// TestMemory asks for more than there is, and has none left over at the end.
func TestMemory(t *testing.T) {
	drv, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer drv.Close()
	if _, err := drv.Alloc(1 << 50); err == nil {
		t.Error("a petabyte is there")
	} else {
		t.Log(err)
	}
	before, _, err := drv.gpu.Room()
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		m, err := drv.Alloc(1 << 30)
		if err != nil {
			t.Fatal(err)
		}
		drv.Free(m)
	}
	if after, _, err := drv.gpu.Room(); err != nil || after != before {
		t.Errorf("%d bytes are free, before it were %d, %v", after, before, err)
	}
}
