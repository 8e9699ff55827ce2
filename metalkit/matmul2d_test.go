//go:build !darwin && !cuda

package metalkit

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/driver/soft"
	"gimbal/metalkit/internal/roofline"
	"gimbal/metalkit/kernels"
)

// madeBy returns the kernels that a tuner asks for on a GPU of such a system and architecture, and
// those that it chooses.
func madeBy(t *testing.T, macOS driver.Version, architecture string, quick ...string) (made, chosen []string) {
	t.Helper()
	drv := newClock(fastest(quick...))
	drv.matmul2d = driver.HasMatmul2D(macOS, architecture)
	dev, _ := tuned(t, drv, "")
	chosen = hot(t, dev)
	return *drv.names, chosen
}

// TestMatmul2DGate has the second source seen from macOS 26.2 and generation 17 on only, and taken
// where it is the fastest only.
func TestMatmul2DGate(t *testing.T) {
	quickest := []string{"linear_matmul2d_bf16_64x128x4", "attention_matmul2d_bf16_128x32x4"}
	second := func(kernel string) bool { return kernels.LanguageOf(kernel) == kernels.Metal4 }
	for _, c := range []struct {
		macOS        driver.Version
		architecture string
		sees         bool
	}{
		{driver.Version{Major: 26, Minor: 1}, "applegpu_g17s", false},
		{driver.Version{Major: 26, Minor: 2}, "applegpu_g16s", false},
		{driver.Version{Major: 26, Minor: 2}, "applegpu_g17s", true},
	} {
		made, chosen := madeBy(t, c.macOS, c.architecture, quickest...)
		if slices.ContainsFunc(made, second) != c.sees || slices.Equal(chosen[:2], quickest) != c.sees {
			t.Errorf("%v, %s: made %v, chosen %v", c.macOS, c.architecture, made, chosen)
		}
		if made, chosen := madeBy(t, c.macOS, c.architecture, quick...); !slices.Equal(chosen, quick) || slices.ContainsFunc(made, second) != c.sees {
			t.Errorf("%v, %s: where others are faster, %v", c.macOS, c.architecture, chosen)
		}
	}
}

// TestMatmul2DChosen chooses matmul2d for a product, and not for one of the same size whose rows it
// does not read.
func TestMatmul2DChosen(t *testing.T) {
	const quickest = "linear_matmul2d_bf16_64x64x4"
	drv := newClock(fastest(quickest))
	drv.matmul2d = true
	dev, _ := tuned(t, drv, "")
	x, w, y := allocMat(t, dev, device.BF16, 129, 256), allocMat(t, dev, device.BF16, 384, 256), allocMat(t, dev, device.F32, 128, 384)
	x.Rows = 128
	for _, c := range []struct {
		offset int
		want   bool
	}{{0, true}, {4, false}, {8, true}} {
		x.Offset = c.offset
		for i := range 3 {
			if err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) }); err != nil {
				t.Fatal(err)
			}
			if kernel := dev.enc.plan[0].kernel; i == 2 && (kernel == quickest) != c.want {
				t.Errorf("from element %d on: %s", c.offset, kernel)
			}
		}
	}
}

// TestMatmul2DAttentionChosen chooses matmul2d for an attention, and not for one of the same size whose
// values it does not read.
func TestMatmul2DAttentionChosen(t *testing.T) {
	const quickest = "attention_matmul2d_bf16_64x32x4"
	drv := newClock(fastest(quickest))
	drv.matmul2d = true
	dev, _ := tuned(t, drv, "")
	q, v, o := allocMat(t, dev, device.F32, 64, 128), allocMat(t, dev, device.BF16, 65, 128), allocMat(t, dev, device.F32, 64, 128)
	k := allocMat(t, dev, device.BF16, 64, 128)
	v.Rows = 64
	for _, c := range []struct {
		offset int
		want   bool
	}{{0, true}, {4, false}, {8, true}} {
		v.Offset = c.offset
		for i := range 3 {
			if err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Attention{Q: q, K: k, V: v, O: o, Heads: 2, Scale: 1}) }); err != nil {
				t.Fatal(err)
			}
			if kernel := dev.enc.plan[0].kernel; i == 2 && (kernel == quickest) != c.want {
				t.Errorf("from element %d on: %s", c.offset, kernel)
			}
		}
	}
}

// openM5 returns a device over the software driver in the place of an M5, whose kernels are checked.
// Those whose names begin with bad do not compile, and those with lazy do nothing.
func openM5(t *testing.T, bad, lazy string, opts Options) (*gpu, *bytes.Buffer) {
	t.Helper()
	drv, err := soft.New(1, false)
	if err != nil {
		t.Fatal(err)
	}
	log := new(bytes.Buffer)
	opts.Compute, opts.Log = device.BF16, slog.New(slog.NewTextHandler(log, nil))
	opts.Oracle = func() (device.Device, error) { return cpu.Open(cpu.Options{}) }
	return openOver(t, lying{drv, lazy, 0, new(atomic.Int64), new([]string), bad}, opts), log
}

// products runs a dense product and one of INT8 weights some times, and returns the results.
func products(t *testing.T, dev *gpu) (results [2][]byte) {
	t.Helper()
	const m, n, k = 160, 136, 96
	x, w, codes, scale := allocMat(t, dev, device.BF16, m, k), allocMat(t, dev, device.BF16, n, k), allocMat(t, dev, device.I8, n, k), allocMat(t, dev, device.F32, 1, n)
	for i, to := range []device.Mat{x, w, codes, scale} {
		if err := dev.Write(t.Context(), to.Buf, sampleBytes(to.DType, to.Rows*to.Cols, uint32(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	weights := []device.Weight{device.DenseWeight(w), {Format: device.INT8, Data: codes, Out: n, In: k, Scale: scale}}
	for i, weight := range weights {
		y := allocMat(t, dev, device.F32, m, n)
		for range 3 {
			if err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Linear{X: x, W: weight, Y: y}) }); err != nil {
				t.Fatal(err)
			}
		}
		results[i] = make([]byte, 4*m*n)
		if err := dev.Read(t.Context(), results[i], y.Buf); err != nil {
			t.Fatal(err)
		}
	}
	return results
}

// TestMatmul2DRefused has the system refuse the second source: results are those of a GPU without it,
// the log and the device's description have it once, and the next process asks for nothing again.
func TestMatmul2DRefused(t *testing.T) {
	t.Parallel()
	plain, _ := openM5(t, "", "", Options{Fixed: true})
	want, folder := products(t, plain), t.TempDir()
	more := len(kernels.Instances("linear_matmul2d", "bfloat")) + len(kernels.Instances("linear_matmul2d_int8", "bfloat")) - 1
	entry := fmt.Sprintf(", and %d more for Neural Accelerators: does not compile: ", more)
	for i := range 2 {
		dev, log := openM5(t, "linear_matmul2d", "", Options{Tuning: folder})
		for j, got := range products(t, dev) {
			if !bytes.Equal(got, want[j]) {
				t.Errorf("result %d is another", j)
			}
		}
		if strings.Count(log.String(), "\n") != 1-i || strings.Contains(log.String(), "Neural Accelerators") != (i == 0) {
			t.Errorf("process %d logs %s", i, log)
		}
		listed := 0
		for _, p := range dev.Describe() {
			if p.Name == device.SwitchedOff {
				listed++
				if !strings.HasPrefix(p.Value, "linear_matmul2d_bf16_") || !strings.Contains(p.Value, entry) {
					t.Errorf("process %d lists %q", i, p.Value)
				}
			}
		}
		if listed != 1 {
			t.Errorf("process %d lists %d kernels", i, listed)
		}
	}
}

// TestMatmul2DWrong has a kernel of the second source compute nothing: it is found, named and not taken.
func TestMatmul2DWrong(t *testing.T) {
	t.Parallel()
	plain, _ := openM5(t, "", "", Options{Fixed: true})
	want := products(t, plain)
	for _, lazy := range []string{"linear_matmul2d_bf16_64x64x4", "linear_matmul2d_int8_bf16_128x128x8"} {
		dev, log := openM5(t, "", lazy, Options{})
		for j, got := range products(t, dev) {
			if by := difference(device.F32, got, want[j]); by > 1e-5 {
				t.Errorf("without %s result %d is off by %g", lazy, j, by)
			}
		}
		if off := dev.switchedOff(); len(off) != 1 || !strings.HasPrefix(off[0].Value, lazy+": differs") {
			t.Errorf("switched off: %v\n%s", off, log)
		}
	}
}

// attended runs an attention some times, and returns its results.
func attended(t *testing.T, dev *gpu) []byte {
	t.Helper()
	const nq, nk, cols = 70, 96, 2 * 64
	q, k, v, o := allocMat(t, dev, device.BF16, nq, cols), allocMat(t, dev, device.BF16, nk, cols), allocMat(t, dev, device.BF16, nk, cols), allocMat(t, dev, device.F32, nq, cols)
	for i, to := range []device.Mat{q, k, v} {
		if err := dev.Write(t.Context(), to.Buf, sampleBytes(to.DType, to.Rows*to.Cols, uint32(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Attention{Q: q, K: k, V: v, O: o, Heads: 2, Scale: 1}) }); err != nil {
			t.Fatal(err)
		}
	}
	result := make([]byte, 4*nq*cols)
	if err := dev.Read(t.Context(), result, o.Buf); err != nil {
		t.Fatal(err)
	}
	return result
}

// TestMatmul2DAttentionWrong has attention by matmul2d refused by the compiler, compute nothing, and find no
// way from elements to their rows: it is named and not taken, and the results are the others'.
func TestMatmul2DAttentionWrong(t *testing.T) {
	t.Parallel()
	plain, _ := openM5(t, "", "", Options{Fixed: true})
	want := attended(t, plain)
	var all []string
	for _, k := range kernels.Instances("attention_matmul2d", "bfloat") {
		if k.Sizes[0] == 64 {
			all = append(all, k.Name)
		}
	}
	for _, c := range []struct {
		what, bad, lazy string
		registers       soft.Registers
		off             []string // begin what is switched off
	}{
		{what: "right"},
		{what: "right, by way of memory", registers: soft.Apart},
		{what: "lazy", lazy: all[1], off: []string{all[1] + ": differs"}},
		{what: "refused", bad: "attention_matmul2d", off: []string{all[0] + ", and 1 more for Neural Accelerators: does not compile"}},
		{what: "no way", registers: soft.Unmapped, off: []string{all[0] + ": differs", all[1] + ": differs"}},
	} {
		dev, log := openM5(t, c.bad, c.lazy, Options{})
		dev.drv.(lying).Lay(c.registers)
		if by := difference(device.F32, attended(t, dev), want); by > 1e-2 {
			t.Errorf("%s: off by %g", c.what, by)
		}
		off := dev.switchedOff()
		if len(off) != len(c.off) {
			t.Errorf("%s: %v is switched off\n%s", c.what, off, log)
		}
		for i := range min(len(off), len(c.off)) {
			if !strings.HasPrefix(off[i].Value, c.off[i]) {
				t.Errorf("%s: %s, want %s", c.what, off[i].Value, c.off[i])
			}
		}
	}
}

// TestMatmul2DNeverFixed has no other kernel compile than those of the second source, which the tuner alone
// may choose.
func TestMatmul2DNeverFixed(t *testing.T) {
	dev, _ := openM5(t, "linear_bf16", "", Options{})
	dev.choices.SetWrong("linear_f32_64x64x16x4", "planted")
	x, w, y := allocMat(t, dev, device.BF16, 64, 64), allocMat(t, dev, device.BF16, 64, 64), allocMat(t, dev, device.F32, 64, 64)
	err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) })
	if err == nil || !strings.Contains(err.Error(), "linear_bf16") {
		t.Errorf("got %v", err)
	}
}

// TestMatmul2DRows leaves rows alone that lie further apart than an M5 reads, or begin elsewhere than
// at multiples of 16 bytes.
func TestMatmul2DRows(t *testing.T) {
	dev := openOver(t, &nullDriver{max: driver.Limits{WorkingSet: 1 << 40, Matmul2D: true}}, Options{Compute: device.BF16})
	big := allocMat(t, dev, device.BF16, 64, 1<<15)
	y := allocMat(t, dev, device.F32, 64, 64)
	for _, c := range []struct {
		offset, cols, stride int
		want                 bool
	}{{0, 64, 64, true}, {0, 64, 1<<15 - 8, true}, {0, 64, 1 << 15, false}, {4, 64, 64, false}, {8, 64, 64, true}, {0, 64, 68, false}} {
		x := device.Mat{Buf: big.Buf, DType: device.BF16, Offset: c.offset, Rows: 32, Cols: c.cols, Stride: c.stride}
		w := device.Mat{Buf: big.Buf, DType: device.BF16, Rows: 64, Cols: c.cols, Stride: c.cols}
		names := dev.Variants(device.Linear{X: x, W: device.DenseWeight(w), Y: device.Mat{Buf: y.Buf, DType: device.F32, Rows: 32, Cols: 64, Stride: 64}})
		if got := slices.Contains(names, "matmul2d 64x64x4"); got != c.want {
			t.Errorf("%+v: %v", c, names)
		}
	}
}

// TestMatmul2DAttentions leaves attentions alone whose keys and values it does not take as they are.
func TestMatmul2DAttentions(t *testing.T) {
	dev := openOver(t, &nullDriver{max: driver.Limits{WorkingSet: 1 << 40, Matmul2D: true}}, Options{Compute: device.BF16})
	big := allocMat(t, dev, device.F32, 1<<10, 1<<13).Buf
	mat := func(t device.DType, offset, rows, cols, stride int) device.Mat {
		return device.Mat{Buf: big, DType: t, Offset: offset, Rows: rows, Cols: cols, Stride: max(cols, stride)}
	}
	type attention struct {
		keys, head, offset, stride int
		k, v                       device.DType
		want                       string
	}
	const bf16 = device.BF16
	for _, c := range []attention{
		{64, 128, 0, 0, bf16, bf16, "matmul2d 128x32x4 matmul2d 128x64x4"},
		{33, 128, 0, 0, bf16, bf16, "matmul2d 128x32x4"},
		{32, 64, 8, 1<<15 - 8, bf16, bf16, "matmul2d 64x32x4"},
		{31, 128, 0, 0, bf16, bf16, ""},
		{64, 96, 0, 0, bf16, bf16, ""},
		{64, 256, 0, 0, bf16, bf16, ""},
		{64, 128, 4, 0, bf16, bf16, ""},
		{64, 128, 0, 1 << 15, bf16, bf16, ""},
		{64, 128, 0, 0, device.F32, bf16, ""},
		{64, 128, 0, 0, bf16, device.F16, ""},
	} {
		cols := 2 * c.head
		q, o := allocMat(t, dev, device.F32, 20, cols), allocMat(t, dev, device.F32, 20, cols)
		k, v := mat(c.k, c.offset, c.keys, cols, c.stride), mat(c.v, 0, c.keys, cols, 0)
		for _, a := range []device.Attention{{K: k, V: v}, {K: mat(c.k, 0, c.keys, cols, 0), V: mat(c.v, c.offset, c.keys, cols, c.stride)}} {
			a.Q, a.O, a.Heads = q, o, 2
			var got []string
			for _, name := range dev.Variants(a) {
				if strings.HasPrefix(name, "matmul2d") {
					got = append(got, name)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%+v: %v", c, got)
			}
		}
	}
}

// TestNeuralAccelerators times and sizes what runs by matmul2d at its own rate, and nothing else.
func TestNeuralAccelerators(t *testing.T) {
	for _, c := range Chips() {
		want := 1.0
		if strings.HasPrefix(c.Name, "Apple M5") {
			want = 4
		}
		work := roofline.Dispatch{Groups: 1 << 20, Threads: 128, FLOPs: 1e15}
		plain, _ := c.Time(work)
		work.Matmul2D = true
		if fast, _ := c.Time(work); c.Speedup() != want || plain/fast != want {
			t.Errorf("%s: %g times as fast, %g s and %g s", c.Name, c.Speedup(), plain, fast)
		}
	}
	chip, _ := FindChip("M5 Max")
	dev := openOver(t, &nullDriver{max: planLimits(chip)}, Options{Compute: device.BF16})
	some := planned{dispatch: dispatch{productFLOPs: 1e12}}
	share := dev.shareOfCommandBuffer(some)
	some.matmul2d = true
	if fast := dev.shareOfCommandBuffer(some); share != 4*fast {
		t.Errorf("shares of a command buffer: %g, by matmul2d %g", share, fast)
	}
	for l := range launches(t) {
		if second := kernels.LanguageOf(l.kernel) == kernels.Metal4; l.matmul2d != second {
			t.Errorf("%s is sized and timed as by matmul2d: %v", l.kernel, l.matmul2d)
		}
	}
}
