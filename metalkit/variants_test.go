//go:build !darwin

package metalkit

import (
	"bytes"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/internal/tune"
)

// TestVariants runs the parts of the conformance suite that a variant serves, for
// every variant: it is taken wherever it fits. Tiles in 16 bits have to give the bits
// of the one that TestNarrow runs, which TestTilesAgree sees to.
func TestVariants(t *testing.T) {
	for _, c := range computes {
		narrow := c.dtype != device.F32
		if narrow && testing.Short() {
			continue
		}
		opts := devicetest.Options{Product: productBound}
		if narrow {
			opts.Product = 5 * c.bound // 20 u, as in TestNarrow
		}
		check := func(name string, f forced, parts ...string) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				dev := openTest(t, Options{Compute: c.dtype})
				if f.op == tune.Linear && linearVariants()[f.variant].wide && !dev.widens() {
					t.Skip("this GPU multiplies in BF16")
				}
				opts := opts
				opts.Parts = parts
				devicetest.Run(t, forcedDevice{dev, f}, opts)
				if !dev.ran(f) {
					t.Error("it fits nothing")
				}
			})
		}
		for i, v := range linearVariants() {
			if tables()[device.BF16].linear[v.tile].matmul2d {
				continue // TestMatmul2D
			}
			part := "Linear"
			if v.expand {
				part = "Quantised"
			}
			if v.wide == (c.dtype == device.BF16) && v.wide == narrow {
				check("Linear "+v.name, forced{tune.Linear, i}, part)
			}
		}
		for i, v := range tables()[c.dtype].attention {
			if v.matmul2d {
				continue // TestMatmul2D
			}
			check("Attention "+v.name, forced{tune.Attention, i}, "Attention")
		}
		for i, v := range tables()[c.dtype].conv {
			if !narrow {
				check("Conv "+v.name, forced{tune.Conv, i}, "Conv", "ConvFrames")
			}
		}
	}
}

// TestMatmul2D runs the parts of the conformance suite that matmul2d serves, each by one of its
// tiles, and Attention by all; TestTilesAgree compares the other tiles.
func TestMatmul2D(t *testing.T) {
	t.Parallel()
	type variant struct {
		op         tune.Op
		part, name string
	}
	all := []variant{
		{tune.Linear, "Linear", "matmul2d 64x64x4"}, {tune.Linear, "Quantised", "matmul2d int8 64x64x4"}, {tune.Linear, "Quantised", "expand matmul2d 64x128x4"},
		{tune.Conv, "Conv", "matmul2d 64x64x32x4"}, {tune.Conv, "ConvFrames", "matmul2d 128x32x32x4"},
	}
	for _, v := range tables()[device.BF16].attention {
		if v.matmul2d {
			all = append(all, variant{tune.Attention, "Attention", v.name})
		}
	}
	for _, c := range computes {
		if c.dtype == device.F32 || testing.Short() && c.dtype == device.F16 {
			continue
		}
		for _, v := range all {
			t.Run(c.name+"/"+v.part+" "+v.name, func(t *testing.T) {
				t.Parallel()
				dev := openTest(t, Options{Compute: c.dtype})
				if !dev.limits.Matmul2D {
					t.Skip("this GPU has no Neural Accelerators")
				}
				conforms(t, dev, variantNamed(t, v.op, v.name), v.part, c.bound)
			})
		}
	}
}

// conforms runs a part of the conformance suite by a variant of products in 16 bits.
func conforms(t *testing.T, dev *gpu, f forced, part string, bound float64) {
	devicetest.Run(t, forcedDevice{dev, f}, devicetest.Options{Product: 5 * bound, Parts: []string{part}}) // 20 u, as in TestNarrow
	if !dev.ran(f) {
		t.Error("it fits nothing")
	}
}

// TestTilesAgree compares the bits of products and convolutions by every tile, in every
// type: which one is chosen may not show.
func TestTilesAgree(t *testing.T) {
	t.Parallel()
	for _, c := range computes {
		t.Run(c.name, func(t *testing.T) {
			dev := openTest(t, Options{Compute: c.dtype})
			for _, size := range [][4]int{{1, 72, 136, 96}, {1, 72, 136, 104}, {2, 72, 136, 104}, {1, 77, 139, 101}, {3, 70, 33, 12}} { // in the first, 16 bits are copied as they are
				tilesAgree(t, dev, c.dtype, size)
			}
			for _, v := range append(slices.Clone(dev.variants.linear), dev.variants.conv...) {
				if !slices.ContainsFunc(slices.Collect(maps.Keys(dev.pipelines)), func(s driver.Specialisation) bool { return s.Kernel == v.kernel }) {
					t.Errorf("%s has not run", v.kernel)
				}
			}
		})
	}
}

// tilesAgree compares tiles on frames of pixels, n results of k channels each, with a
// kernel of 1 x 2 pixels for Conv.
func tilesAgree(t *testing.T, dev *gpu, dtype device.DType, size [4]int) {
	frames, pixels, n, k := size[0], size[1], size[2], size[3]
	m := frames * pixels
	x, w, taps := allocMat(t, dev, dtype, m, k), allocMat(t, dev, dtype, n, k), allocMat(t, dev, dtype, n, 2*k)
	y := allocMat(t, dev, device.F32, m, n)
	codes, scale := allocMat(t, dev, device.I8, n, k), allocMat(t, dev, device.F32, 1, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, to := range []device.Mat{x, w, taps, scale} {
		values := make([]float32, to.Rows*to.Cols)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		fill(t, dev, to, values)
	}
	bits := make([]byte, n*k)
	for i := range bits {
		bits[i] = byte(rng.Uint32())
	}
	if err := dev.Write(t.Context(), codes.Buf, bits); err != nil {
		t.Fatal(err)
	}
	run := func(f forced, record func(device.Encoder)) []byte {
		if err := (forcedDevice{dev, f}).Do(t.Context(), "test", record); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4*m*n)
		if err := dev.Read(t.Context(), got, y.Buf); err != nil {
			t.Fatal(err)
		}
		return got
	}
	dense := func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) }
	int8s := func(e device.Encoder) {
		e.Record(device.Linear{X: x, W: device.Weight{Format: device.INT8, Data: codes, Out: n, In: k, Scale: scale}, Y: y, Act: device.SiLU})
	}
	conv := func(e device.Encoder) {
		e.Record(device.Conv{
			X: device.Frames{Buf: x.Buf, DType: x.DType, T: frames, H: 1, W: pixels, C: k, FrameStride: pixels * k},
			Y: device.Frames{Buf: y.Buf, DType: y.DType, T: frames, H: 1, W: pixels, C: n, FrameStride: pixels * n},
			W: taps, KT: 1, KH: 1, KW: 2, PadW: 1, StrideT: 1, Stride: 1,
		})
	}
	wantDense, wantInt8s, wantConv := run(forced{}, dense), run(forced{}, int8s), run(forced{}, conv)
	same := func(got, want []byte, matmul2d bool) bool { // nobody says in which order matmul2d adds
		return bytes.Equal(got, want) || matmul2d && difference(device.F32, got, want) < 1e-5
	}
	for i, v := range linearVariants() {
		by, matmul2d := forced{tune.Linear, i}, tables()[device.BF16].linear[v.tile].matmul2d
		if !same(run(by, dense), wantDense, matmul2d) || !same(run(by, int8s), wantInt8s, matmul2d) {
			t.Errorf("%v: Linear by %v has other bits", size, v.name)
		}
	}
	for i, v := range dev.variants.conv {
		if !same(run(forced{tune.Conv, i}, conv), wantConv, v.matmul2d) {
			t.Errorf("%v: Conv by %v has other bits", size, v.name)
		}
	}
}

// TestSwizzle goes through the tiles in many orders: with a cache that keeps nothing,
// more and more, and all. None shows in the result, and a larger cache never moves more.
func TestSwizzle(t *testing.T) {
	dev := openTest(t, Options{})
	for _, size := range [][3]int{{330, 200, 24}, {130, 520, 24}, {70, 70, 8}} { // some with ragged edges, some by columns
		m, n, k := size[0], size[1], size[2]
		x, w, y := allocMat(t, dev, device.F32, m, k), allocMat(t, dev, device.F32, n, k), allocMat(t, dev, device.F32, m, n)
		rng := rand.New(rand.NewPCG(3, 4))
		for _, to := range []device.Mat{x, w} {
			values := make([]float32, to.Rows*to.Cols)
			for i := range values {
				values[i] = float32(rng.NormFloat64())
			}
			fill(t, dev, to, values)
		}
		var want []byte
		var moved int64 = math.MaxInt64
		swizzles := map[string]bool{}
		for _, cache := range []int64{0, 7 << 10, 14 << 10, 20 << 10, 40 << 10, 1 << 30} {
			dev.cache = cache
			s := swizzleOf(ceilDiv(n, 64), ceilDiv(m, 64), int64(64*k*4), int64(64*k*4), cache)
			swizzles[fmt.Sprint(s.band, s.byColumns)] = true
			if s.moved > moved {
				t.Errorf("%v: a cache of %d moves %d bytes, a smaller one %d", size, cache, s.moved, moved)
			}
			moved = s.moved
			err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Record(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) })
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, 4*m*n)
			if err := dev.Read(t.Context(), got, y.Buf); err != nil {
				t.Fatal(err)
			}
			if want == nil {
				want = got
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%v: by bands of %d, of columns: %v, the result is another", size, s.band, s.byColumns)
			}
			if err := dev.Write(t.Context(), y.Buf, make([]byte, len(got))); err != nil {
				t.Fatal(err)
			}
		}
		if m > 100 && len(swizzles) < 3 {
			t.Errorf("%v: only the swizzles %v", size, swizzles)
		}
		if least := int64(4 * k * 64 * (ceilDiv(m, 64) + ceilDiv(n, 64))); moved != least {
			t.Errorf("%v: with a large cache %d bytes are moved, want %d", size, moved, least)
		}
	}
}
