package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

var nf4 = inference.QuantNF4

// checkpointCopy returns a copy of the reference checkpoint, to be written to, and
// keeps what this machine has in the user's cache out of the test.
func checkpointCopy(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	dir := filepath.Join(t.TempDir(), "checkpoint")
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// loadQuantized opens the checkpoint in dir and returns its events too.
func loadQuantized(t *testing.T, dir string, o inference.Quant) (*engine.Pipeline, []inference.Event) {
	t.Helper()
	var events []inference.Event
	p, err := engine.Load(t.Context(), openDevice(t), dir, o, func(e inference.Event) {
		events = append(events, e)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p, events
}

// generate runs job with p, with its output in a new folder.
func generate(t *testing.T, p *engine.Pipeline, job inference.Job) (video []byte, latent []float32) {
	t.Helper()
	dir := t.TempDir()
	job.Output, job.DumpFile = filepath.Join(dir, "video.mp4"), filepath.Join(dir, "dump.safetensors")
	if _, err := p.Generate(t.Context(), job, "", func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	store, err := weights.Open(job.DumpFile)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	x, err := store.Tensor("latent")
	if err != nil {
		t.Fatal(err)
	}
	if latent, err = x.Float32s(); err != nil {
		t.Fatal(err)
	}
	return read(t, job.Output), latent
}

// TestQuantize makes sure that quantised weights are made once, with events, and
// give nearly the same latent.
func TestQuantize(t *testing.T) {
	dir := checkpointCopy(t)
	plain := load(t, dir)
	job := quick(t)
	job.Steps = 12
	_, want := generate(t, plain, job)
	for o, bound := range map[inference.Quant]float64{nf4: 0.5, inference.QuantNF4Double: 0.5, inference.QuantINT8: 0.05} {
		p, events := loadQuantized(t, dir, o)
		made, done := map[string]bool{}, 0
		for _, e := range events {
			switch e := e.(type) {
			case inference.Quantizing:
				made[e.Part] = e.Done == e.Total
			case inference.Quantized:
				done++
				if e.Quant != o.String() || !strings.HasPrefix(e.File, dir) || e.Bytes == 0 {
					t.Errorf("%+v", e)
				}
			}
		}
		if !made[weights.HighNoise] || !made[weights.LowNoise] || done != 2 {
			t.Errorf("%v: made %v, %d done", o, made, done)
		}
		_, got := generate(t, p, job)
		t.Logf("%v: latent after %d steps %.2g from F32", o, job.Steps, golden.RelL2(got, want))
		golden.Check(t, o.String(), got, want, bound)
		if golden.RelL2(got, want) == 0 {
			t.Errorf("%v: the same latent as without", o)
		}
		p, events = loadQuantized(t, dir, o)
		for _, e := range events {
			if e, again := e.(inference.Quantizing); again {
				t.Errorf("%v: made again: %+v", o, e)
			}
		}
		_, again := generate(t, p, job)
		golden.Check(t, o.String()+" again", again, got, 0)
	}
}

// TestQuantizedResume makes sure that a run goes on with the weights it began with,
// and that quantised weights beside a checkpoint do not make it another one.
func TestQuantizedResume(t *testing.T) {
	dir := checkpointCopy(t)
	plain := load(t, dir)
	job := quick(t)
	run := interrupt(t, plain, job, 1)
	quantised, _ := loadQuantized(t, dir, nf4)
	if _, err := quantised.Resume(t.Context(), run, func(inference.Event) {}); err == nil || !strings.Contains(err.Error(), "quant") {
		t.Errorf("resumed with other weights: %v", err)
	}
	if _, err := load(t, dir).Resume(t.Context(), run, func(inference.Event) {}); err != nil {
		t.Error(err)
	}

	want, _ := generate(t, quantised, job)
	job.Output = filepath.Join(t.TempDir(), "video.mp4")
	run = interrupt(t, quantised, job, 1)
	r, err := engine.ReadRun(run)
	if err != nil || r.Job.Quant != nf4 {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := quantised.Resume(t.Context(), run, func(inference.Event) {}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(read(t, job.Output), want) {
		t.Error("the resumed video differs")
	}
}

// TestPrequantized runs a checkpoint whose experts are there in bitsandbytes' NF4
// only, in the folders that such checkpoints have.
func TestPrequantized(t *testing.T) {
	dir := checkpointCopy(t)
	p, events := loadQuantized(t, dir, inference.QuantNF4Double)
	job := quick(t)
	want, _ := generate(t, p, job)
	for _, e := range events {
		e, ok := e.(inference.Quantized)
		if !ok {
			continue
		}
		own, folder := filepath.Join(dir, e.Part), filepath.Join(dir, e.Part+"_bnb_nf4")
		if err := os.Mkdir(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		for from, to := range map[string]string{e.File: "model.safetensors", filepath.Join(own, "config.json"): "config.json"} {
			if err := os.Rename(from, filepath.Join(folder, to)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.RemoveAll(own); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "google", "umt5-xxl"), filepath.Join(dir, "tokenizer")); err != nil {
		t.Fatal(err)
	}
	for _, o := range []inference.Quant{inference.QuantNone, nf4} {
		p, _ := loadQuantized(t, dir, o)
		if got, _ := generate(t, p, job); !bytes.Equal(got, want) {
			t.Errorf("quant %v: the video differs", o)
		}
	}
	int8, made := loadQuantized(t, dir, inference.QuantINT8)
	if got, _ := generate(t, int8, job); len(got) == 0 || !slices.ContainsFunc(made, func(e inference.Event) bool { _, ok := e.(inference.Quantized); return ok }) {
		t.Errorf("INT8 of NF4: %d bytes of video, events %v", len(got), made)
	}
}
