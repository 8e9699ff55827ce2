package main

import (
	"bytes"
	"encoding/json"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference/bench"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
)

// tinyDims are those of a synthetic model that takes no time.
const tinyDims = "dim=64,ffn=128,heads=4,layers=2,vae=8,frames=5,height=32,width=48"

// ownFolders keeps the user's cache out of the test and returns the folder that
// temporary files of the program go to.
func ownFolders(t *testing.T) (temp string) {
	t.Helper()
	cache, temp := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", cache)
	t.Setenv("TMPDIR", temp)
	return temp
}

// benchReport is a report as its JSON has it, with rows of a benchmark's own.
type benchReport[Row any] struct {
	bench.Report
	Rows []Row `json:"rows"`
}

// benchmarked runs a benchmark of the program and returns its output and report.
func benchmarked[Row any](t *testing.T, args ...string) (out string, r benchReport[Row]) {
	t.Helper()
	temp := ownFolders(t)
	dir := filepath.Join(t.TempDir(), "report")
	out, errs, code := gimbal(t, append(append([]string{"bench"}, args...), "--out", dir)...)
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
	}
	if left, _ := os.ReadDir(temp); len(left) > 0 {
		t.Errorf("%v left temporary files: %v", args, left)
	}
	return out, readReport[Row](t, dir, args[0])
}

// readReport reads a report's JSON, of which no field may be unknown, and checks what
// every report has; its plot must be a picture with something on it.
func readReport[Row any](t *testing.T, dir, name string) (r benchReport[Row]) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	var raw map[string]any
	if err := json.Unmarshal(text, &raw); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"benchmark", "started", "seconds", "machine", "device", "model", "settings", "rows"} {
		if v := raw[key]; v == nil || reflect.ValueOf(v).IsZero() {
			t.Errorf("%s: %q is %v", name, key, v)
		}
	}
	if m := r.Machine; m.Cores < 1 || m.Memory < 1<<20 || m.OS == "" || m.Arch == "" {
		t.Errorf("%s: machine %+v", name, m)
	}
	if r.Benchmark != name || len(r.Rows) == 0 {
		t.Errorf("%s: benchmark %q with %d rows", name, r.Benchmark, len(r.Rows))
	}
	plot, err := os.ReadFile(filepath.Join(dir, name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(plot))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	size, colours := img.Bounds(), map[any]bool{}
	for y := size.Min.Y; y < size.Max.Y; y += 3 {
		for x := size.Min.X; x < size.Max.X; x += 3 {
			colours[img.At(x, y)] = true
		}
	}
	if size.Dx() < 600 || size.Dy() < 300 || len(colours) < 3 {
		t.Errorf("%s: plot of %v with %d colours", name, size, len(colours))
	}
	return r
}

func TestBenchQuantization(t *testing.T) {
	out, r := benchmarked[bench.QuantizationRow](t, "quantization", "--quant_types", "none", "nf4", "nf4-double", "int8", "--synthetic", tinyDims)
	var kinds []string
	for i, row := range r.Rows {
		kinds = append(kinds, row.Quant)
		if row.WeightBytes <= 0 || row.WorkingBytes <= 0 || row.StepSeconds <= 0 || row.ProductSeconds <= 0 || row.ProductRatio <= 0 {
			t.Errorf("%+v", row)
		}
		if i == 0 {
			continue
		}
		if row.WeightBytes >= r.Rows[0].WeightBytes || row.QuantizeSeconds <= 0 || len(row.Layers) == 0 {
			t.Errorf("%s: %+v", row.Quant, row)
		}
		if e := row.LatentError; e == nil || !(*e > 0 && *e < 0.5) {
			t.Errorf("%s: latent error %v", row.Quant, e)
		}
		if row.PSNR != nil {
			t.Errorf("%s: PSNR %v of random weights", row.Quant, *row.PSNR)
		}
		bound := map[string]float64{"nf4": 0.15, "nf4-double": 0.15, "int8": 0.02}[row.Quant]
		for _, l := range row.Layers {
			if !(l.Error > 0 && l.Error < bound) {
				t.Errorf("%s: error %v of layer %s", row.Quant, l.Error, l.Layer)
			}
		}
	}
	if want := []string{"none", "nf4", "nf4-double", "int8"}; !slices.Equal(kinds, want) {
		t.Errorf("rows %v, want %v", kinds, want)
	}
	for _, want := range append(kinds, "blocks.*.ffn.2", "video PSNR", "cores", "load average") {
		if !strings.Contains(out, want) {
			t.Errorf("the table does not say %q:\n%s", want, out)
		}
	}
	if len(r.Totals) != 0 {
		t.Errorf("totals of a model that is no part of the real one: %v", r.Totals)
	}
}

// TestBenchExtrapolation makes sure that what was worked out for the whole model
// says so; the sizes are right to what arithmetic says of an expert.
func TestBenchExtrapolation(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a layer of the real size")
	}
	out, r := benchmarked[bench.QuantizationRow](t, "quantization", "--quant_types", "nf4", "--sample_steps", "1", "--synthetic", "real,height=16,width=16")
	if len(r.Totals) != 2 || len(r.Notes) == 0 {
		t.Fatalf("totals %v, notes %v", r.Totals, r.Notes)
	}
	for _, total := range r.Totals {
		if !total.Extrapolated || total.How == "" || !strings.Contains(out, total.String()) {
			t.Errorf("%+v", total)
		}
	}
	if size := r.Totals[0].Value; size < 8.8 || size > 10.5 {
		t.Errorf("an expert in NF4 has %v GB, want 8.8 to 10.5", size)
	}
}

func TestBenchVAE(t *testing.T) {
	_, r := benchmarked[bench.VAERow](t, "vae", "--chunk_sizes", "1,2", "0", "--synthetic", strings.Replace(tinyDims, "frames=5", "frames=13", 1))
	if len(r.Rows) != 3 {
		t.Fatalf("%d rows, want 3", len(r.Rows))
	}
	for _, row := range r.Rows {
		if row.Frames != 13 || !row.SameBits || row.Seconds <= 0 || row.WorkingBytes <= 0 {
			t.Errorf("%+v", row)
		}
	}
	if r.Rows[2].Chunk != 0 || r.Rows[2].WorkingBytes <= r.Rows[0].WorkingBytes {
		t.Errorf("all at once takes %d bytes, one at a time %d", r.Rows[2].WorkingBytes, r.Rows[0].WorkingBytes)
	}
}

func TestBenchSteps(t *testing.T) {
	out, r := benchmarked[bench.StepsRow](t, "steps", "--frames", "5", "81", "--quant", "int8", "--synthetic", strings.Replace(tinyDims, "height=32,width=48", "height=16,width=32", 1))
	if len(r.Rows) != 2 || r.Rows[0].Frames != 5 || r.Rows[1].Frames != 81 {
		t.Fatalf("%+v", r.Rows)
	}
	for _, row := range r.Rows {
		if row.Tokens != ((row.Frames-1)/4+1)*2 || row.StepSeconds <= 0 || row.BlockSeconds > row.StepSeconds || row.DecodeSeconds <= 0 {
			t.Errorf("%+v", row)
		}
	}
	if !strings.Contains(out, "2 steps at 32x16") {
		t.Errorf("the clip is of another size than asked for:\n%s", out)
	}
	if !strings.Contains(out, "extrapolated: from 2 steps") {
		t.Errorf("the total of 20 steps does not say that it was extrapolated:\n%s", out)
	}
}

func TestBenchAttention(t *testing.T) {
	_, r := benchmarked[bench.AttentionRow](t, "attention", "--lengths", "16", "33", "--attention_chunks", "0", "7", "--attention_dtypes", "f32", "f16", "--synthetic", tinyDims)
	if len(r.Rows) != 8 {
		t.Fatalf("%d rows, want 8", len(r.Rows))
	}
	for _, row := range r.Rows {
		bound := map[string]float64{"F32": 1e-6, "F16": 2e-3}[row.DType]
		if !(row.Error <= bound) || row.Rate <= 0 || math.IsInf(row.Rate, 0) || row.WorkingBytes <= 0 {
			t.Errorf("%+v", row)
		}
	}
}

// TestBenchStandard runs the set that a user sends in.
func TestBenchStandard(t *testing.T) {
	ownFolders(t)
	dir := filepath.Join(t.TempDir(), "report")
	out, errs, code := gimbal(t, "bench", "--synthetic", tinyDims, "--out", dir)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	readReport[bench.QuantizationRow](t, dir, "quantization")
	readReport[bench.VAERow](t, dir, "vae")
	readReport[bench.StepsRow](t, dir, "steps")
	readReport[bench.AttentionRow](t, dir, "attention")
	text, err := os.ReadFile(filepath.Join(dir, "report.txt"))
	if err != nil || !strings.HasPrefix(out, string(text)) || !strings.Contains(out, "report: "+dir) {
		t.Errorf("report.txt, %v, is not what was printed:\n%s", err, out)
	}
}

// TestBenchCheckpoint measures the demo model, whose trained weights say what
// quantisation costs: the latent after its steps and the video that becomes of it.
func TestBenchCheckpoint(t *testing.T) {
	_, r := benchmarked[bench.QuantizationRow](t, "quantization", "--frame_num", "5", "--sample_steps", "4", "--max_area", "9216")
	if r.Model.Checkpoint == "" || len(r.Rows) != 3 {
		t.Fatalf("%+v", r)
	}
	for _, row := range r.Rows[1:] {
		t.Logf("%s: latent error %.3g, video PSNR %.3g dB", row.Quant, *row.LatentError, *row.PSNR)
	}
	if e := *r.Rows[2].LatentError; r.Rows[2].Quant != "int8" || e > 0.02 {
		t.Errorf("latent error %v in %s, want 0.02 at most in int8", e, r.Rows[2].Quant)
	}
	if p := *r.Rows[2].PSNR; p < 30 {
		t.Errorf("video PSNR %v dB in int8, want 30 at least", p)
	}
}

// TestBenchInterrupt makes sure that a benchmark, which would take minutes, ends soon after an
// interrupt, whatever it is at, and leaves nothing behind.
func TestBenchInterrupt(t *testing.T) {
	for _, at := range []string{"writing random weights", "weights in nf4", "step 1"} {
		temp := ownFolders(t)
		cmd := exec.Command(program, "bench", "quantization", "--quant_types", "nf4", "--sample_steps", "50", "--out", filepath.Join(temp, "report"),
			"--synthetic", "dim=2048,ffn=8192,heads=16,layers=3,vae=16,frames=5,height=128,width=128")
		errs, err := cmd.StderrPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		waitFor(t, errs, at)
		time.Sleep(30 * time.Millisecond)
		began := time.Now()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, errs)
		cmd.Wait()
		if code, took := cmd.ProcessState.ExitCode(), time.Since(began); code != 130 || took > 10*time.Second {
			t.Errorf("interrupted at %q: exit code %d after %v, want 130 within ten seconds", at, code, took)
		}
		if left, _ := os.ReadDir(temp); len(left) > 0 {
			t.Errorf("interrupted at %q: left %v", at, left)
		}
	}
}

// waitFor reads until text comes.
func waitFor(t *testing.T, from io.Reader, text string) {
	t.Helper()
	var seen []byte
	for one := make([]byte, 1); !bytes.Contains(seen, []byte(text)); seen = append(seen, one[0]) {
		if _, err := from.Read(one); err != nil {
			t.Fatalf("%v before %q came:\n%s", err, text, seen)
		}
	}
}

// TestBenchCaches holds the cache's figures to what a cache is: fewer passes, another video.
func TestBenchCaches(t *testing.T) {
	out, r := benchmarked[bench.CachesRow](t, "caches", "--thresholds", "0.0001", "0.2", "--first", "3", "--frame_num", "5", "--sample_steps", "12", "--max_area", "9216",
		"--magcache_thresholds", "0.2", "--magcache_most", "1", "--teacache_thresholds", "0.3")
	if len(r.Rows) != 5 {
		t.Fatalf("%d rows\n%s", len(r.Rows), out)
	}
	plain, near, far := r.Rows[0], r.Rows[1], r.Rows[2]
	if plain.Cache != "" || plain.Passes != 24 || plain.PSNR != 99 || math.Abs(plain.SSIM-1) > 1e-9 || plain.Motion == 0 || plain.Faster != 1 {
		t.Errorf("without: %+v", plain)
	}
	if near.Passes > 24 || far.Passes >= near.Passes || far.Passes < 8 || far.PSNR >= near.PSNR || far.SSIM > near.SSIM || far.MotionKept <= 0 {
		t.Errorf("with: %+v, %+v", near, far)
	}
	for i, want := range []string{"magcache 0.2,1,0.1", "teacache 0.3,own"} {
		if row := r.Rows[3+i]; row.String() != want || row.Passes >= 24 || row.Passes < 4 || row.PSNR >= 99 || row.MotionKept <= 0 {
			t.Errorf("%s: %+v", want, row)
		}
	}
	if !strings.Contains(out, "recommended") || strings.Contains(out, "for this report only") {
		t.Errorf("nothing is recommended, nor not:\n%s", out)
	}
}

// TestBenchCalibrate calibrates a checkpoint, after which a video is made by it; before, the
// command line says what to run. The demo brings a calibration of its own.
func TestBenchCalibrate(t *testing.T) {
	ownFolders(t)
	config := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", config)
	demo, err := assets.UnpackDemo(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	own, err := engine.Fingerprint(demo.Checkpoint)
	if err == nil {
		err = os.Remove(filepath.Join(demo.Checkpoint, weights.CalibrationFile(own)))
	}
	if err != nil {
		t.Fatalf("%v: calibrate the demo again", err)
	}
	generate := func(flags ...string) (string, int) {
		_, errs, code := gimbal(t, append([]string{"generate", "--task", "i2v-A14B", "--ckpt_dir", demo.Checkpoint, "--image", filepath.Join(demo.Pictures, "meadow.png"),
			"--prompt", "a walk", "--frame_num", "5", "--max_area", "9216", "--save_file", filepath.Join(t.TempDir(), "video.mp4")}, flags...)...)
		return errs, code
	}
	if errs, code := generate("--magcache", "0.2"); code != 1 || !strings.Contains(errs, "--magcache: there is no calibration of "+demo.Checkpoint) || !strings.Contains(errs, "gimbal bench calibrate --ckpt_dir "+demo.Checkpoint) {
		t.Fatalf("exit code %d without a calibration\n%s", code, errs)
	}
	if out, errs, code := gimbal(t, "bench", "caches", "--ckpt_dir", demo.Checkpoint, "--caches", "teacache", "--teacache_thresholds", "0.3", "--sample_steps", "9", "--max_area", "9216", "--out", filepath.Join(t.TempDir(), "report")); code != 0 || !strings.Contains(out, "for this report only") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	out, r := benchmarked[bench.CalibrateRow](t, "calibrate", "--ckpt_dir", demo.Checkpoint, "--frame_num", "5", "--max_area", "9216")
	if len(r.Rows) != 12 || r.Rows[0].Ratio != 0 || r.Rows[5].Ratio < 0.5 || r.Rows[5].Ratio > 2 || r.Rows[5].Signal <= 0 {
		t.Fatalf("%+v\n%s", r.Rows, out)
	}
	kept, err := filepath.Glob(filepath.Join(demo.Checkpoint, "gimbal-calibration-*.json"))
	if err != nil || len(kept) != 1 || !strings.Contains(out, kept[0]) {
		t.Fatalf("%q, %v\n%s", kept, err, out)
	}
	for _, flags := range [][]string{{"--magcache", "0.2,1"}, {"--teacache", "0.3"}} {
		if errs, code := generate(flags...); code != 0 {
			t.Errorf("%q: exit code %d\n%s", flags, code, errs)
		}
	}
}

func TestBenchUsage(t *testing.T) {
	ownFolders(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"quantization", "--quant_types", "fp4"}, "fp4"},
		{[]string{"quantization", "--quant_types"}, "quant_types"},
		{[]string{"vae", "--chunk_sizes", "1", "two"}, "two"},
		{[]string{"vae", "--synthetic", "depth=3"}, "depth=3"},
		{[]string{"vae", "--synthetic", "heads=7"}, "multiple of twice heads"},
		{[]string{"vae", "--synthetic", "real", "--ckpt_dir", "x"}, "one of them"},
		{[]string{"steps", "--frames", "6"}, "5 and 9"},
		{[]string{"caches", "--thresholds", "0.05", "0"}, "more than 0"},
		{[]string{"caches", "--first", "23"}, "more steps"},
		{[]string{"caches", "--sample_steps", "4"}, "a model of a few steps"},
		{[]string{"caches", "--synthetic", "real"}, "trained"},
		{[]string{"caches", "--caches", "deepcache"}, "deepcache"},
		{[]string{"caches", "--teacache_model", "ltx"}, "wan2.1-480p"},
		{[]string{"calibrate", "--synthetic", "real"}, "checkpoint"},
		{[]string{"attention", "--attention_dtypes", "f64"}, "f64"},
		{[]string{"speed"}, "speed"},
	} {
		if out, errs, code := gimbal(t, append([]string{"bench"}, c.args...)...); code != 2 || !strings.Contains(errs, c.want) {
			t.Errorf("%v: exit code %d, want 2 and %q\n%s%s", c.args, code, c.want, out, errs)
		}
	}
}

// TestBenchKernel times one operation on the CPU, which has one way to run it.
func TestBenchKernel(t *testing.T) {
	out, r := benchmarked[bench.KernelRow](t, "kernel", "linear", "40x24x16", "--device", "cpu", "--weights", "nf4", "--runs", "1")
	if row := r.Rows[0]; len(r.Rows) != 1 || row.Variant != "" || row.Seconds <= 0 || row.Share <= 0 {
		t.Errorf("%+v", r.Rows)
	}
	if !strings.Contains(out, "Linear 40x24x16 BF16*NF4") || !strings.Contains(out, "share of the peak") {
		t.Error(out)
	}
	for _, wrong := range [][]string{{"linear"}, {"linear", "40x24"}, {"gemm", "1x2x3"}, {"norm", "2x2", "--x", "i8"}, {"norm", "2x0"}} {
		if _, errs, code := gimbal(t, append([]string{"bench", "kernel"}, wrong...)...); code != 2 {
			t.Errorf("%v: exit code %d\n%s", wrong, code, errs)
		}
	}
}
