package profile

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
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

func (d *ticking) DoTimed(ctx context.Context, label string, f func(device.Encoder), ran func(device.Launch)) error {
	d.at = d.at.Add(250 * time.Millisecond)
	return d.Device.DoTimed(ctx, label, f, ran)
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
			e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y})
		}
		e.Record(device.Unary{X: y, Y: y, F: device.SiLU})
	})
	if err != nil {
		t.Fatal(err)
	}
	err = d.Do(t.Context(), "second", func(e device.Encoder) {
		e.Record(device.Linear{X: x.RowRange(0, 4), W: device.DenseWeight(w), Y: y.RowRange(0, 4)})
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

// TestTrace reads the trace back: every event is there, and both threads' names, operations lie within their
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
	if len(trace.TraceEvents) != 9 || count != 4 || sums["first"] != 750e3 || sums["second"] != 250e3 {
		t.Errorf("%d events, %d operations, %v us:\n%s", len(trace.TraceEvents), count, sums, text.String())
	}
}

// clocked is a device with a clock of its own: each operation is two kernels of 30 and
// 70 ms, of a quarter of a second that the host waits.
type clocked struct{ *ticking }

func (d clocked) DoTimed(ctx context.Context, label string, f func(device.Encoder), ran func(device.Launch)) error {
	if err := d.ticking.DoTimed(ctx, label, f, ran); err != nil {
		return err
	}
	ran(device.Launch{Kernel: "pack", Seconds: 0.03, Cost: device.Cost{Bytes: 100}})
	ran(device.Launch{Kernel: "multiply", Seconds: 0.07, Cost: device.Cost{FLOPs: 1000, Bytes: 10}})
	return nil
}

// TestKernels takes times by the device's clock, for operations and for kernels.
func TestKernels(t *testing.T) {
	inner := &ticking{Device: openCPU(t), at: time.Unix(0, 0)}
	d := newWith(clocked{inner}, inner.now)
	b, err := d.Alloc(device.Desc{Label: "test", DType: device.F32, Shape: []int{8, 8}})
	if err != nil {
		t.Fatal(err)
	}
	m := device.AsMat(b)
	err = d.Do(t.Context(), "block", func(e device.Encoder) {
		for range 2 {
			e.Record(device.Unary{X: m, Y: m, F: device.SiLU})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	const ms = time.Millisecond
	operations := []Row{{"Unary 8x8", 2, 200 * ms, device.Cost{FLOPs: 384, Bytes: 1024}}}
	kernels := []Row{{"multiply", 2, 140 * ms, device.Cost{FLOPs: 2000, Bytes: 20}}, {"pack", 2, 60 * ms, device.Cost{Bytes: 200}}}
	if got := d.Rows(); !slices.Equal(got, operations) {
		t.Errorf("operations %+v, want %+v", got, operations)
	}
	if got := d.Kernels(); !slices.Equal(got, kernels) {
		t.Errorf("kernels %+v, want %+v", got, kernels)
	}
	var table, trace strings.Builder
	if err := errors.Join(d.WriteTable(&table, Peak{}), d.WriteTrace(&trace)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"2    0.200   100.0", "the host waited 0.500 s", "0.140    70.0", "  multiply"} {
		if !strings.Contains(table.String(), want) {
			t.Errorf("no %q in the table\n%s", want, &table)
		}
	}
	var read struct{ TraceEvents []traceEvent }
	if err := json.Unmarshal([]byte(trace.String()), &read); err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, e := range read.TraceEvents {
		if e.Thread == deviceThread && e.Category == "kernel" && e.Duration == map[string]float64{"pack": 30e3, "multiply": 70e3}[e.Name] {
			count++
		}
	}
	if count != 4 {
		t.Errorf("%d kernels in the trace\n%s", count, &trace)
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
				e.Record(device.Linear{X: m.RowRange(0, n), W: device.DenseWeight(m.RowRange(n, 2*n)), Y: m.RowRange(2*n, 3*n)})
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
		e.Record(device.Unary{X: m, Y: m})
		e.Record(device.Move{X: m, Y: m})
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
