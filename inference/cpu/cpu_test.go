package cpu

import (
	"bytes"
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

func TestDevice(t *testing.T) {
	devicetest.Run(t, open(t, 3).Device, devicetest.Options{})
}

// work returns one operation of each kind that BLAS, or loops in its place, do, and its results.
func work(r rig, scale int) map[string]struct {
	op  func(device.Encoder)
	out device.Buffer
} {
	const f32, c = device.F32, 96
	m := 1100 * scale
	wq, wo := r.mat(f32, m, 256), device.AsMat(r.zeros(f32, m, 256))
	x, y, w := r.mat(f32, m, 512), device.AsMat(r.zeros(f32, m, 3000)), r.mat(device.BF16, 3000, 512)
	q, o := r.mat(f32, m, c), device.AsMat(r.zeros(f32, m, c))
	px, py := r.buffer(f32, scale, 40, 50, c), r.zeros(f32, scale, 40, 50, c)
	filters := r.mat(f32, c, c*27)
	type result = struct {
		op  func(device.Encoder)
		out device.Buffer
	}
	return map[string]result{
		"Linear":     {func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) }, y.Buf},
		"Attention":  {func(e device.Encoder) { e.Record(device.Attention{Q: q, K: q, V: q, O: o, Heads: 3, Scale: 0.2}) }, o.Buf},
		"wide heads": {func(e device.Encoder) { e.Record(device.Attention{Q: wq, K: wq, V: wq, O: wo, Heads: 2, Scale: 0.1}) }, wo.Buf},
		"Conv": {func(e device.Encoder) {
			e.Record(device.Conv{X: device.AsFrames(px), Y: device.AsFrames(py), W: filters, KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1})
		}, py},
	}
}

func TestSameBitsForAnyNumberOfThreads(t *testing.T) {
	t.Run("own loops", testSameBits)
	defer func(products bool, head int) { wideProducts, wideHead = products, head }(wideProducts, wideHead)
	wideProducts, wideHead = false, 0
	t.Run("BLAS", testSameBits)
}

func testSameBits(t *testing.T) {
	want := map[string][]byte{}
	for _, threads := range []int{1, 2, 2, 5} {
		r := open(t, threads)
		for name, op := range work(r, 1) {
			r.do(op.op)
			got := bytes.Clone(op.out.(*buffer).Bytes())
			if want[name] == nil {
				want[name] = got
			} else if !bytes.Equal(got, want[name]) {
				t.Errorf("%s with %d threads differs from 1", name, threads)
			}
		}
	}
}

// TestCancelInsideAnOperation makes sure that an operation ends before its work is done, and soon.
func TestCancelInsideAnOperation(t *testing.T) {
	r := open(t, 2)
	for name, op := range work(r, 30) {
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled time.Time
		time.AfterFunc(20*time.Millisecond, func() { cancelled = time.Now(); cancel() })
		err := r.Do(ctx, name, op.op)
		if late := time.Since(cancelled); !errors.Is(err, context.Canceled) || late > 10*time.Second {
			t.Errorf("%s returns %v, %v after it is cancelled", name, err, late)
		}
		if got := op.out.(*buffer).Bytes(); !bytes.Equal(got[len(got)-4:], make([]byte, 4)) {
			t.Errorf("%s is done to its end after it is cancelled", name)
		}
	}
}

func TestWaitingForTheTurnEndsWithTheContext(t *testing.T) {
	r := open(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	r.do(func(device.Encoder) {
		time.AfterFunc(10*time.Millisecond, cancel)
		if err := r.Do(ctx, "waiting", func(device.Encoder) { t.Error("ran out of turn") }); !errors.Is(err, context.Canceled) {
			t.Errorf("waiting for the turn gives %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	dev, err := Open(Options{Threads: 4})
	if err != nil {
		t.Fatal(err)
	}
	r, unmapped := rig{t, dev}, 0
	for _, op := range work(r, 1) {
		r.do(op.op)
	}
	if _, err := dev.Map(device.Desc{DType: device.U8, Shape: []int{1}}, []byte{1}, func() { unmapped++ }); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := dev.Close(); err != nil {
			t.Fatal(err)
		}
	}
	d := dev.(*cpuDevice)
	if held := dev.Info().Allocated; held != 0 || unmapped != 1 || d.workers[0].scratch.size != 0 || d.temps[0].size != 0 {
		t.Errorf("closed with %d bytes held, unmapped %d times", held, unmapped)
	}
	deadline := time.Now().Add(10 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond) // one that has said that it is done can still be counted
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines, %d before", now, before)
	}
	if _, err := dev.Alloc(device.Desc{DType: device.U8, Shape: []int{1}}); !errors.Is(err, device.ErrDeviceLost) {
		t.Errorf("allocating from a closed device gives %v", err)
	}
	if err := dev.Do(t.Context(), "late", func(device.Encoder) {}); !errors.Is(err, device.ErrDeviceLost) {
		t.Errorf("a closed device gives %v", err)
	}
}

func TestOptions(t *testing.T) {
	for _, bad := range []Options{{Threads: -1}, {MemoryLimit: -1}} {
		if _, err := Open(bad); err == nil {
			t.Errorf("%+v is no error", bad)
		}
	}
	dev, err := Open(Options{MemoryLimit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	desc := device.Desc{Label: "half", DType: device.U8, Shape: []int{600}}
	b, err := dev.Alloc(desc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dev.Alloc(desc); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("1200 bytes of 1000 give %v", err)
	}
	b.Release()
	if _, err := dev.Alloc(desc); err != nil {
		t.Error(err)
	}
}

// TestSteadyState checks that operations, once run, take no more memory, and that
// buffers are not of Go's heap.
func TestSteadyState(t *testing.T) {
	r := open(t, 2)
	ops := work(r, 1)
	run := func() {
		for _, name := range []string{"Linear", "Attention", "wide heads", "Conv"} {
			r.do(ops[name].op)
		}
	}
	run()
	d := r.Device.(*cpuDevice)
	held := func() (n int64) {
		for _, w := range d.workers {
			n += w.scratch.size
		}
		for _, m := range d.temps {
			n += m.size
		}
		return n
	}
	before := held()
	if n := testing.AllocsPerRun(3, run); n > 500 {
		t.Errorf("%v allocations of Go memory a run", n)
	}
	if now := held(); now != before {
		t.Errorf("scratch memory grew from %d to %d bytes", before, now)
	}
	var from, to runtime.MemStats
	runtime.ReadMemStats(&from)
	big, err := r.Alloc(device.Desc{DType: device.F32, Shape: []int{256 << 20}})
	if err != nil {
		t.Fatal(err)
	}
	defer big.Release()
	runtime.ReadMemStats(&to)
	if to.Sys-from.Sys > 8<<20 {
		t.Errorf("a buffer of 1 GB takes %d bytes of Go's memory", to.Sys-from.Sys)
	}
}
