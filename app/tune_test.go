package main

import (
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device/profile"
	"gimbal/inference/weights"
)

// TestRunBlank runs every operation that has variants, without a checkpoint.
func TestRunBlank(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	timed := profile.New(dev)
	d := weights.Dims{Dim: 64, FFN: 128, Heads: 2, Layers: 1, VAE: 8, Text: 32}
	if err := runBlank(t.Context(), timed, d, 5, 32, 48); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, r := range timed.Rows() {
		seen[strings.Fields(r.Name)[0]] += r.Count
	}
	if seen["Linear"] < 10 || seen["Attention"] < 2 || seen["Conv"] < 10 {
		t.Errorf("ran %v", seen)
	}
	if info := dev.Info(); info.Allocated != 0 {
		t.Errorf("%d bytes are held", info.Allocated)
	}
}

func TestTuneUsage(t *testing.T) {
	for _, args := range [][]string{{"tune", "--frame_num", "6"}, {"tune", "--height", "100"}, {"tune", "extra"}} {
		if _, errs, code := gimbal(t, args...); code != exitUsage {
			t.Errorf("%v: exit code %d, %s", args, code, errs)
		}
	}
}
