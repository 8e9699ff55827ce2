package output

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/png"
	"io"
	"os"
)

// A PNG file begins with a signature and the chunk IHDR, together pngHead bytes.
const pngHead = 8 + 4 + 4 + 13 + 4

// pngMark is a chunk tEXt (PNG, 11.3.3.2) that says which program made the picture.
var pngMark = func() []byte {
	text := []byte("tEXtSoftware\x00Gimbal")
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(text)-4))
	return binary.BigEndian.AppendUint32(append(chunk, text...), crc32.ChecksumIEEE(text))
}()

// EncodePNG writes img as a PNG file that MadePNG knows again.
func EncodePNG(w io.Writer, img image.Image) error {
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		return err
	}
	_, err := w.Write(MarkPNG(file.Bytes()))
	return err
}

// MarkPNG returns a PNG file with a mark that MadePNG knows again.
func MarkPNG(file []byte) []byte {
	marked := append(bytes.Clone(file[:pngHead]), pngMark...)
	return append(marked, file[pngHead:]...)
}

// MadePNG reports whether Gimbal made the PNG file at path.
func MadePNG(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, pngHead+len(pngMark))
	_, err = io.ReadFull(f, head)
	return err == nil && bytes.Equal(head[pngHead:], pngMark)
}
