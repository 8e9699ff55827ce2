package weights_test

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestTypes decodes a tensor of every type of GGUF to the bits of the reference.
func TestTypes(t *testing.T) {
	for _, c := range golden.FormatCases(t, "gguf_types") {
		var scalars struct{ File string }
		c.Scalars(t, &scalars)
		s, err := weights.Open(filepath.Join(golden.FormatsDir(t), scalars.File))
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, name := range c.Names() {
			want, shape := c.F32(t, name)
			if !slices.Equal(s.Shape(name), shape) {
				t.Errorf("%s is %v, want %v", name, s.Shape(name), shape)
			}
			got, err := s.Values(name)
			if err != nil {
				t.Error(err)
				continue
			}
			for i := range want {
				if got[i] != want[i] && !(math.IsNaN(float64(got[i])) && math.IsNaN(float64(want[i]))) {
					t.Errorf("%s: value %d is %v, want %v", name, i, got[i], want[i])
					break
				}
			}
		}
	}
}
