package tiff

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"image"
	"io"
	"math/bits"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/image/tiff/lzw"

	"gimbal/inference/picture/jpeg"
)

// Compressions.
const (
	jpegOld = 6
	jpegNew = 7
)

// packings undo each compression: they return size bytes of a chunk's rows.
var packings = map[int]func(h *header, data []byte, c piece) ([]byte, error){
	1:       stored,
	2:       func(h *header, data []byte, c piece) ([]byte, error) { return h.fax(data, c, faxKind{aligned: true}) },
	3:       group3,
	4:       func(h *header, data []byte, c piece) ([]byte, error) { return h.fax(data, c, faxKind{group4: true}) },
	5:       unlzw,
	jpegOld: unjpeg,
	jpegNew: unjpeg,
	8:       inflate,
	32773:   packBits,
	32946:   inflate,
	50000:   unzstd,
}

// unread names compressions that are not undone.
var unread = map[int]string{
	9: "JBIG", 10: "JBIG", 32766: "NeXT", 32809: "ThunderScan", 33003: "JPEG 2000", 33005: "JPEG 2000", 34661: "JBIG", 34676: "SGI log",
	34677: "SGI log", 34712: "JPEG 2000", 34887: "LERC", 34892: "DNG's lossy JPEG", 34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50001: "WebP", 50002: "JPEG XL",
	52546: "JPEG XL",
}

// compressionName names a compression for a person.
func compressionName(code int) string {
	if name := unread[code]; name != "" {
		return name
	}
	return fmt.Sprint(code)
}

// piece is the size of a chunk as it is packed.
type piece struct {
	width, height int // pixels
	samples       int // of a pixel, in this chunk
	stride, size  int // bytes
}

func stored(_ *header, data []byte, c piece) ([]byte, error) {
	if len(data) < c.size {
		return nil, io.ErrUnexpectedEOF
	}
	return data[:c.size:c.size], nil
}

// readAll reads a chunk.
func readAll(r io.Reader, c piece) ([]byte, error) {
	out := make([]byte, c.size)
	if _, err := io.ReadFull(r, out); err != nil {
		return nil, err
	}
	return out, nil
}

func unlzw(_ *header, data []byte, c piece) ([]byte, error) {
	if len(data) > 1 && data[0] == 0 && data[1]&1 == 1 {
		return nil, UnsupportedError("of an old form of LZW")
	}
	r := lzw.NewReader(bytes.NewReader(data), lzw.MSB, 8)
	defer r.Close()
	return readAll(r, c)
}

func inflate(_ *header, data []byte, c piece) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(r, c)
}

func unzstd(_ *header, data []byte, c piece) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readAll(r, c)
}

// packBits undoes TIFF 6.0, section 9.
func packBits(_ *header, data []byte, c piece) ([]byte, error) {
	out := make([]byte, 0, c.size)
	for len(out) < c.size {
		if len(data) < 2 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int(int8(data[0]))
		data = data[1:]
		switch {
		case n >= 0:
			if len(data) <= n {
				return nil, io.ErrUnexpectedEOF
			}
			out, data = append(out, data[:n+1]...), data[n+1:]
		case n > -128:
			out, data = append(out, bytes.Repeat(data[:1], 1-n)...), data[1:]
		}
	}
	return out[:c.size], nil
}

func group3(h *header, data []byte, c piece) ([]byte, error) {
	return h.fax(data, c, faxKind{mixed: h.Int(tagFaxOptions, 0)&1 == 1})
}

func (h *header) fax(data []byte, c piece, kind faxKind) ([]byte, error) {
	if h.bits != 1 || c.samples != 1 {
		return nil, errors.New("fax codes are of one bit a pixel")
	}
	return decodeFax(data, c.width, c.height, kind)
}

// unjpeg decodes a chunk that is a JPEG file, its tables elsewhere.
func unjpeg(h *header, data []byte, c piece) ([]byte, error) {
	if tables := bytes.TrimSuffix(h.Bytes(tagJPEGTables), []byte{0xff, 0xd9}); len(tables) > 2 && len(data) > 2 {
		data = append(bytes.Clone(tables), data[2:]...)
	}
	head, err := jpeg.DecodeHeader(data)
	if err != nil {
		return nil, err
	}
	if head.Width < c.width || head.Height < c.height || head.Width > c.width+64 || head.Height > c.height+64 || head.Components != c.samples {
		return nil, fmt.Errorf("a JPEG chunk has %dx%d pixels of %d samples, expected %dx%d of %d",
			head.Width, head.Height, head.Components, c.width, c.height, c.samples)
	}
	colour := jpeg.Stored
	switch {
	case h.compression == jpegOld:
		colour = jpeg.AsMarked
	case h.photometric == ycbcr:
		colour = jpeg.YCbCr
	}
	img, err := jpeg.Decode(data, colour)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, c.size)
	for y := range c.height {
		switch img := img.(type) {
		case *image.Gray:
			out = append(out, img.Pix[y*img.Stride:][:c.width]...)
		case *image.RGBA:
			for x := range c.width {
				out = append(out, img.Pix[y*img.Stride+4*x:][:3]...)
			}
		case *image.CMYK:
			for _, v := range img.Pix[y*img.Stride:][:4*c.width] {
				out = append(out, 255-v) // which the decoder took for inverted
			}
		}
	}
	return out, nil
}

// reversed returns data whose bytes begin with the lowest bit, the usual way.
func reversed(data []byte) []byte {
	out := make([]byte, len(data))
	for i, b := range data {
		out[i] = bits.Reverse8(b)
	}
	return out
}

// undo undoes a predictor: every sample but the first of a row is stored as the difference to
// the one before. Of predictor 3, a row's bytes are sorted by significance first.
func (h *header) undo(rows []byte, c piece) {
	size := h.bits / 8
	for ; len(rows) >= c.stride && c.stride > 0; rows = rows[c.stride:] {
		row := rows[:c.stride]
		if h.predictor == 3 {
			for i := c.samples; i < len(row); i++ {
				row[i] += row[i-c.samples]
			}
			sorted := bytes.Clone(row)
			n := len(row) / size
			for i := range n {
				for b := range size {
					to := i*size + b
					if h.order.String() == "LittleEndian" {
						to = i*size + size - 1 - b
					}
					row[to] = sorted[b*n+i]
				}
			}
			continue
		}
		step := c.samples * size
		for i := step; i+size <= len(row); i += size {
			a, b := row[i-step:], row[i:]
			switch size {
			case 1:
				b[0] += a[0]
			case 2:
				h.order.PutUint16(b, h.order.Uint16(a)+h.order.Uint16(b))
			case 4:
				h.order.PutUint32(b, h.order.Uint32(a)+h.order.Uint32(b))
			case 8:
				h.order.PutUint64(b, h.order.Uint64(a)+h.order.Uint64(b))
			}
		}
	}
}
