package video

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func readPNG(t *testing.T, path string) image.Image {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func TestPNGs(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out", "frames")
	p, err := CreatePNGs(dir)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var frames []*image.RGBA
	for range 5 {
		frames = append(frames, noise(33, 7, rng)) // odd sizes are fine here
		if err := p.WriteFrame(frames[len(frames)-1]); err != nil {
			t.Fatal(err)
		}
	}
	for i, want := range frames {
		got, ok := readPNG(t, filepath.Join(dir, fmt.Sprintf("frame_%05d.png", i+1))).(*image.RGBA)
		if !ok || !bytes.Equal(got.Pix, want.Pix) {
			t.Errorf("frame %d differs", i)
		}
	}
	if err := CheckPNGs(dir); err == nil || !strings.Contains(err.Error(), "frame_00001.png") {
		t.Errorf("over other frames: %v", err)
	}
	if err := CheckPNGs(filepath.Join(dir, "none")); err != nil {
		t.Errorf("no folder: %v", err)
	}
	if again, err := CreatePNGs(dir); err != nil {
		t.Error(err)
	} else if err := again.WriteFrame(frames[0]); err != nil {
		t.Errorf("writing a frame again: %v", err)
	}
	if _, err := CreatePNGs(filepath.Join(dir, "frame_00001.png")); err == nil {
		t.Error("a file passed for a folder")
	}
}

func TestSheetPicks(t *testing.T) {
	for _, c := range []struct {
		total, frames int
		want          []int
	}{
		{1, 12, []int{0}},
		{5, 12, []int{0, 1, 2, 3, 4}},
		{41, 5, []int{0, 10, 20, 30, 40}},
		{41, 12, []int{0, 4, 7, 11, 15, 18, 22, 25, 29, 33, 36, 40}},
		{81, 0, []int{0, 7, 15, 22, 29, 36, 44, 51, 58, 65, 73, 80}},
	} {
		if got := NewSheet(c.total, SheetOptions{Frames: c.frames}).picks; !slices.Equal(got, c.want) {
			t.Errorf("%d of %d: %v, want %v", c.frames, c.total, got, c.want)
		}
	}
}

func TestSheet(t *testing.T) {
	for _, c := range []struct{ total, width, height int }{
		{1, 64, 48}, {5, 16, 16}, {13, 208, 120}, {41, 60, 104}, {9, 4, 400},
	} {
		s := newScene(5)
		sheet := NewSheet(c.total, SheetOptions{})
		path := filepath.Join(t.TempDir(), "sheet.png")
		if err := sheet.WriteFile(path); err == nil {
			t.Error("a sheet of nothing was written")
		}
		for i := range c.total {
			sheet.Add(s.frame(c.width, c.height, i))
		}
		if err := sheet.WriteFile(path); err != nil {
			t.Fatal(err)
		}
		if len(sheet.thumbs) != min(c.total, 12) {
			t.Errorf("%d pictures of %d frames", len(sheet.thumbs), c.total)
		}
		img := readPNG(t, path)
		size := img.Bounds().Size()
		if size.X > 1600 || size.X < minThumb/4 || size.Y > 4000 {
			t.Errorf("sheet of %v for %+v", size, c)
		}
		checkThumbs(t, img, sheet)
		if keep := os.Getenv("GIMBAL_KEEP"); keep != "" { // to look at
			sheet.WriteFile(filepath.Join(keep, fmt.Sprintf("sheet_%dx%dx%d.png", c.total, c.width, c.height)))
		}
	}
}

// checkThumbs looks for every picture in its place, below its number.
func checkThumbs(t *testing.T, img image.Image, sheet *Sheet) {
	t.Helper()
	size := sheet.thumbs[0].Rect.Size()
	for i, thumb := range sheet.thumbs {
		x := sheetGap + i%sheet.cols*(size.X+sheetGap) + size.X - 1
		y := sheetGap + i/sheet.cols*(size.Y+sheetGap) + size.Y - 1
		if got, want := img.At(x, y), thumb.At(size.X-1, size.Y-1); got != want {
			t.Errorf("picture %d ends in %v, want %v", i, got, want)
		}
	}
}

// TestSheetScale holds a picture's colours to the frame's.
func TestSheetScale(t *testing.T) {
	frame := image.NewRGBA(image.Rect(0, 0, 832, 480))
	for i := range frame.Pix {
		frame.Pix[i] = []uint8{200, 100, 50, 255}[i%4]
	}
	sheet := NewSheet(12, SheetOptions{})
	for range 12 {
		sheet.Add(frame)
	}
	thumb := sheet.thumbs[11]
	if got := thumb.RGBAAt(thumb.Rect.Dx()/2, thumb.Rect.Dy()/2); got != frame.RGBAAt(0, 0) {
		t.Errorf("colour %v, want %v", got, frame.RGBAAt(0, 0))
	}
	if ratio := float64(thumb.Rect.Dx()) / float64(thumb.Rect.Dy()); ratio < 1.71 || ratio > 1.76 {
		t.Errorf("picture of %v for a frame of 832x480", thumb.Rect.Size())
	}
}
