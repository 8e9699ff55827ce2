package picture

import (
	"image"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/golden"
)

func TestReference(t *testing.T) {
	img, err := Load(filepath.Join(golden.Dir(t), "image.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases(t, "e2e_") {
		var s struct {
			MaxArea int `json:"max_area"`
		}
		c.Scalars(t, &s)
		input, shape := c.F32(t, "vae_input")
		size, err := Fit(img.Rect.Dx(), img.Rect.Dy(), s.MaxArea)
		if err != nil {
			t.Fatal(err)
		}
		_, latent := c.F32(t, "latent")
		if size != (Size{shape[3], shape[2], latent[3], latent[2]}) {
			t.Errorf("%s: size %v, want %v and %v", c.Name, size, shape, latent)
			continue
		}
		pixels := shape[2] * shape[3]
		want := make([]float32, 0, 3*pixels)
		for channel := range shape[0] {
			want = append(want, input[channel*shape[1]*pixels:][:pixels]...)
		}
		got := Tensor(img, size.Width, size.Height)
		golden.Check(t, c.Name, got, want, 1e-6)
		t.Logf("%s: relative error %.2g", c.Name, golden.RelL2(got, want))
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

// TestTensorOfItself checks that a picture at its own size is only rescaled, and that
// one colour stays one colour at every size.
func TestTensorOfItself(t *testing.T) {
	img := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range img.Pix {
		img.Pix[i] = uint8(i)
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	got := Tensor(img, 16, 16)
	for i := range 256 {
		for c := range 3 {
			if want := float32(img.Pix[4*i+c])/127.5 - 1; math.Abs(float64(got[256*c+i]-want)) > 1e-6 {
				t.Fatalf("channel %d of pixel %d is %v, want %v", c, i, got[256*c+i], want)
			}
		}
	}
	one := image.NewRGBA(image.Rect(0, 0, 1, 1))
	one.Pix = []uint8{255, 0, 51, 255}
	for i, v := range Tensor(one, 5, 3) {
		if want := []float32{1, -1, -0.6}[i/15]; math.Abs(float64(v-want)) > 1e-6 {
			t.Fatalf("value %d of one pixel enlarged is %v, want %v", i, v, want)
		}
	}
}

func BenchmarkLoadJPEG12MP(b *testing.B) {
	src := image.NewRGBA(image.Rect(0, 0, 4000, 3000))
	for i := range src.Pix {
		src.Pix[i] = uint8(128 + 60*math.Sin(float64(i)/9000) + float64(i*7919%13))
	}
	data := encodeJPEG(b, src)
	for b.Loop() {
		img, err := Decode(data)
		if err != nil {
			b.Fatal(err)
		}
		Tensor(img, 832, 480)
	}
}
