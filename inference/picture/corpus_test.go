package picture

import (
	"image"
	"testing"

	"gimbal/inference/picture/picturetest"
)

// TestCorpus reads the corpus from files and from memory, and its sizes without its pixels.
func TestCorpus(t *testing.T) {
	for _, c := range picturetest.Cases(t) {
		img, err := Load(c.File)
		c.Check(t, img, err)
		img, err = Decode(c.Data(t))
		c.Check(t, img, err)
		if w, h, err := Bounds(c.File); c.Right != nil && (err != nil || image.Pt(w, h) != c.Right.Rect.Size()) {
			t.Errorf("%s (%s): bounds %dx%d, %v, want %v", c.Name, c.What, w, h, err, c.Right.Rect)
		}
	}
}
