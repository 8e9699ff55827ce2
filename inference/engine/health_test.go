package engine_test

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// spoil returns a copy of the reference checkpoint in which change has altered
// the values of one expert's tensors whose names begin with prefix.
func spoil(t *testing.T, expert, prefix string, change func(values []float32)) string {
	t.Helper()
	return rewrite(t, expert, func(tensor weights.Tensor, source *weights.Source) {
		if !strings.HasPrefix(tensor.Name, prefix) {
			return
		}
		values, err := tensor.Float32s()
		if err != nil {
			t.Fatal(err)
		}
		change(values)
		source.DType = device.F32
		source.Write = func(w io.Writer) error { return binary.Write(w, binary.LittleEndian, values) }
	})
}

// rewrite returns a copy of the reference checkpoint in which edit has changed what
// is written of one expert's tensors.
func rewrite(t *testing.T, expert string, edit func(weights.Tensor, *weights.Source)) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, expert)
	store, err := weights.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	var sources []weights.Source
	for _, name := range store.Names() {
		tensor, err := store.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		source := tensor.Source()
		edit(tensor, &source)
		sources = append(sources, source)
	}
	whole := filepath.Join(t.TempDir(), "whole.safetensors")
	if err := weights.WriteSafetensors(whole, sources, nil); err != nil {
		t.Fatal(err)
	}
	store.Close()
	old, err := filepath.Glob(filepath.Join(folder, "*.safetensors*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range old {
		os.Remove(file)
	}
	if err := os.Rename(whole, filepath.Join(folder, "diffusion_pytorch_model.safetensors")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestUnhealthyRunStops makes sure that a run whose numbers go bad stops at the
// step and names the step, the expert and the block.
func TestUnhealthyRunStops(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name, expert, prefix string
		change               func([]float32)
		where, found         string
		step                 int
	}{
		{"NaN in a block", weights.LowNoise, "blocks.1.ffn.2.bias", func(v []float32) { v[3] = nan }, "block 1", "NaN", 3},
		{"infinity in a block", weights.HighNoise, "blocks.0.ffn.2.bias", func(v []float32) { v[0] = float32(math.Inf(1)) }, "block 0", "inf", 1},
		{"no output", weights.HighNoise, "head.head.", func(v []float32) { clear(v) }, "output", "collapsed", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := spoil(t, c.expert, c.prefix, c.change)
			p := load(t, dir)
			job := quick(t)
			_, err := p.Generate(t.Context(), job, "", func(inference.Event) {})
			var bad *inference.UnhealthyError
			if !errors.As(err, &bad) {
				t.Fatalf("%v, want an UnhealthyError", err)
			}
			if bad.Expert != c.expert || bad.Step != c.step || bad.Where != c.where || !strings.Contains(bad.Found, c.found) {
				t.Errorf("%+v, want step %d, %s, %s, %s", bad, c.step, c.expert, c.where, c.found)
			}
			if _, err := os.Stat(job.Output); err == nil {
				t.Error("an unhealthy run left a video")
			}
			run, err := engine.ReadRun(strings.TrimSuffix(job.Output, ".mp4") + ".run")
			if err != nil || run.StepsDone != c.step-1 {
				t.Errorf("the run's folder: %d steps, %v, want %d", run.StepsDone, err, c.step-1)
			}
		})
	}
}
