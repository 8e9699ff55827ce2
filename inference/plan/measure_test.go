package plan_test

import (
	"testing"
	"time"

	"gimbal/inference/cpu"
	"gimbal/inference/plan"
)

func TestMeasure(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	folder := t.TempDir()
	if plan.ReadRates(folder, dev).Known() {
		t.Fatal("rates before they were measured")
	}
	begin := time.Now()
	r, err := plan.Measure(t.Context(), dev)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v: %+v", time.Since(begin), r)
	if dev.Info().Allocated != 0 {
		t.Errorf("%d bytes left", dev.Info().Allocated)
	}
	for _, kind := range []string{"linear f32", "linear f16", "linear bf16", "linear i8", "linear nf4", "attention f32", "attention bf16", "conv"} {
		if !(r.Kinds[kind] > 1e6) {
			t.Errorf("%s: %g FLOPs a second", kind, r.Kinds[kind])
		}
	}
	if err := r.Write(folder, dev); err != nil {
		t.Fatal(err)
	}
	if read := plan.ReadRates(folder, dev); read.Bandwidth != r.Bandwidth || len(read.Kinds) != len(r.Kinds) {
		t.Errorf("read %+v, wrote %+v", read, r)
	}
}
