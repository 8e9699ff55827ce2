//go:build !darwin && !cuda

package metalkit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/soft"
)

// lying is the software driver in the place of a GPU, some of whose kernels do nothing.
type lying struct {
	*soft.Driver
	lazy  string // the kernels that do nothing once as many runs have been: their names' beginning
	from  int64
	runs  *atomic.Int64
	names *[]string
	bad   string // the kernels that do not compile: their names' beginning
}

func (d lying) Limits() driver.Limits {
	l := d.Driver.Limits()
	l.Timed = true
	return l
}

func (d lying) Pipeline(s driver.Specialisation) (int32, error) {
	if d.bad != "" && strings.HasPrefix(s.Kernel, d.bad) {
		return 0, fmt.Errorf("metalkit: kernel %s does not compile", s.Kernel)
	}
	id, err := d.Driver.Pipeline(s)
	if err == nil {
		*d.names = append(*d.names, s.Kernel)
	}
	return id, err
}

func (d lying) Run(ctx context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	d.runs.Add(1)
	seconds := 0.002
	for i, c := range dispatches {
		if name := (*d.names)[c.Pipeline]; d.lazy != "" && d.runs.Load() > d.from && strings.HasPrefix(name, d.lazy) {
			seconds = 0.001 // what does nothing is fast
		} else if _, err := d.Driver.Run(ctx, label, dispatches[i:i+1]); err != nil {
			return 0, err
		}
	}
	return seconds, nil
}

// openLying returns a device whose kernels are checked, with what its log says.
func openLying(t *testing.T, lazy string, from int64, opts Options) (*gpu, *bytes.Buffer) {
	t.Helper()
	drv, err := soft.New(1, false)
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	opts.Oracle, opts.Log = func() (device.Device, error) { return cpu.Open(cpu.Options{}) }, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	return openOver(t, lying{drv, lazy, from, new(atomic.Int64), new([]string), ""}, opts), log
}

// TestChecks runs the conformance suite on a device that checks its kernels: none is found
// wrong, and nearly all are checked.
func TestChecks(t *testing.T) {
	t.Parallel()
	dev, log := openLying(t, "", 0, Options{})
	devicetest.Run(t, dev, devicetest.Options{Product: productBound, Parallel: true})
	t.Cleanup(func() {
		text := log.String()
		unchecked := strings.Count(text, "is not checked") - strings.Count(text, "*NF4") // of blocks across rows
		unchecked -= strings.Count(text, "context deadline exceeded\nmetalkit")
		if strings.Contains(text, "switched off") || unchecked > 0 || len(dev.switchedOff()) > 0 {
			t.Errorf("of %d kernels %d are not checked:\n%s", len(dev.verified), unchecked, text)
		}
	})
}

// TestLostChecked is TestLost of a device that checks its kernels.
func TestLostChecked(t *testing.T) {
	dev, _ := openLying(t, "", 0, Options{})
	devicetest.Run(t, dev, devicetest.Options{Product: productBound, Parts: []string{"Lost"}})
}

// TestWrongKernel has one kernel do nothing, from the start or only later, at the sizes that
// variants are timed with.
func TestWrongKernel(t *testing.T) {
	const m, n, k = 160, 72, 64
	for _, c := range []struct {
		name, lazy string
		from       int64
		fails      bool
	}{
		{"none", "", 0, false},
		{"a variant", "linear_f32_128x64x16x8", 0, false},
		{"the fixed one", "linear_f32_64x64x16x4", 0, false},
		{"all of them", "linear_f32", 0, true},
		{"one without variants", "unary", 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			for _, again := range []bool{false, true} { // another process knows it
				dev, log := openLying(t, c.lazy, c.from, Options{Tuning: folder})
				x, w, y, z := allocMat(t, dev, device.F32, m, k), allocMat(t, dev, device.F32, n, k), allocMat(t, dev, device.F32, m, n), allocMat(t, dev, device.F32, m, n)
				for i, to := range []device.Mat{x, w} {
					if err := dev.Write(t.Context(), to.Buf, sampleBytes(device.F32, to.Rows*to.Cols, uint32(i), 0)); err != nil {
						t.Fatal(err)
					}
				}
				for range 3 {
					err := dev.Do(t.Context(), "block", func(e device.Encoder) {
						e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y})
						e.Record(device.Unary{X: y, Y: z, F: device.SiLU})
					})
					if c.fails {
						if !errors.Is(err, device.ErrUnsupported) || !strings.Contains(err.Error(), "computes wrongly") || !strings.Contains(err.Error(), "use the CPU") {
							t.Fatalf("got %v", err)
						}
						return
					}
					if err != nil {
						t.Fatal(err)
					}
					got := make([]byte, 4*m*n)
					if err := dev.Read(t.Context(), got, y.Buf); err != nil {
						t.Fatal(err)
					}
					if by := difference(device.F32, got, productOf(m, n, k)); by > 1e-5 {
						t.Errorf("off by %g", by)
					}
				}
				listed := dev.Describe()
				if last := listed[len(listed)-1]; (c.lazy != "") != (last.Name == "switched off" && strings.HasPrefix(last.Value, c.lazy)) {
					t.Errorf("listed last: %v", last)
				}
				if warned := strings.Contains(log.String(), "is switched off"); warned != (c.lazy != "" && !again) {
					t.Errorf("warned: %v\n%s", warned, log)
				}
			}
		})
	}
}

// TestWrongAtSize has a variant be right where it is checked and wrong where it is timed: the
// comparison with the fixed one finds it.
func TestWrongAtSize(t *testing.T) {
	dev, log := openLying(t, "linear_f32_128x64x16x8", 0, Options{})
	dev.oracle.open = nil
	const m, n, k = 160, 72, 64
	x, w, y := allocMat(t, dev, device.F32, m, k), allocMat(t, dev, device.F32, n, k), allocMat(t, dev, device.F32, m, n)
	for i, to := range []device.Mat{x, w} {
		if err := dev.Write(t.Context(), to.Buf, sampleBytes(device.F32, to.Rows*to.Cols, uint32(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := dev.Do(t.Context(), "block", func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y, Add: y}) }); err != nil {
			t.Fatal(err)
		}
	}
	if off := dev.switchedOff(); len(off) == 0 || !strings.Contains(off[0].Value, "linear_f32_128x64x16x8") || !strings.Contains(off[0].Value, "Linear 160x64x72") {
		t.Errorf("switched off: %v\n%s", off, log)
	}
}

// productOf is the product of the samples with seeds 0 and 1.
func productOf(m, n, k int) []byte {
	x, w := sampleBytes(device.F32, m*k, 0, 0), sampleBytes(device.F32, n*k, 1, 0)
	y := make([]float32, m*n)
	for i := range y {
		sum := 0.0
		for j := range k {
			sum += floatAt(device.F32, x, i/n*k+j) * floatAt(device.F32, w, i%n*k+j)
		}
		y[i] = float32(sum)
	}
	return device.Bytes(y)
}

// TestSelfCheck compares every variant of a product, finds the one that does nothing and the one
// that does not compile, and counts nothing as allocated afterwards.
func TestSelfCheck(t *testing.T) {
	t.Parallel()
	dev, _ := openLying(t, "linear_f32_64x32", 0, Options{Fixed: true})
	elsewhere, err := OpenRoofline(Chips()[0], device.F32)
	if err != nil {
		t.Fatal(err)
	}
	m := func(rows, cols int) device.Mat { return allocMat(t, elsewhere, device.F32, rows, cols) }
	op := device.Linear{X: m(1000, 128), W: device.DenseWeight(m(512, 128)), Y: m(1000, 512)}
	list, err := SelfCheck(t.Context(), dev, op)
	if err != nil || len(list) != len(dev.Variants(op)) {
		t.Fatalf("%d variants checked, want %d, %v", len(list), len(dev.Variants(op)), err)
	}
	for _, c := range list {
		if c.Operation != "Linear" || c.Err != nil || (c.Wrong != "") != (c.Variant == "64x32x32x4") {
			t.Errorf("%+v", c)
		}
	}
	if held, _ := dev.Held(); held != 0 {
		t.Errorf("%d bytes are still held", held)
	}
	if list, err := SelfCheck(t.Context(), dev, device.Unary{X: m(40, 40), Y: m(40, 40), F: device.SiLU}); err != nil || len(list) != 1 || list[0].Wrong != "" || list[0].Err != nil {
		t.Errorf("an operation of one kernel: %+v, %v", list, err)
	}
	plain := openSoft(t, 1, false, Options{})
	if _, err := SelfCheck(t.Context(), plain, op); !errors.Is(err, device.ErrUnsupported) {
		t.Errorf("without an oracle: %v", err)
	}
}

// TestRefused has the compiler refuse kernels: another variant is taken and the kernel switched off,
// and where there is none left the error names it.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bad  string
		fine bool
	}{{"linear_f32_64x64x16x4", true}, {"linear_f32_64", true}, {"linear_", false}} {
		drv, err := soft.New(1, false)
		if err != nil {
			t.Fatal(err)
		}
		dev := openOver(t, lying{drv, "", 0, new(atomic.Int64), new([]string), c.bad}, Options{
			Oracle: func() (device.Device, error) { return cpu.Open(cpu.Options{}) }, Log: slog.New(slog.DiscardHandler),
		})
		x, w, y := allocMat(t, dev, device.F32, 70, 64), allocMat(t, dev, device.F32, 128, 64), allocMat(t, dev, device.F32, 70, 128)
		err = dev.Do(t.Context(), "test", func(e device.Encoder) {
			e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y})
		})
		if c.fine != (err == nil) || err != nil && !strings.Contains(err.Error(), c.bad) {
			t.Errorf("without %s: %v", c.bad, err)
		}
		for _, p := range dev.switchedOff() {
			if !strings.HasPrefix(p.Value, c.bad) || !strings.Contains(p.Value, "does not compile") {
				t.Errorf("without %s: %v is switched off", c.bad, p)
			}
		}
		if len(dev.switchedOff()) == 0 {
			t.Errorf("without %s: nothing is switched off", c.bad)
		}
	}
}
