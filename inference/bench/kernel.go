package bench

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/device/profile"
)

// KernelSettings are what Kernel was asked for.
type KernelSettings struct {
	Operation
	Runs int `json:"runs"`
}

// KernelRow is an operation by one variant of its kernel.
type KernelRow struct {
	Variant string  `json:"variant"` // nothing where the device has one way to run it
	Seconds float64 `json:"seconds"` // of the fastest run
	Rate    float64 `json:"gflop_per_second"`
	Bytes   float64 `json:"byte_per_second"` // of the least that it moves
	Share   float64 `json:"share_of_peak"`   // of arithmetic or of memory, whichever is larger
}

// variants is a device that can run an operation in several ways.
type variants interface {
	// Variants returns the names of the ways to run op; none where there is one only.
	Variants(op device.Op) []string
	// WithVariant returns the device with operations such as op run in one of them.
	WithVariant(op device.Op, name string) device.Device
}

// Kernel times one operation by every variant that the device has for it, the fastest
// first, and compares it with the peak that peakOf finds.
func Kernel(ctx context.Context, o Options, s KernelSettings, peakOf func(context.Context, device.Device) (profile.Peak, error)) (*Report, error) {
	dev, err := o.Open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	report := o.begin("kernel", dev.Info())
	operands := NewOperands(ctx, dev)
	defer operands.Release()
	op, err := s.Make(operands)
	if err != nil {
		return nil, err
	}
	peak, err := peakOf(ctx, dev)
	if err != nil {
		return nil, err
	}
	rows, err := kernelRows(ctx, o, dev, op, s.Runs, peak)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", op, err)
	}
	report.Model = Model{}
	report.Settings, report.Rows = s, rows
	report.Notes = append(report.Notes, fmt.Sprintf("peak: %s GFLOP/s and %s GB/s, %s", number(peak.FLOPS/1e9), number(peak.Bandwidth/1e9), peak.Source))
	report.showKernel(op, rows)
	return report.end(), nil
}

func kernelRows(ctx context.Context, o Options, dev device.Device, op device.Op, runs int, peak profile.Peak) (rows []KernelRow, err error) {
	add := func(variant string, dev device.Device) {
		if err != nil {
			return
		}
		o.Progress(strings.TrimSpace(op.String() + " " + variant))
		row, cost := KernelRow{Variant: variant}, op.Cost()
		if row.Seconds, err = Time(ctx, dev, op, runs); err == nil {
			row.Rate, row.Bytes = float64(cost.FLOPs)/row.Seconds/1e9, float64(cost.Bytes)/row.Seconds
			row.Share = max(1e9*row.Rate/peak.FLOPS, row.Bytes/peak.Bandwidth)
			rows = append(rows, row)
		}
	}
	v, _ := dev.(variants)
	if v != nil {
		for _, name := range v.Variants(op) {
			add(name, v.WithVariant(op, name))
		}
	}
	if len(rows) == 0 {
		add("", dev)
	}
	slices.SortStableFunc(rows, func(a, b KernelRow) int { return cmp.Compare(a.Seconds, b.Seconds) })
	return rows, err
}

// Time returns the seconds of the fastest of some runs of op, after one that warms up and
// chooses kernels: those of the kernels where the device has a clock, or else of the host.
func Time(ctx context.Context, dev device.Device, op device.Op, runs int) (float64, error) {
	fastest := math.Inf(1)
	for run := range runs + 1 {
		kernels, began := 0.0, time.Now()
		err := dev.DoTimed(ctx, op.Name(), func(e device.Encoder) { e.Record(op) }, func(l device.Launch) { kernels += l.Seconds })
		if err != nil {
			return 0, err
		}
		if kernels == 0 {
			kernels = time.Since(began).Seconds()
		}
		if run > 0 {
			fastest = min(fastest, kernels)
		}
	}
	return fastest, nil
}

func (r *Report) showKernel(op device.Op, rows []KernelRow) {
	t := Table{Title: op.String(), Header: []string{"variant", "time", "arithmetic", "memory", "share of the peak"}}
	var labels []string
	var shares []float64
	for _, row := range rows {
		name := cmp.Or(row.Variant, "the only one")
		t.Rows = append(t.Rows, []string{
			name, duration(row.Seconds), number(row.Rate) + " GFLOP/s", number(row.Bytes/1e9) + " GB/s", number(100*row.Share) + " %",
		})
		labels, shares = append(labels, name), append(shares, 100*row.Share)
	}
	r.Tables, r.panels = []Table{t}, []panel{bars("share of the peak (%)", labels, shares)}
}
