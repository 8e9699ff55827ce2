package wan_test

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// TestFormats opens the reference expert in every format and container: it has the tensors
// of the original, their first rows are the reference's, and so is what comes out.
func TestFormats(t *testing.T) {
	dir := golden.FormatsDir(t)
	original, err := weights.OpenExpert(filepath.Join(dir, "expert"))
	if err != nil {
		t.Fatal(err)
	}
	defer original.Store.Close()
	inputs := expertInputs(t, dir)
	dev := openDevice(t)
	for _, c := range golden.FormatCases(t, "") {
		var scalars struct{ Kind, File, Also string }
		c.Scalars(t, &scalars)
		if scalars.Kind != "single file" {
			continue
		}
		files := []string{scalars.File}
		if scalars.Also != "" {
			also, _, _ := strings.Cut(scalars.Also, " ")
			files = append(files, also)
		}
		for _, file := range files {
			path, ok := golden.FormatFile(t, file)
			if !ok {
				continue
			}
			t.Run(file, func(t *testing.T) {
				e, err := weights.OpenExpert(path)
				if err != nil {
					t.Fatal(err)
				}
				defer e.Store.Close()
				sameTensors(t, e.Store, original.Store)
				for _, name := range c.Names() {
					want, shape := c.F32(t, name)
					if name == "out" {
						m := loadModel(t, dev, e)
						golden.Check(t, name, velocity(t, newSession(t, m, inputs.in), inputs.x, inputs.t, 0), want, bound)
						continue
					}
					got, err := e.Store.Rows(name, 0, shape[0])
					if err != nil {
						t.Fatal(err)
					}
					golden.Check(t, name, got, want, 1e-6)
				}
			})
		}
	}
}

// sameTensors checks that every tensor of want is in s, of as many elements.
func sameTensors(t *testing.T, s, want *weights.Store) {
	t.Helper()
	for _, name := range want.Names() {
		if got := s.Shape(name); product(got) != product(want.Shape(name)) {
			t.Errorf("%s is %v, want %v", name, got, want.Shape(name))
		}
	}
	sizes, err := weights.ReadWanSizes(s, weights.WanConfig{})
	if err != nil {
		t.Error(err)
	}
	if unused := sizes.Table().Unused(s); len(unused) > 0 {
		t.Errorf("nobody uses %v", unused)
	}
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// expertInputs reads what goes into the expert in every case.
func expertInputs(t *testing.T, dir string) ditCase {
	t.Helper()
	s, err := weights.Open(filepath.Join(dir, "inputs.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	values := map[string][]float32{}
	for _, name := range s.Names() {
		if values[name], err = s.Values(name); err != nil {
			t.Fatal(err)
		}
	}
	x, words := s.Shape("x"), s.Shape("context")
	if len(x) != 4 || len(words) != 2 {
		t.Fatalf("x %v, context %v among %v", x, words, slices.Sorted(maps.Keys(values)))
	}
	return ditCase{x: values["x"], t: float64(values["t"][0]), in: wan.Input{
		F: x[1], H: x[2], W: x[3], Reuse: wan.AllReuse, Y: values["y"],
		Contexts: []wan.Context{{Tokens: words[0], States: values["context"]}},
		Camera:   true, Plucker: values["plucker"],
	}}
}
