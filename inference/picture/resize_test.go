package picture

import (
	"encoding/binary"
	"errors"
	"image"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference/golden"
)

func TestReference(t *testing.T) {
	img, err := Load(filepath.Join(golden.Dir(t), "image.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases(t, "e2e_") {
		input, shape := c.F32(t, "vae_input")
		pixels := shape[2] * shape[3]
		want := make([]float32, 0, 3*pixels)
		for channel := range shape[0] {
			want = append(want, input[channel*shape[1]*pixels:][:pixels]...)
		}
		got := Tensor(img, shape[3], shape[2])
		golden.Check(t, c.Name, got, want, 1e-6)
		t.Logf("%s: relative error %.2g", c.Name, golden.RelL2(got, want))
	}
}

// TestBounds compares the size that the head of a picture gives with that of the whole.
func TestBounds(t *testing.T) {
	for name, data := range map[string][]byte{
		"PNG": encodePNG(t, quarters(12, 8)), "JPEG": encodeJPEG(t, quarters(10, 6)),
		"turned": withJPEGEXIF(encodeJPEG(t, quarters(10, 6)), exifBlock(binary.LittleEndian, 6)),
	} {
		file := filepath.Join(t.TempDir(), "picture")
		if err := os.WriteFile(file, data, 0o644); err != nil {
			t.Fatal(err)
		}
		img, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		w, h, err := Bounds(file)
		if err != nil || image.Pt(w, h) != img.Bounds().Size() {
			t.Errorf("%s: bounds %dx%d, %v, want %v", name, w, h, err, img.Bounds().Size())
		}
	}
	if _, _, err := Bounds(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("bounds of no file: %v", err)
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
