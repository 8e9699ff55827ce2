package video

import (
	"bytes"
	"encoding/binary"
	"image/color"
	"image/png"
	"os"

	"gimbal/inference/output"
)

// MadeSidecar reports whether the file at path is a sidecar of Gimbal's.
func MadeSidecar(path string) bool {
	var told struct{ Program string }
	return ReadSidecar(path, &told) == nil && told.Program == Program
}

// MadeVideo reports whether the file at path is an .mp4 of a Writer's: one track, its
// index before the frames, by the compressor that only a Writer names so.
func MadeVideo(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 1<<10) // the sample description begins after 400 bytes
	n, _ := f.Read(head)
	head = head[:n]
	if len(head) < 48 || string(head[4:12]) != "ftypisom" {
		return false
	}
	first := binary.BigEndian.Uint32(head) // bytes of ftyp
	return first <= 40 && string(head[first+4:first+8]) == "moov" && bytes.Contains(head, append([]byte{byte(len(compressor))}, compressor...))
}

// MadeSheet reports whether the file at path is a contact sheet of a Sheet's: it says so,
// or, of before it did, has the frame around its pictures.
func MadeSheet(path string) bool {
	if output.MadePNG(path) {
		return true
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	if config, err := png.DecodeConfig(f); err != nil || config.Width > maxSheet || config.Height > maxSheet {
		return false
	}
	if _, err := f.Seek(0, 0); err != nil {
		return false
	}
	sheet, err := png.Decode(f)
	if err != nil {
		return false
	}
	for y := range min(sheetGap, sheet.Bounds().Dy()) {
		for x := range sheet.Bounds().Dx() {
			if sheet.At(x, y) != (color.RGBA{sheetGrey, sheetGrey, sheetGrey, 255}) {
				return false
			}
		}
	}
	return true
}

// maxSheet bounds the side, in pixels, of what may be a contact sheet.
const maxSheet = 1 << 13
