package main

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/png"
	"testing"
)

// TestICNS reads an .icns file as its format says and looks at what is drawn.
func TestICNS(t *testing.T) {
	want := elements[:4]
	file, err := icns(want)
	if err != nil {
		t.Fatal(err)
	}
	if string(file[:4]) != "icns" || int(binary.BigEndian.Uint32(file[4:])) != len(file) {
		t.Fatalf("the file starts with %q", file[:8])
	}
	rest := file[8:]
	for _, e := range want {
		length := int(binary.BigEndian.Uint32(rest[4:]))
		if string(rest[:4]) != e.kind || length > len(rest) {
			t.Fatalf("found %q of %d bytes, want %q within %d", rest[:4], length, e.kind, len(rest))
		}
		img, err := png.Decode(bytes.NewReader(rest[8:length]))
		if err != nil {
			t.Fatalf("%s: %v", e.kind, err)
		}
		checkIcon(t, img, e.side)
		rest = rest[length:]
	}
	if len(rest) != 0 {
		t.Errorf("%d bytes after the last picture", len(rest))
	}
}

// checkIcon wants transparent corners, a world of warm colour and a tile of cold.
func checkIcon(t *testing.T, img image.Image, side int) {
	t.Helper()
	if got := img.Bounds(); got != image.Rect(0, 0, side, side) {
		t.Fatalf("the picture is %v, want a side of %d", got, side)
	}
	if _, _, _, a := img.At(0, 0).RGBA(); a > 0x2000 {
		t.Errorf("%d: the corner's opacity is %#x", side, a)
	}
	if r, _, b, a := img.At(side/2, side/2).RGBA(); a != 0xffff || r < b {
		t.Errorf("%d: the centre is no world: red %#x, blue %#x, opacity %#x", side, r, b, a)
	}
	if r, _, b, a := img.At(side/2, side/10).RGBA(); a != 0xffff || b < r {
		t.Errorf("%d: the tile is not blue: red %#x, blue %#x, opacity %#x", side, r, b, a)
	}
}
