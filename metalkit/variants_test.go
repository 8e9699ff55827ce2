//go:build !darwin

package metalkit

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

// TestVariants runs the parts of the conformance suite that a variant serves, for
// every variant in every type: it is taken wherever it fits.
func TestVariants(t *testing.T) {
	for _, c := range computes {
		if testing.Short() && c.dtype != device.F32 {
			continue
		}
		opts := devicetest.Options{Product: productBound}
		if c.dtype != device.F32 {
			opts.Product = 5 * c.bound // 20 u, as in TestNarrow
		}
		check := func(name string, f favoured, parts ...string) {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				dev := openTest(t, Options{Compute: c.dtype}).(*gpu)
				dev.favoured = f
				opts := opts
				opts.Parts = parts
				devicetest.Run(t, dev, opts)
				if !dev.ran(f) {
					t.Error("it fits nothing")
				}
			})
		}
		for i, v := range linearVariants {
			if v.tile >= 0 || matmulTypes(constants{a: uint32(c.dtype), b: uint32(c.dtype), y: uint32(device.F32)}) && hasMatmul(t) {
				part := "Linear"
				if v.expand {
					part = "Quantised"
				}
				check("Linear "+v.String(), favoured{i, -1, -1}, part)
			}
		}
		for i, v := range flashes {
			check("Attention "+v.name(device.BF16), favoured{-1, i, -1}, "Attention")
		}
		for i, v := range convTiles {
			check("Conv "+v.name(device.BF16), favoured{-1, -1, i}, "Conv", "ConvFrames")
		}
	}
}

// ran reports whether the variant of f has made a pipeline.
func (d *gpu) ran(f favoured) bool {
	var kernel string
	switch {
	case f.attention >= 0:
		kernel = d.compute.attention[f.attention]
	case f.conv >= 0:
		kernel = d.compute.conv[f.conv]
	case linearVariants[f.linear].tile >= 0:
		kernel = d.compute.linear[linearVariants[f.linear].tile]
	default:
		kernel = matmulKernel
	}
	for s := range d.pipelines {
		if s.kernel == kernel {
			return true
		}
	}
	return false
}

// hasMatmul reports whether the driver has a product of its own.
func hasMatmul(t *testing.T) bool {
	t.Helper()
	_, err := openTest(t, Options{}).(*gpu).drv.pipeline(specialisation{kernel: matmulKernel, constants: constants{a: 1, b: 1, y: 1}})
	return err == nil
}

// TestTilesAgree compares the bits of one product, and of one convolution, by every
// tile: which one is chosen may not show.
func TestTilesAgree(t *testing.T) {
	dev := openTest(t, Options{Compute: device.BF16}).(*gpu)
	const m, n, k = 72, 136, 104
	x, w := allocMat(t, dev, device.BF16, m, k), allocMat(t, dev, device.BF16, n, k)
	y := allocMat(t, dev, device.F32, m, n)
	clip := device.Frames{Buf: x.Buf, DType: x.DType, T: 2, H: 4, W: 9, C: k, FrameStride: 36 * k}
	out := device.Frames{Buf: y.Buf, DType: y.DType, T: 2, H: 4, W: 9, C: n, FrameStride: 36 * n}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, to := range []device.Mat{x, w} {
		values := make([]float32, to.Rows*to.Cols)
		for i := range values {
			values[i] = float32(rng.NormFloat64())
		}
		fill(t, dev, to, values)
	}
	run := func(f favoured, record func(device.Encoder)) []byte {
		dev.favoured = f
		if err := dev.Do(t.Context(), "test", record); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 4*m*n)
		if err := dev.Read(t.Context(), got, y.Buf); err != nil {
			t.Fatal(err)
		}
		return got
	}
	linear := func(e device.Encoder) { e.Linear(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) }
	conv := func(e device.Encoder) {
		e.Conv(device.Conv{X: clip, Y: out, W: w, KT: 1, KH: 1, KW: 1, StrideT: 1, Stride: 1})
	}
	want := run(noFavourites, linear)
	for i, v := range linearVariants {
		if got := run(favoured{i, -1, -1}, linear); v.tile >= 0 && !bytes.Equal(got, want) {
			t.Errorf("Linear by %v has other bits", v)
		}
	}
	for i, v := range convTiles {
		if !bytes.Equal(run(favoured{-1, -1, i}, conv), want) {
			t.Errorf("Conv by %v has other bits", v)
		}
	}
}

// TestOrder goes through the tiles in many orders: with a cache that keeps nothing,
// more and more, and all. None shows in the result, and a larger cache never moves more.
func TestOrder(t *testing.T) {
	dev := openTest(t, Options{}).(*gpu)
	for _, size := range [][3]int{{330, 200, 24}, {130, 520, 24}, {70, 70, 8}} { // some with ragged edges, some turned
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
		orders := map[string]bool{}
		for _, cache := range []int64{0, 7 << 10, 14 << 10, 20 << 10, 40 << 10, 1 << 30} {
			dev.cache = cache
			o := orderOf(ceilDiv(n, 64), ceilDiv(m, 64), int64(64*k*4), int64(64*k*4), cache)
			orders[fmt.Sprint(o.band, o.turned)] = true
			if o.moved > moved {
				t.Errorf("%v: a cache of %d moves %d bytes, a smaller one %d", size, cache, o.moved, moved)
			}
			moved = o.moved
			err := dev.Do(t.Context(), "test", func(e device.Encoder) { e.Linear(device.Linear{X: x, W: device.DenseWeight(w), Y: y}) })
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
				t.Errorf("%v: by bands of %d, turned: %v, the result is another", size, o.band, o.turned)
			}
			if err := dev.Write(t.Context(), y.Buf, make([]byte, len(got))); err != nil {
				t.Fatal(err)
			}
		}
		if m > 100 && len(orders) < 3 {
			t.Errorf("%v: only the orders %v", size, orders)
		}
		if least := int64(4 * k * 64 * (ceilDiv(m, 64) + ceilDiv(n, 64))); moved != least {
			t.Errorf("%v: with a large cache %d bytes are moved, want %d", size, moved, least)
		}
	}
}
