package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

func openCPU(t *testing.T) device.Device {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// TestDevice runs the conformance suite over a profiled device, but for what a failed
// submission leaves: there, operations before the failure have run.
func TestDevice(t *testing.T) {
	devicetest.Run(t, New(openCPU(t)), devicetest.Options{Parts: []string{
		"Linear", "Quantised", "Attention", "Norm", "Rope", "Conv", "Unary", "Binary", "GatedAdd", "Gather", "Move",
	}})
}

// ticking is a clock that only moves when an operation runs.
type ticking struct {
	device.Device
	at time.Time
}

func (d *ticking) now() time.Time { return d.at }

func (d *ticking) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	d.at = d.at.Add(250 * time.Millisecond)
	return d.Device.Do(ctx, label, f)
}

// profiled runs two submissions, of 3 operations and one of another size, on a
// device where each takes a quarter of a second.
func profiled(t *testing.T) *Device {
	t.Helper()
	inner := &ticking{Device: openCPU(t), at: time.Unix(0, 0)}
	d := newWith(inner, inner.now)
	b, err := d.Alloc(device.Desc{Label: "test", DType: device.F32, Shape: []int{3, 8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	m := device.AsMat(b)
	x, w, y := m.RowRange(0, 8), m.RowRange(8, 16), m.RowRange(16, 24)
	if err := d.Write(t.Context(), b, make([]byte, 3*64*4)); err != nil {
		t.Fatal(err)
	}
	err = d.Do(t.Context(), "first", func(e device.Encoder) {
		for range 2 {
			e.Linear(device.Linear{X: x, W: device.DenseWeight(w), Y: y})
		}
		e.Unary(device.Unary{X: y, Y: y, F: device.SiLU})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Do(t.Context(), "second", func(e device.Encoder) {
		e.Linear(device.Linear{X: x.RowRange(0, 4), W: device.DenseWeight(w), Y: y.RowRange(0, 4)})
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestRows(t *testing.T) {
	const quarter = 250 * time.Millisecond
	want := []Row{
		{"Linear 8x8x8 F32*F32", 2, 2 * quarter, device.Cost{FLOPs: 2 * 1024, Bytes: 2 * 768}},
		{"Linear 4x8x8 F32*F32", 1, quarter, device.Cost{FLOPs: 512, Bytes: 512}},
		{"Unary 8x8", 1, quarter, device.Cost{FLOPs: 192, Bytes: 512}},
		{"Write", 1, 0, device.Cost{Bytes: 768}},
	}
	d := profiled(t)
	got := d.Rows()
	if len(got) != len(want) {
		t.Fatalf("%d rows, want %d: %+v", len(got), len(want), got)
	}
	for i, r := range got {
		if r != want[i] {
			t.Errorf("row %d is %+v, want %+v", i, r, want[i])
		}
	}
	var text strings.Builder
	if err := d.WriteTable(&text, Peak{FLOPS: 8192, Bandwidth: 1 << 20, Source: "a test"}); err != nil {
		t.Fatal(err)
	}
	// 2048 flops in half a second are half of the peak.
	if first := strings.Fields(strings.Split(text.String(), "\n")[1]); strings.Join(first[:3], " ") != "2 0.500 50.0" || first[5] != "50" {
		t.Errorf("the table is\n%s", text.String())
	}
}

// TestTrace reads the trace back: every event is there, operations lie within their
// submission, and together are as long as it.
func TestTrace(t *testing.T) {
	var text bytes.Buffer
	if err := profiled(t).WriteTrace(&text); err != nil {
		t.Fatal(err)
	}
	var trace struct{ TraceEvents []traceEvent }
	if err := json.Unmarshal(text.Bytes(), &trace); err != nil {
		t.Fatalf("%v in\n%s", err, text.String())
	}
	sums, count := map[string]float64{}, 0
	for _, s := range trace.TraceEvents {
		if s.Category != "submission" {
			continue
		}
		for _, o := range trace.TraceEvents {
			if o.Category == "operation" && o.Start >= s.Start && o.Start+o.Duration <= s.Start+s.Duration {
				sums[s.Name] += o.Duration
				count++
			}
		}
		if s.Phase != "X" || math.Abs(sums[s.Name]-s.Duration) > 1e-6 {
			t.Errorf("%s takes %g us, its operations %g", s.Name, s.Duration, sums[s.Name])
		}
	}
	if len(trace.TraceEvents) != 7 || count != 4 || sums["first"] != 750e3 || sums["second"] != 250e3 {
		t.Errorf("%d events, %d operations, %v us:\n%s", len(trace.TraceEvents), count, sums, text.String())
	}
}

// TestSums compares operations with the wall time round them on the CPU.
func TestSums(t *testing.T) {
	d := New(openCPU(t))
	const n = 256
	b, err := d.Alloc(device.Desc{Label: "test", DType: device.F32, Shape: []int{3 * n, n}})
	if err != nil {
		t.Fatal(err)
	}
	m := device.AsMat(b)
	start := time.Now()
	for range 5 {
		err := d.Do(t.Context(), "test", func(e device.Encoder) {
			for range 4 {
				e.Linear(device.Linear{X: m.RowRange(0, n), W: device.DenseWeight(m.RowRange(n, 2*n)), Y: m.RowRange(2*n, 3*n)})
			}
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	wall := time.Since(start)
	rows := d.Rows()
	if len(rows) != 1 || rows[0].Count != 20 || rows[0].Time <= 0 || rows[0].Time > wall {
		t.Errorf("rows %+v in a wall time of %v", rows, wall)
	}
}

func TestErrors(t *testing.T) {
	d := New(openCPU(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ran := false
	err := d.Do(ctx, "block 3", func(device.Encoder) { ran = true })
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "block 3") || ran {
		t.Errorf("a cancelled submission gives %v, ran: %v", err, ran)
	}
	b, err := d.Alloc(device.Desc{Label: "test", DType: device.I64, Shape: []int{4, 4}})
	if err != nil {
		t.Fatal(err)
	}
	m := device.AsMat(b)
	err = d.Do(t.Context(), "test", func(e device.Encoder) {
		e.Unary(device.Unary{X: m, Y: m})
		e.Move(device.Move{X: m, Y: m})
	})
	if rows := d.Rows(); !errors.Is(err, device.ErrUnsupported) || len(rows) != 1 {
		t.Errorf("an unsupported operation gives %v, and then ran %+v", err, rows)
	}
}

func TestMeasure(t *testing.T) {
	peak, err := Measure(t.Context(), openCPU(t))
	if err != nil || peak.FLOPS < 1e8 || peak.Bandwidth < 1e7 {
		t.Errorf("the peak is %+v, %v", peak, err)
	}
}
