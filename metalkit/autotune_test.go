package metalkit

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/dry"
)

// clockDriver runs nothing and says that it took as long as seconds has it for the
// kernels.
type clockDriver struct {
	dry.Driver
	system    string
	compilers int
	matmul2d  bool
	making    *sync.Mutex // guards names
	names     *[]string   // of pipelines
	runs      *[]string   // the last kernel of each run, in order
	seconds   func(kernel string, run int) float64
}

func newClock(seconds func(kernel string, run int) float64) clockDriver {
	chip, _ := FindChip("Apple M3 Ultra")
	return clockDriver{dry.New(planLimits(chip)), "macOS 15.1", 0, false, new(sync.Mutex), new([]string), new([]string), seconds}
}

func (d clockDriver) Limits() driver.Limits {
	l := d.Driver.Limits()
	l.Timed, l.System, l.Compilers, l.Matmul2D = true, d.system, d.compilers, d.matmul2d
	return l
}

func (d clockDriver) Pipeline(s driver.Specialisation) (int32, error) {
	d.making.Lock()
	defer d.making.Unlock()
	*d.names = append(*d.names, s.Kernel)
	return int32(len(*d.names) - 1), nil
}

func (d clockDriver) Run(_ context.Context, label string, dispatches []driver.Dispatch) (float64, error) {
	kernel := (*d.names)[dispatches[len(dispatches)-1].Pipeline]
	n := 0
	for _, r := range *d.runs {
		if r == kernel {
			n++
		}
	}
	if label == "tuning" {
		*d.runs = append(*d.runs, kernel)
	}
	return d.seconds(kernel, n), nil
}

// tuned opens a device over drv, and returns it with what its log says.
func tuned(t *testing.T, drv clockDriver, folder string) (*gpu, *bytes.Buffer) {
	t.Helper()
	log := new(bytes.Buffer)
	return openOver(t, drv, Options{Compute: device.BF16, Tuning: folder, Log: slog.New(slog.NewTextHandler(log, nil))}), log
}

// hot records one of each operation that has variants, three times, and returns the kernels
// that were chosen in the end.
func hot(t *testing.T, dev *gpu) []string {
	t.Helper()
	m := func(dt device.DType, rows, cols int) device.Mat { return allocMat(t, dev, dt, rows, cols) }
	x, w, y := m(device.BF16, 512, 256), m(device.BF16, 384, 256), m(device.F32, 512, 384)
	q, k := m(device.BF16, 512, 256), m(device.BF16, 1024, 256)
	in := device.Frames{Buf: x.Buf, DType: x.DType, T: 2, H: 16, W: 16, C: 256, FrameStride: 256 * 256}
	out := device.Frames{Buf: y.Buf, DType: y.DType, T: 2, H: 16, W: 16, C: 384, FrameStride: 256 * 384}
	var chosen []string
	seen := observed{dev, func(_ string, plan []planned) {
		for _, p := range plan {
			chosen = append(chosen, p.kernel)
		}
	}}
	for range 3 {
		err := seen.Do(t.Context(), "test", func(e device.Encoder) {
			e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y, Add: y})
			e.Record(device.Attention{Q: q, K: k, V: k, O: q, Heads: 2, Scale: 1})
			e.Record(device.Conv{X: in, Y: out, W: w, KT: 1, KH: 1, KW: 1, StrideT: 1, Stride: 1})
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(chosen[3:6], chosen[6:]) {
		t.Errorf("second %v, then %v", chosen[3:6], chosen[6:])
	}
	return chosen[6:]
}

// fastest has the kernels take nine milliseconds, but for these.
func fastest(kernels ...string) func(string, int) float64 {
	return func(kernel string, _ int) float64 {
		if slices.Contains(kernels, kernel) {
			return 0.7
		}
		return 1
	}
}

var quick = []string{"linear_bf16_64x64x32x4_xw", "attention_bf16_128x32x8", "conv_bf16_64x96x32x4"}

func TestTuner(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "tuning")
	drv := newClock(fastest(quick...))
	dev, log := tuned(t, drv, folder)
	if got := hot(t, dev); !slices.Equal(got, quick) {
		t.Errorf("chose %v, want %v", got, quick)
	}
	if held, _ := dev.Held(); held != 2031616 || log.Len() > 0 { // hot's operands
		t.Errorf("%d bytes are held after tuning; log: %s", held, log)
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*"))
	if len(files) != 1 || !strings.HasPrefix(filepath.Base(files[0]), "Apple-M3-Ultra-macOS-15.1-") {
		t.Fatalf("files %v", files)
	}

	// Another process reads the choices, and times nothing.
	again := newClock(fastest("linear_bf16_32x32x32x4"))
	dev, _ = tuned(t, again, folder)
	if got := hot(t, dev); !slices.Equal(got, quick) || len(*again.runs) > 0 {
		t.Errorf("from the file: %v after %d runs, want %v", got, len(*again.runs), quick)
	}

	// Choices of products in another type are kept beside them.
	exact := newClock(fastest("conv_f32_128x32x16x4"))
	if got := hot(t, openOver(t, exact, Options{Compute: device.F32, Tuning: folder})); got[2] != "conv_f32_128x32x16x4" {
		t.Errorf("in F32: %v", got)
	}
	again = newClock(fastest("linear_bf16_32x32x32x4"))
	dev, _ = tuned(t, again, folder)
	if got := hot(t, dev); !slices.Equal(got, quick) || len(*again.runs) > 0 {
		t.Errorf("in BF16 after F32: %v after %d runs, want %v", got, len(*again.runs), quick)
	}

	// Another system times anew, into a file of its own.
	other := newClock(fastest("linear_bf16_32x32x32x4"))
	other.system = "macOS 16.0"
	dev, _ = tuned(t, other, folder)
	if got := hot(t, dev); got[0] != "linear_bf16_32x32x32x4" {
		t.Errorf("on another system: %v", got)
	}
	if files, _ := filepath.Glob(filepath.Join(folder, "*")); len(files) != 2 {
		t.Errorf("files %v", files)
	}
}

// tuningFile returns the only file of choices of a folder.
func tuningFile(t *testing.T, folder string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	return files[0]
}

// TestTunerBrokenFile makes choices anew where the file is not one.
func TestTunerBrokenFile(t *testing.T) {
	folder := t.TempDir()
	dev, _ := tuned(t, newClock(fastest(quick...)), folder)
	hot(t, dev)
	path := tuningFile(t, folder)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"empty":          "",
		"cut":            string(good[:len(good)/2]),
		"no choices":     "{}",
		"of a chip":      strings.Replace(string(good), "Apple M3 Ultra", "Apple M1", 1),
		"of old kernels": strings.Replace(string(good), `"kernels": "`, `"kernels": "0`, 1),
		"no names":       strings.NewReplacer("64x64x32x4_xw", "9x9", "128x32x8", "9x9", "64x96x32x4", "9x9").Replace(string(good)),
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			dev, log := tuned(t, newClock(fastest(quick...)), folder)
			if got := hot(t, dev); !slices.Equal(got, quick) {
				t.Errorf("chose %v, want %v", got, quick)
			}
			if (log.Len() == 0) != (name == "no names") {
				t.Errorf("the log says %q", log)
			}
			if text, err := os.ReadFile(path); err != nil || !bytes.Equal(text, good) && name != "no names" || bytes.Count(text, []byte("Linear"))+bytes.Count(text, []byte("Attention"))+bytes.Count(text, []byte("Conv")) != 3 {
				t.Errorf("the file is not made anew: %v\n%s", err, text)
			}
		})
	}
}

// TestTunerMedian is not misled by a slow first run, nor by single fast ones.
func TestTunerMedian(t *testing.T) {
	drv := newClock(func(kernel string, run int) float64 {
		switch {
		case kernel == quick[0] && run == 0:
			return 0.0095 // warms up
		case kernel == quick[0]:
			return 0.0045
		case run == 2:
			return 0.0001
		}
		return 0.005
	})
	dev, _ := tuned(t, drv, "")
	if got := hot(t, dev); got[0] != quick[0] {
		t.Errorf("chose %v, want %v", got[0], quick[0])
	}
}

// TestTunerFails takes the fixed variants where nothing can be timed, and says where
// nothing can be kept.
func TestTunerFails(t *testing.T) {
	folder := t.TempDir()
	drv := newClock(func(string, int) float64 { return 0 }) // without a clock
	dev, _ := tuned(t, drv, folder)
	fixed := hot(t, dev)
	if kept, err := os.ReadDir(folder); err != nil || len(kept) > 0 {
		t.Errorf("choices without times are kept: %v, %v", kept, err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	dev, log := tuned(t, newClock(fastest(quick...)), filepath.Join(file, "tuning"))
	if got := hot(t, dev); !slices.Equal(got, quick) || slices.Equal(got, fixed) || log.Len() == 0 {
		t.Errorf("without a folder: %v, log %q", got, log)
	}
}

// TestTunerLong times long runs less often, and those that have no hope once.
func TestTunerLong(t *testing.T) {
	drv := newClock(func(kernel string, _ int) float64 {
		if kernel == "linear_bf16_128x64x32x8" {
			return 2
		}
		return 1
	})
	dev, _ := tuned(t, drv, "")
	hot(t, dev)
	count := map[string]int{}
	for _, kernel := range *drv.runs {
		count[kernel]++
	}
	if count["linear_bf16_64x64x32x4"] != 4 || count["linear_bf16_128x64x32x8"] != 1 {
		t.Errorf("runs: %v", count)
	}
}

// TestTunerCancelled chooses nothing for good where the context ends: the next submission
// times the variants again.
func TestTunerCancelled(t *testing.T) {
	folder := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	var drv clockDriver
	drv = newClock(func(string, int) float64 {
		if len(*drv.runs) > 0 {
			cancel()
		}
		return 0.001
	})
	dev, _ := tuned(t, drv, folder)
	x, o := allocMat(t, dev, device.BF16, 512, 256), allocMat(t, dev, device.F32, 512, 256)
	attention := func(e device.Encoder) { e.Record(device.Attention{Q: x, K: x, V: x, O: o, Heads: 2, Scale: 1}) }
	if err := dev.Do(t.Context(), "test", attention); err != nil || len(*drv.runs) > 0 {
		t.Errorf("at first: %v, %d runs", err, len(*drv.runs))
	}
	if err := dev.Do(ctx, "test", attention); !errors.Is(err, context.Canceled) {
		t.Errorf("want Canceled, got %v", err)
	}
	if kept, err := os.ReadDir(folder); err != nil || len(kept) > 0 {
		t.Errorf("choices are kept: %v, %v", kept, err)
	}
	before := len(*drv.runs)
	if err := dev.Do(t.Context(), "test", attention); err != nil || len(*drv.runs) <= before {
		t.Errorf("nothing is timed again: %d runs, then %d, %v", before, len(*drv.runs), err)
	}
}
