package picture

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"iter"
	"strings"

	"gimbal/inference/picture/tiff"
)

// notes are what a file says of its picture beside the pixels; nil where it does not. None
// of them is trusted to be sound.
type notes struct {
	exif    []byte // a TIFF file without a picture
	xmp     []byte
	colours colours
	turned  int // the orientation, where it is known by other means; else 0
}

func noNotes([]byte) notes { return notes{} }

// bmpNotes finds the ICC profile in a file with the header BITMAPV5HEADER.
func bmpNotes(data []byte) (n notes) {
	const at, v5, space, offset, size = 14, 124, 56, 112, 116
	if len(data) < at+v5 || binary.LittleEndian.Uint32(data[at:]) < v5 || string(data[at+space:][:4]) != "DEBM" {
		return n
	}
	from, length := uint64(binary.LittleEndian.Uint32(data[at+offset:])), uint64(binary.LittleEndian.Uint32(data[at+size:]))
	if from += at; from+length <= uint64(len(data)) {
		n.colours.icc = data[from : from+length]
	}
	return n
}

func tiffNotes(data []byte) notes {
	n := notes{exif: data}
	if d, err := tiff.First(data); err == nil {
		n.xmp, n.colours.icc = d.Bytes(700), d.Bytes(34675)
	}
	return n
}

func jpegNotes(data []byte) (n notes) {
	const app1, app2 = 0xe1, 0xe2
	for marker, segment := range jpegSegments(data) {
		if profile, ok := bytes.CutPrefix(segment, []byte("ICC_PROFILE\x00")); ok && marker == app2 && len(profile) > 2 {
			n.colours.icc = append(n.colours.icc, profile[2:]...) // after its number of how many
		}
		if marker != app1 {
			continue
		}
		if exif, ok := bytes.CutPrefix(segment, []byte("Exif\x00")); ok && len(exif) > 0 && n.exif == nil {
			n.exif = exif[1:]
		}
		if xmp, ok := bytes.CutPrefix(segment, []byte("http://ns.adobe.com/xap/1.0/\x00")); ok && n.xmp == nil {
			n.xmp = xmp
		}
	}
	return n
}

// jpegSegments yields the segments of a JPEG file before its first scan, by marker.
func jpegSegments(data []byte) iter.Seq2[byte, []byte] {
	const scan = 0xda
	return func(yield func(byte, []byte) bool) {
		for data = data[2:]; len(data) >= 4; {
			marker := data[1]
			if data[0] != 0xff || marker == 0 || marker == 0xff {
				data = data[1:] // padding, or what is no marker
				continue
			}
			length := int(binary.BigEndian.Uint16(data[2:]))
			if marker == scan || length < 2 || 2+length > len(data) || !yield(marker, data[4:2+length]) {
				return
			}
			data = data[2+length:]
		}
	}
}

func pngNotes(data []byte) (n notes) {
	for id, chunk := range pngChunks(data) {
		c := &n.colours
		switch id {
		case "cICP":
			c.cicp = chunk
		case "iCCP":
			if _, profile, ok := bytes.Cut(chunk, []byte{0}); ok && len(profile) > 1 {
				c.icc = inflate(profile[1:])
			}
		case "sRGB":
			c.srgb = true
		case "gAMA":
			if v := pngNumbers(chunk); len(v) == 1 {
				c.gamma = v[0]
			}
		case "cHRM":
			if v := pngNumbers(chunk); len(v) == 8 {
				c.chromas = v
			}
		case "eXIf":
			n.exif = chunk
		case "tEXt", "zTXt", "iTXt":
			key, text := pngText(id, chunk)
			switch key {
			case "XML:com.adobe.xmp":
				n.xmp = text
			case "Raw profile type exif", "Raw profile type APP1":
				if n.exif == nil {
					n.exif = rawProfile(text)
				}
			}
		}
	}
	n.exif = bytes.TrimPrefix(n.exif, []byte("Exif\x00\x00"))
	return n
}

// pngChunks yields the chunks of a PNG file up to its end, by type.
func pngChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for data = data[8:]; len(data) >= 12; {
			length := uint64(binary.BigEndian.Uint32(data))
			if 12+length > uint64(len(data)) || !yield(string(data[4:8]), data[8:8+length]) {
				return
			}
			data = data[12+length:]
		}
	}
}

// pngNumbers returns what gAMA and cHRM hold.
func pngNumbers(chunk []byte) (numbers []float64) {
	for ; len(chunk) >= 4; chunk = chunk[4:] {
		numbers = append(numbers, float64(binary.BigEndian.Uint32(chunk))/100_000)
	}
	return numbers
}

// pngText returns the key and text of a chunk, unpacked. Source: the PNG specification, 11.3.3.
func pngText(id string, chunk []byte) (key string, text []byte) {
	name, rest, ok := bytes.Cut(chunk, []byte{0})
	if !ok {
		return "", nil
	}
	packed := id == "zTXt"
	switch {
	case packed && len(rest) > 0:
		rest = rest[1:]
	case id == "iTXt" && len(rest) > 2:
		packed = rest[0] == 1
		_, rest, _ = bytes.Cut(rest[2:], []byte{0}) // the language
		_, rest, _ = bytes.Cut(rest, []byte{0})     // the key translated
	}
	if packed {
		rest = inflate(rest)
	}
	return string(name), rest
}

// maxNote bounds what is unpacked.
const maxNote = 4 << 20

// inflate returns what zlib packed, nil if that is not sound or too large.
func inflate(data []byte) []byte {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxNote+1))
	if err != nil || len(plain) > maxNote {
		return nil
	}
	return plain
}

// rawProfile returns the bytes of a profile that ImageMagick wrote as text: a name, a length
// and hexadecimal digits.
func rawProfile(text []byte) []byte {
	fields := strings.Fields(string(text))
	if len(fields) < 3 {
		return nil
	}
	plain, err := hex.DecodeString(strings.Join(fields[2:], ""))
	if err != nil {
		return nil
	}
	return plain
}

func webpNotes(data []byte) (n notes) {
	for id, chunk := range riffChunks(data) {
		switch id {
		case "EXIF":
			n.exif = bytes.TrimPrefix(chunk, []byte("Exif\x00\x00"))
		case "XMP ":
			n.xmp = chunk
		case "ICCP":
			n.colours.icc = chunk
		}
	}
	return n
}

// riffChunks yields the chunks of a RIFF file, by type.
func riffChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		for data = data[min(12, len(data)):]; len(data) >= 8; {
			length := uint64(binary.LittleEndian.Uint32(data[4:]))
			if 8+length > uint64(len(data)) || !yield(string(data[:4]), data[8:8+length]) {
				return
			}
			data = data[min(8+length+length&1, uint64(len(data))):]
		}
	}
}
