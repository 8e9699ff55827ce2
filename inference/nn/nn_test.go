package nn

import (
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/plan"
)

func openCPU(t *testing.T, limit int64) device.Device {
	t.Helper()
	dev, err := cpu.Open(cpu.Options{Threads: 1, MemoryLimit: limit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// TestArena fills a device, until a buffer does not fit.
func TestArena(t *testing.T) {
	dev := openCPU(t, 1000)
	a := NewArena(dev)
	m := a.Filled(t.Context(), "numbers", 2, 3, func(values []float32) {
		for i := range values {
			values[i] = float32(i)
		}
	})
	ids := a.Ints(t.Context(), "ids", []int32{1, 0})
	half := a.Mat("half", device.F16, 1, 10)
	if err := a.Err(); err != nil {
		t.Fatal(err)
	}
	y := a.Mat("gathered", 0, 2, 3)
	if err := dev.Do(t.Context(), "gather", func(e device.Encoder) { e.Record(device.Gather{Table: m, IDs: ids, Y: y}) }); err != nil {
		t.Fatal(err)
	}
	got := a.Staging().Floats(6)
	if err := dev.Read(t.Context(), device.Bytes(got), y.Buf); err != nil || got[0] != 3 || got[3] != 0 {
		t.Errorf("gathered %v, %v", got, err)
	}
	if held := dev.Info().Allocated; held != 24+8+20+24 {
		t.Errorf("%d bytes are held", held)
	}
	a.FreeMat(&half)
	if held := dev.Info().Allocated; held != 24+8+24 || !half.IsZero() {
		t.Errorf("%d bytes are held without %v", held, half)
	}
	if _, err := a.TryMat("large", device.F32, 100, 100); !errors.Is(err, device.ErrOutOfMemory) || a.Err() != nil {
		t.Errorf("a matrix that is too large gives %v, and then %v", err, a.Err())
	}
	large, small := a.Mat("large", device.F32, 100, 100), a.Mat("small", device.F32, 1, 1)
	if !large.IsZero() || !small.IsZero() || !errors.Is(a.Err(), device.ErrOutOfMemory) {
		t.Errorf("after an error there are %v and %v, and the error is %v", large, small, a.Err())
	}
	for range 2 {
		a.Release()
		if held := dev.Info().Allocated; held != 0 {
			t.Errorf("%d bytes are held in the end", held)
		}
	}
}

// TestStaging counts the program's memory on a dry device: what is given back counts until
// the phase ends.
func TestStaging(t *testing.T) {
	dev := plan.NewDevice(openCPU(t, 1000), true)
	phase, err := dev.Phase("staging", 1, func() error {
		a := NewArena(dev)
		defer a.Release()
		s := a.Staging()
		for _, n := range []int{10, 5, 20} {
			if got := s.Floats(n); got != nil {
				t.Errorf("%d values on a dry device", len(got))
			}
		}
		return nil
	})
	if err != nil || phase.Host != 4*(10+20) {
		t.Errorf("%d bytes in %+v, %v", phase.Host, phase, err)
	}
	after, err := dev.Phase("after", 1, func() error { return nil })
	if err != nil || after.Host != 0 {
		t.Errorf("%d bytes are left, %v", after.Host, err)
	}
	s := NewArena(openCPU(t, 1000)).Staging()
	if first, again := s.Floats(8), s.Floats(4); len(first) != 8 || len(again) != 4 || &first[0] != &again[0] {
		t.Error("memory is not used again")
	}
}

// TestLinear compares a layer with its epilogue with arithmetic.
func TestLinear(t *testing.T) {
	dev := openCPU(t, 1000)
	a := NewArena(dev)
	defer a.Release()
	row := func(values ...float32) device.Mat {
		return a.Filled(t.Context(), "row", 1, len(values), func(to []float32) { copy(to, values) })
	}
	l := Linear{Weight: device.DenseWeight(row(2, 3)), Bias: row(1)}
	x, y := row(10, 100), row(0)
	for _, c := range []struct {
		e    Epilogue
		want float32
	}{{Epilogue{}, 321}, {Epilogue{Act: device.Clamp1, Gate: row(5), Add: row(7)}, 12}} {
		err := dev.Do(t.Context(), "linear", func(e device.Encoder) { l.Record(e, x, y, c.e) })
		got := make([]float32, 1)
		if err := errors.Join(a.Err(), err, dev.Read(t.Context(), device.Bytes(got), y.Buf)); err != nil || got[0] != c.want {
			t.Errorf("%v, want %v, %v", got, c.want, err)
		}
	}
}

// TestSides adds products to a layer's, in front of all that its epilogue does.
func TestSides(t *testing.T) {
	dev := openCPU(t, 10000)
	a := NewArena(dev)
	defer a.Release()
	row := func(values ...float32) device.Mat {
		return a.Filled(t.Context(), "row", 1, len(values), func(to []float32) { copy(to, values) })
	}
	column := func(values ...float32) device.Weight {
		return device.DenseWeight(a.Filled(t.Context(), "column", len(values), 1, func(to []float32) { copy(to, values) }))
	}
	l := Linear{Weight: column(1, 2), Bias: row(0.5, -1), Narrow: &Narrow{Mat: a.Mat("narrow", 0, 1, 12)}, Sides: []Side{
		{Down: column(1, 2, 3), Up: device.DenseWeight(a.Filled(t.Context(), "up", 2, 3, func(to []float32) { copy(to, []float32{1, 1, 1, 0, 1, 0}) })), Scale: row(2, 2, 0)},
		{Up: column(-1, 0)},
	}}
	if n := l.Room().Values(4); n != 12 {
		t.Errorf("room for %d values", n)
	}
	x := row(2) // W·x + bias is 2.5, 3; the sides add 2*(2+4) - 2 and 8
	for _, c := range []struct {
		e    Epilogue
		want [2]float32
	}{
		{Epilogue{}, [2]float32{12.5, 11}},
		{Epilogue{Act: device.Clamp1}, [2]float32{1, 1}},
		{Epilogue{Gate: row(2, -1), Add: row(1, 2)}, [2]float32{26, -9}},
	} {
		y := row(0, 0)
		err := dev.Do(t.Context(), "linear", func(e device.Encoder) { l.Record(e, x, y, c.e) })
		var got [2]float32
		if err := errors.Join(a.Err(), err, dev.Read(t.Context(), device.Bytes(got[:]), y.Buf)); err != nil || got != c.want {
			t.Errorf("%v, want %v, %v", got, c.want, err)
		}
	}
}

// normals returns what draws so many normal values, always the same.
func normals() func(n int) []float32 {
	rnd := rand.New(rand.NewPCG(1, 2))
	return func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(rnd.NormFloat64())
		}
		return v
	}
}

// filler returns what makes matrices of a of values.
func filler(t *testing.T, a *Arena) func(rows, cols int, v []float32) device.Mat {
	return func(rows, cols int, v []float32) device.Mat {
		return a.Filled(t.Context(), "matrix", rows, cols, func(to []float32) { copy(to, v) })
	}
}

// finished is what becomes of a sum by e, whose gate and addend have these values for it.
func finished(e Epilogue, sum float64, gate, add float32) float64 {
	if e.Act == device.Clamp1 {
		sum = max(-1, min(1, sum))
	}
	if !e.Gate.IsZero() {
		sum *= float64(gate)
	}
	if !e.Add.IsZero() {
		sum += float64(add)
	}
	return sum
}

// TestKronecker compares products of Kronecker's with a dense layer's of the same matrix, for more
// rows than are taken at a time.
func TestKronecker(t *testing.T) {
	dev := openCPU(t, 64<<20)
	a := NewArena(dev)
	defer a.Release()
	values, put := normals(), filler(t, a)
	for _, c := range []struct{ left, leftIn, out, in, rank, rows int }{
		{4, 2, 3, 5, 0, 7}, {2, 4, 3, 5, 2, 7}, {1, 1, 6, 4, 0, 3}, {3, 1, 2, 4, 1, 2}, {2, 3, 4, 5, 0, 1100}, {3, 2, 4, 5, 3, 512},
	} {
		out, in := c.left*c.out, c.leftIn*c.in
		left, up := values(c.left*c.leftIn), values(c.out*c.in)
		side := Side{Left: device.DenseWeight(put(c.left, c.leftIn, left)), Up: device.DenseWeight(put(c.out, c.in, up))}
		if c.rank > 0 {
			p, q := values(c.out*c.rank), values(c.rank*c.in)
			side.Up, side.Down = device.DenseWeight(put(c.out, c.rank, p)), device.DenseWeight(put(c.rank, c.in, q))
			for i := range up {
				up[i] = 0
				for k := range c.rank {
					up[i] += p[i/c.in*c.rank+k] * q[k*c.in+i%c.in]
				}
			}
		}
		weight, bias, gate := values(out*in), values(out), values(out)
		l := Linear{Weight: device.DenseWeight(put(out, in, weight)), Bias: put(1, out, bias), Sides: []Side{side}}
		l.Narrow = &Narrow{a.Mat("narrow", 0, 1, l.Room().Values(c.rows))}
		x, add := values(c.rows*in), values(c.rows*out)
		for name, e := range map[string]Epilogue{
			"plain": {}, "an activation": {Act: device.Clamp1}, "a gate and a sum": {Gate: put(1, out, gate), Add: put(c.rows, out, add)}, "a sum": {Add: put(c.rows, out, add)},
		} {
			y := a.Mat("y", 0, c.rows, out)
			err := dev.Do(t.Context(), "linear", func(enc device.Encoder) { l.Record(enc, put(c.rows, in, x), y, e) })
			got := make([]float32, c.rows*out)
			if err := errors.Join(a.Err(), err, dev.Read(t.Context(), device.Bytes(got), y.Buf)); err != nil {
				t.Fatal(err)
			}
			for r := range c.rows {
				for o := range out {
					want := float64(bias[o])
					for i := range in {
						w := weight[o*in+i] + left[o/c.out*c.leftIn+i/c.in]*up[o%c.out*c.in+i%c.in]
						want += float64(w) * float64(x[r*in+i])
					}
					want = finished(e, want, gate[o], add[r*out+o])
					if d := math.Abs(float64(got[r*out+o]) - want); d > 1e-4 {
						t.Fatalf("%+v, %s: row %d, column %d is off by %g", c, name, r, o, d)
					}
				}
			}
		}
	}
}

// TestHadamard compares products with the elements' products of two matrices with a dense layer's of
// the same matrix, which is made in more than one part.
func TestHadamard(t *testing.T) {
	dev := openCPU(t, 64<<20)
	a := NewArena(dev)
	defer a.Release()
	values, put := normals(), filler(t, a)
	const rows, out, in, rank, other = 37, 2*hadamardRows + 3, 21, 5, 4
	weight, bias, gate, x, add := values(out*in), values(out), values(out), values(rows*in), values(rows*out)
	up, down, otherUp, otherDown := values(out*rank), values(in*rank), values(out*other), values(in*other)
	dense := func(rows, cols int, v []float32) device.Weight { return device.DenseWeight(put(rows, cols, v)) }
	l := Linear{Weight: dense(out, in, weight), Bias: put(1, out, bias), Sides: []Side{{
		Up: dense(out, rank, up), Down: dense(in, rank, down), OtherUp: dense(out, other, otherUp), OtherDown: dense(in, other, otherDown)}}}
	if n := l.Room().Values(rows); n != 2*hadamardRows*in {
		t.Fatalf("room for %d values", n)
	}
	l.Narrow = &Narrow{a.Mat("narrow", 0, 1, l.Room().Values(rows))}
	dot := func(a, b []float32) (sum float64) {
		for i := range a {
			sum += float64(a[i]) * float64(b[i])
		}
		return sum
	}
	for name, e := range map[string]Epilogue{"plain": {}, "an activation": {Act: device.Clamp1}, "a gate and a sum": {Gate: put(1, out, gate), Add: put(rows, out, add)}} {
		y := a.Mat("y", 0, rows, out)
		err := dev.Do(t.Context(), "linear", func(enc device.Encoder) { l.Record(enc, put(rows, in, x), y, e) })
		got := make([]float32, rows*out)
		if err := errors.Join(a.Err(), err, dev.Read(t.Context(), device.Bytes(got), y.Buf)); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			r, o := i/out, i%out
			want := float64(bias[o]) + dot(x[r*in:][:in], weight[o*in:][:in])
			for k := range in {
				want += float64(x[r*in+k]) * dot(up[o*rank:][:rank], down[k*rank:][:rank]) * dot(otherUp[o*other:][:other], otherDown[k*other:][:other])
			}
			want = finished(e, want, gate[o], add[i])
			if math.Abs(float64(got[i])-want) > 1e-4*(1+math.Abs(want)) {
				t.Fatalf("%s: element %d is %g, want %g", name, i, got[i], want)
			}
		}
	}
}
