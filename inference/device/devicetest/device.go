package devicetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"gimbal/inference/device"
)

// slack is how far Info.Allocated may round up a buffer.
const slack = 64 << 10

func buffers(t T, s suite) {
	ctx := t.Context()
	alloc := func(t T, n int) device.Buffer {
		b, err := s.dev.Alloc(device.Desc{Label: "devicetest", DType: device.U8, Shape: []int{n}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	t.Run("accounting", func(t T) {
		before := s.dev.Info()
		const n = 3<<20 + 1
		b := alloc(t, n)
		during := s.dev.Info()
		if grown := during.Allocated - before.Allocated; grown < n || grown > n+slack {
			t.Errorf("%d bytes of %d are counted as %d", n, n, grown)
		}
		if during.Peak < during.Allocated || during.Peak < before.Peak {
			t.Errorf("peak is %d after %d, with %d in use", during.Peak, before.Peak, during.Allocated)
		}
		b.Release()
		b.Release()
		if after := s.dev.Info(); after.Allocated != before.Allocated || after.Peak != during.Peak {
			t.Errorf("after release %d bytes, peak %d; want %d, %d", after.Allocated, after.Peak, before.Allocated, during.Peak)
		}
	})
	t.Run("zeros", func(t T) {
		for range 3 {
			b := alloc(t, 70001)
			got := bytes.Repeat([]byte{1}, 70001)
			if err := s.dev.Read(ctx, got, b); err != nil {
				t.Fatal(err)
			}
			if i := mismatch(got, make([]byte, len(got))); i >= 0 {
				t.Errorf("byte %d of a new buffer is %d", i, got[i])
			}
			if err := s.dev.Write(ctx, b, bytes.Repeat([]byte{0xa5}, len(got))); err != nil {
				t.Fatal(err)
			}
			b.Release()
		}
	})
	t.Run("out of memory", func(t T) {
		for _, shape := range [][]int{{1 << 50}, {1 << 31, 1 << 31, 1 << 31}} {
			before := s.dev.Info().Allocated
			if b, err := s.dev.Alloc(device.Desc{Label: "huge", DType: device.F32, Shape: shape}); !errors.Is(err, device.ErrOutOfMemory) {
				t.Errorf("allocating %v gives %v, %v", shape, b, err)
			} else if !strings.Contains(err.Error(), "huge") {
				t.Errorf("%q does not say which buffer", err)
			}
			if now := s.dev.Info().Allocated; now != before {
				t.Errorf("%d bytes allocated after a failure, want %d", now, before)
			}
		}
	})
	t.Run("lengths", func(t T) {
		b := alloc(t, 10)
		defer b.Release()
		for _, n := range []int{0, 9, 11} {
			if s.dev.Write(ctx, b, make([]byte, n)) == nil || s.dev.Read(ctx, make([]byte, n), b) == nil {
				t.Errorf("%d bytes to or from a buffer of 10 are no error", n)
			}
		}
		if m, err := s.dev.Map(b.Desc(), make([]byte, 9), nil); err == nil {
			t.Errorf("9 bytes mapped as 10: %v", m)
		}
	})
	t.Run("map", s.mapped)
}

// mapped maps memory at odd addresses and uses it as a weight.
func (s suite) mapped(t T) {
	for _, dt := range floats {
		for shift := range 4 {
			r := s.rig(t)
			w := r.mat(dt, 5, 24)
			mem := append(make([]byte, shift, shift+len(w.raw)), w.raw...)[shift:]
			before, released := s.dev.Info().Allocated, 0
			b, err := s.dev.Map(w.Buf.Desc(), mem, func() { released++ })
			if err != nil {
				t.Fatal(err)
			}
			if grown := s.dev.Info().Allocated - before; grown != 0 {
				t.Errorf("a mapped buffer counts as %d bytes allocated", grown)
			}
			got := make([]byte, len(mem))
			if err := s.dev.Read(t.Context(), got, b); err != nil {
				t.Fatal(err)
			}
			if i := mismatch(got, w.raw); i >= 0 {
				t.Errorf("byte %d of a mapped buffer is %d, want %d", i, got[i], w.raw[i])
			}
			view := w.Mat
			view.Buf = b
			r.linear(linearCase{m: 9, n: 5, k: 24, x: device.F32, y: device.F32}, w, func(*tensor) device.Weight { return device.DenseWeight(view) }, true)
			b.Release()
			b.Release()
			if released != 1 {
				t.Errorf("released %d times, want once", released)
			}
		}
	}
	b, err := s.dev.Map(device.Desc{Label: "no release", DType: device.U8, Shape: []int{3}}, []byte{1, 2, 3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.Release()
}

func submissions(t T, s suite) {
	t.Run("order", func(t T) {
		r := s.rig(t)
		x := r.mat(device.F32, 20, 30)
		y, first := r.over(x), r.out(device.F32, 1, 30)
		factors := r.matOf(device.F32, 3, 30, each(3, 30, func(i, _ int) float64 { return float64(1 + i) }))
		r.do(true, func(e device.Encoder) {
			for i := range 50 {
				e.Record(device.Binary{A: y.Mat, B: factors.Row(i % 3), Y: y.Mat, Op: device.Mul})
				e.Record(device.Move{X: y.Row(0), Y: first.Mat})
				e.Record(device.Binary{A: y.Mat, B: first.Mat, Y: y.Mat, Op: device.Add})
				e.Record(device.Unary{X: y.Mat, Y: y.Mat, F: device.Clamp1})
			}
		})
		want := append([]float64(nil), x.v...)
		for i := range 50 {
			first := append([]float64(nil), want[:30]...)
			for k := range want {
				want[k] = apply(device.Clamp1, (want[k]+first[k%30])*float64(1+i%3))
			}
		}
		r.check(y, want, s.opts.Pointwise)
	})
	t.Run("errors stick", func(t T) {
		r := s.rig(t)
		x, odd := r.mat(device.F32, 4, 8), r.matOf(device.I64, 8, 8, make([]float64, 64))
		never, y := r.mat(device.F32, 4, 8), r.out(device.F32, 4, 8)
		err := s.dev.Do(t.Context(), "block 17", func(e device.Encoder) {
			e.Record(device.Linear{X: x.Mat, W: device.DenseWeight(odd.Mat), Y: y.Mat})
			e.Record(device.Move{X: x.Mat, Y: never.Mat})
		})
		if !errors.Is(err, device.ErrUnsupported) || !strings.Contains(err.Error(), "block 17") {
			t.Errorf("weights of I64 give %v, want ErrUnsupported and the label", err)
		}
		r.checkGuards() // never is an operand that no operation may have written
		r.do(true, func(e device.Encoder) { e.Record(device.Move{X: x.Mat, Y: y.Mat}) })
		r.check(y, x.v, 0)
	})
	t.Run("no rows", func(t T) {
		r := s.rig(t)
		x, w, y := r.mat(device.F32, 3, 8), r.mat(device.F32, 8, 8), r.mat(device.F32, 3, 8)
		none, out := x.RowRange(3, 3), y.RowRange(1, 1)
		r.do(true, func(e device.Encoder) {
			e.Record(device.Linear{X: none, W: device.DenseWeight(w.Mat), Y: out})
			e.Record(device.Attention{Q: none, K: x.Mat, V: x.Mat, O: out, Heads: 2, Scale: 1})
			e.Record(device.Norm{X: none, Y: out, Kind: device.RMSNorm})
			e.Record(device.Unary{X: none, Y: out})
			e.Record(device.Move{X: none, Y: out})
		})
	})
	t.Run("cancelled", s.cancelled)
	t.Run("concurrent", s.concurrent)
}

func (s suite) cancelled(t T) {
	const n = 512
	r := s.rig(t)
	a, b, w := r.mat(device.F32, n, n), r.mat(device.F32, n, n), r.mat(device.F32, n, n)
	work := func(e device.Encoder, times int) {
		for range times {
			e.Record(device.Linear{X: a.Mat, W: device.DenseWeight(w.Mat), Y: b.Mat})
			e.Record(device.Linear{X: b.Mat, W: device.DenseWeight(w.Mat), Y: a.Mat})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.dev.Do(ctx, "devicetest", func(e device.Encoder) { work(e, 1) }); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	if err := s.dev.Write(ctx, a.Buf, a.raw); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write gives %v", err)
	}
	if err := s.dev.Read(ctx, make([]byte, len(a.raw)), a.Buf); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled read gives %v", err)
	}

	ctx, cancel = context.WithCancel(t.Context())
	err := s.dev.Do(ctx, "devicetest", func(e device.Encoder) {
		work(e, 1)
		cancel()
		work(e, 1000)
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled while recording: %v", err)
	}

	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	start := time.Now()
	err = s.dev.Do(ctx, "devicetest", func(e device.Encoder) { work(e, 2000) })
	if took := time.Since(start); err != nil && !errors.Is(err, context.DeadlineExceeded) || took > 1030*time.Millisecond && err != nil {
		t.Errorf("a deadline after 30 ms gives %v after %v", err, took)
	}

	x, y := r.mat(device.F32, 3, 3), r.out(device.F32, 3, 3)
	if err := s.dev.Do(t.Context(), "devicetest", func(e device.Encoder) { e.Record(device.Move{X: x.Mat, Y: y.Mat}) }); err != nil {
		t.Errorf("after a cancelled submission: %v", err)
	}
}

// concurrent uses the device from several goroutines.
func (s suite) concurrent(t T) {
	var group sync.WaitGroup
	for g := range 6 {
		group.Go(func() {
			if err := s.squares(t.Context(), float32(g+1)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
}

// squares computes x², x⁴, x⁸ in submissions of its own.
func (s suite) squares(ctx context.Context, x float32) error {
	const n = 5000
	b, err := s.dev.Alloc(device.Desc{Label: "devicetest", DType: device.F32, Shape: []int{n}})
	if err != nil {
		return err
	}
	defer b.Release()
	raw := make([]byte, 4*n)
	for i := range n {
		encode(device.F32, raw[4*i:], float64(x))
	}
	if err := s.dev.Write(ctx, b, raw); err != nil {
		return err
	}
	for range 3 {
		m := device.AsMat(b)
		if err := s.dev.Do(ctx, "square", func(e device.Encoder) {
			e.Record(device.Binary{A: m, B: m, Y: m, Op: device.Mul})
		}); err != nil {
			return err
		}
		x *= x
	}
	if err := s.dev.Read(ctx, raw, b); err != nil {
		return err
	}
	for i := range n {
		if got := decode(device.F32, raw[4*i:]); got != float64(x) {
			return fmt.Errorf("element %d is %v, want %v", i, got, x)
		}
	}
	return nil
}

// foreign is a buffer of no device.
type foreign struct{ device.Buffer }

// mistakes checks that a programmer's mistake panics, and does not leave the
// device unusable.
func mistakes(t T, s suite) {
	r := s.rig(t)
	a, b, odd := r.mat(device.F32, 4, 6), r.mat(device.F32, 4, 6), r.mat(device.F32, 3, 5)
	gone := r.mat(device.F32, 4, 6)
	twelve := r.mat(device.F32, 6, 12)
	gone.Buf.Release()
	r.tensors = slices.DeleteFunc(r.tensors, func(x *tensor) bool { return x == gone })
	alien := a.Mat
	alien.Buf = foreign{a.Buf}
	long := a.Mat
	long.Offset += 1 << 20
	f := func(x *tensor) device.Frames { return x.frames(1, 1) }
	w := device.DenseWeight(odd.Mat)
	for name, op := range map[string]func(device.Encoder){
		"Linear": func(e device.Encoder) { e.Record(device.Linear{X: a.Mat, W: w, Y: b.Mat}) },
		"Attention": func(e device.Encoder) {
			e.Record(device.Attention{Q: a.Mat, K: a.Mat, V: odd.Mat, O: b.Mat, Heads: 2})
		},
		"Norm": func(e device.Encoder) { e.Record(device.Norm{Kind: device.RMSNorm, X: a.Mat, Y: odd.Mat}) },
		"Rope": func(e device.Encoder) {
			e.Record(device.Rope{X: a.Mat, Y: b.Mat, Heads: 1, Cos: odd.Mat, Sin: odd.Mat})
		},
		"Conv": func(e device.Encoder) {
			e.Record(device.Conv{X: f(a), W: odd.Mat, KT: 1, KH: 1, KW: 1, StrideT: 1, Stride: 1, Y: f(b)})
		},
		"Unary":         func(e device.Encoder) { e.Record(device.Unary{X: a.Mat, Y: odd.Mat}) },
		"Binary":        func(e device.Encoder) { e.Record(device.Binary{A: a.Mat, B: odd.Mat, Y: b.Mat, Op: device.Add}) },
		"GatedAdd":      func(e device.Encoder) { e.Record(device.GatedAdd{A: a.Mat, Gate: odd.Mat, B: a.Mat, Y: b.Mat}) },
		"Gather":        func(e device.Encoder) { e.Record(device.Gather{Table: a.Mat, IDs: odd.Mat, Y: b.Mat}) },
		"Move":          func(e device.Encoder) { e.Record(device.Move{X: a.Mat, Y: odd.Mat}) },
		"missing":       func(e device.Encoder) { e.Record(device.Unary{X: a.Mat}) },
		"out of buffer": func(e device.Encoder) { e.Record(device.Move{X: long, Y: b.Mat}) },
		"overlap":       func(e device.Encoder) { e.Record(device.Move{X: a.RowRange(0, 3), Y: a.RowRange(1, 4)}) },
		"released frame": func(e device.Encoder) {
			p := f(gone).Range(0, 1)
			e.Record(device.Conv{X: f(a), Prev: [2]device.Frames{{}, p}, W: twelve.Mat, KT: 2, KH: 1, KW: 1, StrideT: 1, Stride: 1, Y: f(b)})
		},
		"released": func(e device.Encoder) { e.Record(device.Move{X: gone.Mat, Y: b.Mat}) },
		"foreign":  func(e device.Encoder) { e.Record(device.Move{X: alien, Y: b.Mat}) },
	} {
		t.Run(name, func(t T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			err := s.dev.Do(t.Context(), "devicetest", op)
			t.Errorf("Do returns %v", err)
		})
	}
	r.checkGuards()
}
