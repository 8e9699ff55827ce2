package video

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

// TestMade knows what this package wrote, and takes nothing else for it.
func TestMade(t *testing.T) {
	dir := t.TempDir()
	clip := writeVideo(t, small, 3, func(int) *image.RGBA { return image.NewRGBA(image.Rect(0, 0, 64, 48)) })
	sheet, sidecar := filepath.Join(dir, "sheet.png"), filepath.Join(dir, "v.json")
	s := NewSheet(1, SheetOptions{})
	frame := image.NewRGBA(image.Rect(0, 0, 64, 48))
	draw.Draw(frame, frame.Rect, image.NewUniform(color.RGBA{200, 0, 0, 255}), image.Point{}, draw.Src)
	s.Add(frame)
	if err := s.WriteFile(sheet); err != nil {
		t.Fatal(err)
	}
	if err := WriteSidecar(sidecar, map[string]any{"program": Program, "width": 64}); err != nil {
		t.Fatal(err)
	}
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	encode := func(img image.Image) []byte {
		var out bytes.Buffer
		if err := png.Encode(&out, img); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	whole, err := os.ReadFile(clip)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := os.ReadFile(sheet); err != nil || int64(len(f)) > SheetBytes(1, 64, 48) {
		t.Errorf("a sheet of %d bytes, %v, want at most %d", len(f), err, SheetBytes(1, 64, 48))
	}
	for _, c := range []struct {
		name                  string
		path                  string
		video, sheet, sidecar bool
	}{
		{"a video", clip, true, false, false},
		{"a video cut short", write("cut.mp4", whole[:len(whole)-9]), true, false, false},
		{"another's video", write("other.mp4", bytes.Replace(whole, []byte(compressor), []byte("Lavc x26"), 1)), false, false, false},
		{"a few bytes of a video", write("few.mp4", whole[:20]), false, false, false},
		{"a sheet", sheet, false, true, false},
		{"a sheet of before it had a mark", write("old.png", encode(s.Image())), false, true, false},
		{"another's picture", write("other.png", encode(frame)), false, false, false},
		{"a sidecar", sidecar, false, false, true},
		{"another's settings", write("other.json", []byte(`{"program":"Blender"}`)), false, false, false},
		{"a list", write("list.json", []byte(`[1,2]`)), false, false, false},
		{"nothing", write("empty", nil), false, false, false},
		{"a folder", dir, false, false, false},
		{"what is not there", filepath.Join(dir, "none"), false, false, false},
	} {
		if v, s, j := MadeVideo(c.path), MadeSheet(c.path), MadeSidecar(c.path); v != c.video || s != c.sheet || j != c.sidecar {
			t.Errorf("%s: a video %v, a sheet %v, a sidecar %v, want %v, %v, %v", c.name, v, s, j, c.video, c.sheet, c.sidecar)
		}
	}
}
