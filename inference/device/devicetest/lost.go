package devicetest

import (
	"errors"
	"os"
	"path/filepath"

	"gimbal/inference/device"
	"gimbal/inference/device/mapped"
)

// lost multiplies by weights in a mapped file that shrinks: a device that reads the file then
// says so, and one that has a copy gives the right products. Neither ends the program.
func lost(t T, s suite) {
	const n = 512 // a row of weights is a page of 4 kB or a part of one
	path := filepath.Join(t.TempDir(), "weights")
	w := make([]float32, n*n)
	for i := range w {
		w[i] = float32(i%7) - 3
	}
	if err := os.WriteFile(path, device.Bytes(w), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := mapped.Map(f, 4*len(w))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	weight, err := s.dev.Map(device.Desc{Label: "weights", DType: device.F32, Shape: []int{n, n}}, file.Data(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer weight.Release()
	alloc := func() device.Buffer {
		b, err := s.dev.Alloc(device.Desc{Label: "row", DType: device.F32, Shape: []int{1, n}})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	x, y := alloc(), alloc()
	defer x.Release()
	defer y.Release()
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	if err := s.dev.Write(t.Context(), x, device.Bytes(ones)); err != nil {
		t.Fatal(err)
	}
	multiply := func() ([]float32, error) {
		err := s.dev.Do(t.Context(), "lost", func(e device.Encoder) {
			e.Record(device.Linear{X: device.AsMat(x), W: device.DenseWeight(device.AsMat(weight)), Y: device.AsMat(y)})
		})
		got := make([]float32, n)
		if err == nil {
			err = s.dev.Read(t.Context(), device.Bytes(got), y)
		}
		return got, err
	}
	check := func(got []float32) {
		t.Helper()
		for i, v := range got {
			var want float32
			for _, x := range w[i*n : (i+1)*n] {
				want += x
			}
			if v != want {
				t.Fatalf("row %d gives %g, want %g", i, v, want)
			}
		}
	}
	got, err := multiply()
	if err != nil {
		t.Fatal(err)
	}
	check(got)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	gone := (*mapped.LostError)(nil)
	if got, err = multiply(); err == nil {
		check(got)
	} else if !errors.As(err, &gone) || gone.Path != path {
		t.Errorf("weights that are gone: %v", err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.dev.Do(t.Context(), "after", func(device.Encoder) {}); err != nil {
		t.Errorf("once the file is closed: %v", err)
	}
}
