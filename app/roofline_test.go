package main

import (
	"strings"
	"testing"

	"gimbal/metalkit"
)

func TestRoofline(t *testing.T) {
	out, errs, code := gimbal(t, "bench", "--roofline", "m3 ultra")
	if code != 0 {
		t.Fatalf("exit code %d\n%s", code, errs)
	}
	for _, want := range []string{"Apple M3 Ultra: 80 GPU cores", "\n5 frames", "\n41 frames of 480x832, one step: 1317.", "\n81 frames", "\nLingBot-World 2.0 1.3B, causal-fast, a chunk of 16 frames of 480x832: ", "\nLingBot-World 2.0 14B, causal-fast, a chunk of 16 frames of 480x832, its decoding: ", "Attention 17160x17160x128x40 by attention_bf16_"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	out, _, code = gimbal(t, "bench", "--roofline", "all")
	if n := strings.Count(out, "\n41 frames"); code != 0 || n != len(metalkit.Chips()) {
		t.Errorf("exit code %d, %d chips of %d", code, n, len(metalkit.Chips()))
	}
	if _, errs, code := gimbal(t, "bench", "--roofline", "M9"); code != 2 || !strings.Contains(errs, "Apple M3 Max") {
		t.Errorf("exit code %d for an unknown chip\n%s", code, errs)
	}
}
