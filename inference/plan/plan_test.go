package plan_test

import (
	"errors"
	"math"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/plan"
)

// counting returns a device that counts for a CPU of so many bytes.
func counting(t *testing.T, limit int64, strict bool) *plan.Device {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{Threads: 1, MemoryLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return plan.NewDevice(dev, strict)
}

func alloc(t *testing.T, d device.Device, rows, cols int) device.Mat {
	t.Helper()
	b, err := d.Alloc(device.Desc{Label: "test", DType: device.F32, Shape: []int{rows, cols}})
	if err != nil {
		t.Fatal(err)
	}
	return device.AsMat(b)
}

// TestPhase checks that the peak is that of one moment, and what counts as weights
// and as work.
func TestPhase(t *testing.T) {
	d := counting(t, 1<<20, false)
	held := alloc(t, d, 1, 100)
	weights, err := d.Map(device.Desc{DType: device.BF16, Shape: []int{30, 20}}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	phase, err := d.Phase("work", 3, func() error {
		d.Hold(1000)
		d.Hold(-1000) // counts until the phase ends
		x, y := alloc(t, d, 40, 20), alloc(t, d, 40, 30)
		err := d.Do(t.Context(), "product", func(e device.Encoder) {
			for range 2 {
				e.Record(device.Linear{X: x, Y: y, W: device.DenseWeight(device.AsMat(weights))})
			}
		})
		x.Buf.Release()
		y.Buf.Release()
		y.Buf.Release()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if phase.Buffers != 4*(100+40*20+40*30) || phase.Host != 1000 || phase.Weights != 2*30*20 || phase.Scratch == 0 {
		t.Errorf("%+v", phase)
	}
	if got := phase.Work.Kinds["linear bf16"].FLOPs; got != 3*2*2*40*20*30 || phase.Work.Submissions != 3 {
		t.Errorf("%d FLOPs in %d submissions", got, phase.Work.Submissions)
	}
	after, _ := d.Phase("rest", 1, func() error { return nil })
	if after.Memory() != 400+phase.Scratch || after.Weights != 0 {
		t.Errorf("after it: %+v", after)
	}
	held.Buf.Release()
	if left := d.Info().Allocated; left != 0 {
		t.Errorf("%d bytes left", left)
	}
}

// TestPeak has a phase that holds the most on the device at one moment, and the most in all at a
// later one.
func TestPeak(t *testing.T) {
	d := counting(t, 1<<20, false)
	phase, err := d.Phase("work", 1, func() error {
		alloc(t, d, 10, 10).Buf.Release()
		alloc(t, d, 10, 5)
		d.Hold(1000)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if phase.Buffers != 4*50 || phase.Host != 1000 || d.Info().Peak != 4*100 {
		t.Errorf("%+v, and a peak of %d bytes", phase, d.Info().Peak)
	}
}

func TestLimit(t *testing.T) {
	desc := device.Desc{DType: device.U8, Shape: []int{2000}}
	if _, err := counting(t, 1000, true).Alloc(desc); !errors.Is(err, device.ErrOutOfMemory) {
		t.Errorf("2000 of 1000 bytes: %v", err)
	}
	if _, err := counting(t, 1000, false).Alloc(desc); err != nil {
		t.Error(err)
	}
}

func TestFit(t *testing.T) {
	p := inference.Plan{Limit: 100, Phases: []inference.Phase{
		{Name: "a", Buffers: 60, Scratch: 5, Host: 5, Weights: 10},
		{Name: "b", Buffers: 20, Weights: 75},
	}}
	for limit, want := range map[int64]inference.Fit{0: inference.Fits, 95: inference.Fits, 94: inference.Reloads, 70: inference.Reloads, 69: inference.TooMuch} {
		if p.Limit = limit; p.Fit() != want {
			t.Errorf("%d bytes: %v, want %v", limit, p.Fit(), want)
		}
	}
	if p.Peak().Name != "a" || p.Largest().Name != "b" {
		t.Errorf("peak in %s, largest %s", p.Peak().Name, p.Largest().Name)
	}
}

// TestLearn makes sure that estimates come closer to what runs take, and their ranges
// narrower.
func TestLearn(t *testing.T) {
	r := plan.Rates{Kinds: map[string]float64{"conv": 1e9}, Bandwidth: 1e9, Submission: 1e-3}
	work := inference.Work{Kinds: map[string]device.Cost{"conv": {FLOPs: 8e9}, plan.Memory: {Bytes: 1e9}}, Submissions: 1000}
	first := r.Of("decode", work)
	if first.Likely != 10*time.Second || first.Low >= first.Likely || first.High <= first.Likely {
		t.Errorf("10 s of work: %+v", first)
	}
	for range 8 {
		r = r.Learn("decode", r.Of("decode", work).Likely.Seconds(), 25)
	}
	e := r.Of("decode", work)
	if math.Abs(e.Likely.Seconds()-25) > 0.5 || float64(e.High)/float64(e.Low) >= float64(first.High)/float64(first.Low) {
		t.Errorf("after runs of 25 s: %+v", e)
	}
	if other := r.Of("text", work); other != first {
		t.Errorf("another phase changed too: %+v", other)
	}
	if r.Learn("text", 0.01, 5).Corrections["text"] != 0 {
		t.Error("learned from a moment")
	}
	if (plan.Rates{}).Of("text", work).Known() {
		t.Error("an estimate from nothing")
	}
}

// TestUnmeasuredFormats takes products with weights in a format that was not measured for as
// slow as the slowest that was.
func TestUnmeasuredFormats(t *testing.T) {
	r := plan.Rates{Kinds: map[string]float64{"linear bf16": 4e9, "linear int8": 2e9, "attention f32": 1e9}, Bandwidth: 1e12}
	work := inference.Work{Kinds: map[string]device.Cost{"linear q4_k": {FLOPs: 8e9}}}
	if got := r.Of("sample", work).Likely; got != 4*time.Second {
		t.Errorf("%v, want 4s", got)
	}
}
