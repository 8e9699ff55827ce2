package picture

import (
	"bytes"
	"encoding/binary"
	"image"
)

// orient returns the picture upright. o is the EXIF orientation, 1 to 8: which edges of
// the scene the first row and the first column are.
func orient(src *image.RGBA, o int) *image.RGBA {
	if o == 1 {
		return src
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	bounds := src.Rect
	if o >= 5 {
		bounds = image.Rect(0, 0, h, w)
	}
	dst := image.NewRGBA(bounds)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			sx, sy := x, y
			if o >= 5 {
				sx, sy = y, x
			}
			if o == 2 || o == 3 || o == 7 || o == 8 {
				sx = w - 1 - sx
			}
			if o == 3 || o == 4 || o == 6 || o == 7 {
				sy = h - 1 - sy
			}
			copy(dst.Pix[y*dst.Stride+4*x:][:4], src.Pix[sy*src.Stride+4*sx:])
		}
	}
	return dst
}

// orientation returns the orientation in EXIF data, 1 if there is none or the data are
// not sound: a picture is not refused for its notes. (TIFF 6.0, section 2; tag 274.)
func orientation(exif []byte) int {
	exif = bytes.TrimPrefix(exif, []byte("Exif\x00\x00"))
	if len(exif) < 8 {
		return 1
	}
	var order binary.ByteOrder = binary.LittleEndian
	if exif[0] == 'M' {
		order = binary.BigEndian
	}
	offset := uint64(order.Uint32(exif[4:]))
	if offset+2 > uint64(len(exif)) {
		return 1
	}
	directory := exif[offset:]
	const tag, short, entry = 274, 3, 12
	for i := range int(order.Uint16(directory)) {
		at := 2 + i*entry
		if at+entry > len(directory) {
			return 1
		}
		e := directory[at:]
		if order.Uint16(e) == tag {
			if o := int(order.Uint16(e[8:])); order.Uint16(e[2:]) == short && o >= 1 && o <= 8 {
				return o
			}
			return 1
		}
	}
	return 1
}

// noEXIF, tiffEXIF, jpegEXIF, pngEXIF and webpEXIF return a file's EXIF data, nil if
// there are none.
func noEXIF([]byte) []byte { return nil }

func tiffEXIF(data []byte) []byte { return data }

func jpegEXIF(data []byte) []byte {
	const app1, scan = 0xe1, 0xda
	for data = data[2:]; len(data) >= 4 && data[0] == 0xff && data[1] != scan; {
		if data[1] == 0xff { // padding
			data = data[1:]
			continue
		}
		length := int(binary.BigEndian.Uint16(data[2:]))
		if length < 2 || 2+length > len(data) {
			return nil
		}
		if segment := data[4 : 2+length]; data[1] == app1 && bytes.HasPrefix(segment, []byte("Exif\x00\x00")) {
			return segment
		}
		data = data[2+length:]
	}
	return nil
}

func pngEXIF(data []byte) []byte {
	for data = data[8:]; len(data) >= 12; {
		length := uint64(binary.BigEndian.Uint32(data))
		if 12+length > uint64(len(data)) {
			return nil
		}
		if string(data[4:8]) == "eXIf" {
			return data[8 : 8+length]
		}
		data = data[12+length:]
	}
	return nil
}

func webpEXIF(data []byte) []byte {
	for data = data[12:]; len(data) >= 8; {
		length := uint64(binary.LittleEndian.Uint32(data[4:]))
		padded := 8 + length + length&1
		if 8+length > uint64(len(data)) {
			return nil
		}
		if string(data[:4]) == "EXIF" {
			return data[8 : 8+length]
		}
		data = data[min(padded, uint64(len(data))):]
	}
	return nil
}
