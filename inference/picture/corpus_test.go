package picture

import (
	"image"
	"strings"
	"testing"

	"gimbal/inference/picture/picturetest"
)

// TestCut reads files of which the end is missing: nothing of them may pass for the picture.
func TestCut(t *testing.T) {
	for _, c := range picturetest.Cases(t) {
		if c.Right == nil || strings.HasPrefix(c.Name, "animated") || c.Name == "p3.bmp" {
			continue // the first frame or all pixels are there
		}
		data := c.Data(t)
		for _, share := range []int{10, 35, 60, 85} {
			if _, err := Decode(data[:len(data)*share/100]); err == nil {
				t.Errorf("%s (%s) was read of %d %% of its data", c.Name, c.What, share)
			}
		}
	}
}

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
