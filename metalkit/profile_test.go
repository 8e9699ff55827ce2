package metalkit

import (
	"maps"
	"slices"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/device/profile"
)

// TestTimed runs a block's operations with each kernel timed: the results are the same, the
// kernels those of the launch plan, and together they take no longer than the host waits.
func TestTimed(t *testing.T) {
	const n = 64
	dev := openTest(t, Options{})
	x := allocMat(t, dev, device.F32, n+1, 5*n)
	start := make([]float32, x.Rows*x.Cols)
	for i := range start {
		start[i] = float32(i%13)/13 - 0.5
	}
	run := func(do func(func(device.Encoder)) error) []float32 {
		got := make([]float32, len(start))
		if err := dev.Write(t.Context(), x.Buf, device.Bytes(start)); err != nil {
			t.Fatal(err)
		}
		if err := do(func(e device.Encoder) { recordBlock(e, x, n) }); err != nil {
			t.Fatal(err)
		}
		if err := dev.Read(t.Context(), device.Bytes(got), x.Buf); err != nil {
			t.Fatal(err)
		}
		return got
	}
	var kernels, ran []string
	seen := observed{dev, func(_ string, plan []planned) {
		kernels = nil
		for _, p := range plan {
			kernels = append(kernels, p.kernel)
		}
	}}
	plain := run(func(f func(device.Encoder)) error { return seen.Do(t.Context(), "plain", f) })
	var seconds, waited float64
	timed := run(func(f func(device.Encoder)) error {
		began := time.Now()
		defer func() { waited = time.Since(began).Seconds() }()
		return seen.DoTimed(t.Context(), "timed", f, func(l device.Launch) {
			ran = append(ran, l.Kernel)
			if seconds += l.Seconds; l.Seconds <= 0 || l.Cost.Bytes <= 0 {
				t.Errorf("%+v", l)
			}
		})
	})
	if !slices.Equal(plain, timed) || !slices.Equal(kernels, ran) || seconds > waited {
		t.Errorf("equal results: %v; %g s in kernels, %g s in all; kernels %v, want %v", slices.Equal(plain, timed), seconds, waited, ran, kernels)
	}
}

// TestProfile has the kernels' seconds in the profile, by name, and operations take as long
// as their kernels.
func TestProfile(t *testing.T) {
	const n = 64
	dev := openTest(t, Options{})
	want := map[string]int{}
	d := profile.New(observed{dev, func(_ string, plan []planned) {
		for _, p := range plan {
			want[p.kernel]++
		}
	}})
	x := allocMat(t, d, device.F32, n+1, 5*n)
	if err := d.Do(t.Context(), "block", func(e device.Encoder) { recordBlock(e, x, n) }); err != nil {
		t.Fatal(err)
	}
	var operations, kernels time.Duration
	got := map[string]int{}
	for _, r := range d.Rows() {
		operations += r.Time
	}
	for _, r := range d.Kernels() {
		kernels += r.Time
		got[r.Name] = r.Count
	}
	if len(want) < 8 || !maps.Equal(got, want) {
		t.Errorf("kernels %v, want %v", got, want)
	}
	if kernels <= 0 || operations != kernels {
		t.Errorf("operations take %v, their kernels %v", operations, kernels)
	}
}
