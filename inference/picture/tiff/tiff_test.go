package tiff

import (
	"strings"
	"testing"

	"gimbal/inference/picture/picturetest"
)

// FuzzDecode holds the decoder to errors for whatever data come. That its pixels are right is
// shown by the corpus, which package picture reads.
func FuzzDecode(f *testing.F) {
	for _, c := range picturetest.Cases(f) {
		if strings.HasSuffix(c.Name, ".tif") {
			f.Add(c.Data(f))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		size, err := Size(data)
		if err != nil || size.X*size.Y > 1<<16 {
			return
		}
		if img, err := Decode(data); err == nil && img.Bounds().Size() != size {
			t.Errorf("decoded %v, the header says %v", img.Bounds(), size)
		}
	})
}
