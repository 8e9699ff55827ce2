package jpeg

import (
	"strings"
	"testing"

	"gimbal/inference/picture/picturetest"
)

// FuzzDecode holds the decoder to errors for whatever data come. That its pixels are right is
// shown by the corpus, which package picture reads.
func FuzzDecode(f *testing.F) {
	for _, c := range picturetest.Cases(f) {
		if strings.HasSuffix(c.Name, ".jpg") {
			f.Add(c.Data(f), byte(AsMarked))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, colour byte) {
		h, err := DecodeHeader(data)
		if err != nil || h.Width*h.Height > 1<<16 {
			return
		}
		img, err := Decode(data, Colour(colour%3))
		if err == nil && (img.Bounds().Dx() != h.Width || img.Bounds().Dy() != h.Height) {
			t.Errorf("decoded %v, the header says %+v", img.Bounds(), h)
		}
	})
}
