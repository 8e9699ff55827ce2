package clip

import (
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/picture"
)

// TestSizes compares sizes with those of the reference's runs.
func TestSizes(t *testing.T) {
	width, height, err := picture.Bounds(filepath.Join(golden.Dir(t), "image.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases(t, "e2e_") {
		var s struct {
			MaxArea int `json:"max_area"`
		}
		c.Scalars(t, &s)
		_, shape := c.F32(t, "vae_input")
		_, latent := c.F32(t, "latent")
		size, err := Fit(width, height, s.MaxArea)
		if err != nil {
			t.Fatal(err)
		}
		if size != (Size{shape[3], shape[2], latent[3], latent[2]}) {
			t.Errorf("%s: size %v, want %v and %v", c.Name, size, shape, latent)
		}
	}
}

func TestFit(t *testing.T) {
	for _, c := range []struct {
		w, h, area int
		want       Size
	}{
		{832, 480, 480 * 832, Size{832, 464, 104, 58}}, // the reference's float64 root is a hair below 480
		{1280, 720, 720 * 1280, Size{1280, 720, 160, 90}},
		{480, 832, 480 * 832, Size{480, 832, 60, 104}},
		{1920, 1080, 480 * 832, Size{832, 464, 104, 58}},
		{1000, 1000, 480 * 832, Size{624, 624, 78, 78}},
		{4032, 3024, 720 * 1280, Size{1104, 816, 138, 102}},
		{1, 1, 256, Size{16, 16, 2, 2}},
	} {
		if got, err := Fit(c.w, c.h, c.area); err != nil || got != c.want {
			t.Errorf("Fit(%d, %d, %d) = %v, %v, want %v", c.w, c.h, c.area, got, err, c.want)
		}
	}
	for _, c := range [][3]int{{1, 1, 255}, {10_000, 1, 480 * 832}, {1, 20_000, 480 * 832}, {0, 5, 9000}, {5, 5, 0}, {5, -5, 9000}} {
		if got, err := Fit(c[0], c[1], c[2]); err == nil || !strings.Contains(err.Error(), "picture") {
			t.Errorf("Fit(%v) = %v, %v, want an error", c, got, err)
		}
	}
}
