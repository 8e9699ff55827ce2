package metalkit

import (
	"context"
	"errors"
	"slices"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/dry"
)

// nullDriver counts what it is given and computes nothing.
type nullDriver struct {
	dry.Driver
	max  driver.Limits
	runs []int // dispatches of each run
	ran  func()

	blind  bool     // has no captures
	events []string // captures
}

func (d *nullDriver) Limits() driver.Limits { return d.max }

func (d *nullDriver) Alloc(size int64) (driver.Memory, error) {
	return driver.Memory{Handle: 1, Host: make([]byte, size)}, nil
}

func (d *nullDriver) Alias(mem []byte) (driver.Memory, bool) {
	return driver.Memory{Handle: 1, Host: mem}, true
}

func (d *nullDriver) Run(_ context.Context, _ string, dispatches []driver.Dispatch) (float64, error) {
	d.runs = append(d.runs, len(dispatches))
	if d.ran != nil {
		d.ran()
	}
	return 0, nil
}

func (d *nullDriver) Capture(file string) (func() error, error) {
	if d.blind {
		return d.Driver.Capture(file)
	}
	d.events = append(d.events, "capture")
	return func() error { d.events = append(d.events, "stop"); return nil }, nil
}

// openNull returns a device over drv and a matrix of it.
func openNull(tb testing.TB, drv *nullDriver, rows, cols int) (*gpu, device.Mat) {
	tb.Helper()
	drv.max.WorkingSet = 1 << 30
	dev, err := open(drv, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev, allocMat(tb, dev, device.F32, rows, cols)
}

// TestRuns cuts a submission where its work is more than a run may have.
func TestRuns(t *testing.T) {
	const n = 128 // of whole tiles
	product := 2.0 * n * n * n
	for _, c := range []struct {
		work float64
		want []int
	}{{0, []int{7}}, {product, []int{1, 1, 1, 1, 1, 1, 1}}, {2.5 * product, []int{2, 2, 2, 1}}, {product / 2, []int{1, 1, 1, 1, 1, 1, 1}}, {7 * product, []int{7}}} {
		drv := &nullDriver{max: driver.Limits{CommandBufferFLOPs: c.work}}
		dev, x := openNull(t, drv, n, 3*n)
		err := dev.Do(t.Context(), "test", func(e device.Encoder) {
			for range 7 {
				e.Record(device.Linear{X: x.ColRange(0, n), W: device.DenseWeight(x.ColRange(n, 2*n)), Y: x.ColRange(2*n, 3*n)})
			}
		})
		if err != nil || !slices.Equal(drv.runs, c.want) {
			t.Errorf("7 products of %g flop with runs of %g: runs of %v, %v; want %v", product, c.work, drv.runs, err, c.want)
		}
	}
}

// TestCancelBetweenRuns ends the context in the first run of three.
func TestCancelBetweenRuns(t *testing.T) {
	drv := &nullDriver{max: driver.Limits{CommandBufferFLOPs: 1}}
	ctx, cancel := context.WithCancel(t.Context())
	drv.ran = cancel
	dev, x := openNull(t, drv, 8, 24)
	err := dev.Do(ctx, "block 3", func(e device.Encoder) {
		for range 3 {
			e.Record(device.Linear{X: x.ColRange(0, 8), W: device.DenseWeight(x.ColRange(8, 16)), Y: x.ColRange(16, 24)})
		}
	})
	if !errors.Is(err, context.Canceled) || len(drv.runs) != 1 {
		t.Errorf("%d runs and %v, want one and Canceled", len(drv.runs), err)
	}
}

// recordBlock records about what one transformer block does, in n rows and 5 n columns of x and
// its row n.
func recordBlock(e device.Encoder, x device.Mat, n int) {
	col := func(i int) device.Mat { return x.RowRange(0, n).ColRange(i*n, (i+1)*n) }
	row := x.Row(n).ColRange(0, n)
	for range 3 {
		e.Record(device.Norm{X: col(0), Y: col(1), Kind: device.LayerNorm, Scale: row, Shift: row})
		for range 4 {
			e.Record(device.Linear{X: col(1), W: device.DenseWeight(col(2)), Y: col(3), Bias: row, Act: device.GELU})
		}
		e.Record(device.Rope{X: col(3), Y: col(3), Heads: 1, Cos: col(2).ColRange(0, n/2), Sin: col(2).ColRange(0, n/2), Weight: row})
		e.Record(device.Attention{Q: col(1), K: col(2), V: col(3), O: col(4), Heads: 1, Scale: 1})
		e.Record(device.GatedAdd{A: col(4), Gate: row, B: col(0), Y: col(0)})
		e.Record(device.Unary{X: col(4), Y: col(4), F: device.SiLU})
		e.Record(device.Binary{A: col(4), B: row, Y: col(4), Op: device.Add})
		e.Record(device.Move{X: col(4), Y: col(3)})
	}
}

// TestRecordAllocates at most the value of each operation, once the first submission has
// made the pipelines and room for the calls.
func TestRecordAllocates(t *testing.T) {
	const n = 64
	dev, x := openNull(t, &nullDriver{runs: make([]int, 0, 1000)}, n+1, 5*n)
	ctx := t.Context()
	allocations := func(blocks int) float64 {
		f := func(e device.Encoder) {
			for range blocks {
				recordBlock(e, x, n)
			}
		}
		return testing.AllocsPerRun(20, func() {
			if err := dev.Do(ctx, "test", f); err != nil {
				t.Error(err)
			}
		})
	}
	operations := counted(func(e device.Encoder) { recordBlock(e, x, n) })
	if one, ten := allocations(1), allocations(10); one > 3+operations || ten > one+9*operations {
		t.Errorf("recording a block of %v operations allocates %v times, ten %v times", operations, one, ten)
	}
}

// counted returns how many operations f records.
func counted(f func(device.Encoder)) float64 {
	var c counting
	f(&c)
	return float64(c)
}

// counting is an encoder that counts what it is given.
type counting int

func (c *counting) Record(device.Op) { *c++ }

// BenchmarkRecord records one block over a driver that computes nothing.
func BenchmarkRecord(b *testing.B) {
	const n = 64
	drv := &nullDriver{}
	dev, x := openNull(b, drv, n+1, 5*n)
	b.ReportAllocs()
	for b.Loop() {
		drv.runs = drv.runs[:0]
		if err := dev.Do(b.Context(), "test", func(e device.Encoder) { recordBlock(e, x, n) }); err != nil {
			b.Fatal(err)
		}
	}
}
