package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/draw"
	"io"

	"golang.org/x/image/webp"

	"gimbal/inference/picture/internal/rows"
)

// webpSize returns the size of the canvas.
func webpSize(data []byte) (image.Point, error) {
	for id, chunk := range riffChunks(data) {
		if id == "VP8X" && len(chunk) >= 10 {
			return image.Pt(1+uint24(chunk[4:]), 1+uint24(chunk[7:])), nil
		}
		break // it comes first
	}
	return sizeBy(webp.DecodeConfig)(data)
}

func uint24(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }

// decodeWebP decodes the picture or the first frame of an animation, on black where that does
// not fill the canvas.
func decodeWebP(data []byte) (image.Image, error) {
	for id, chunk := range riffChunks(data) {
		if id == "ANMF" {
			return decodeWebPFrame(data, chunk)
		}
	}
	return decodeWebPStill(data)
}

// decodeWebPStill decodes a file of one frame. Go's decoder leaves the colours to the caller.
func decodeWebPStill(data []byte) (image.Image, error) {
	if uint64(binary.LittleEndian.Uint32(data[4:]))+8 > uint64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	img, err := webp.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	switch img := img.(type) {
	case *image.YCbCr:
		return webpColours(img), nil
	case *image.NYCbCrA:
		return webpColours(&img.YCbCr), nil
	}
	return img, nil
}

// decodeWebPFrame decodes a frame of an animation: the offsets and sizes of an ANMF chunk,
// then the chunks of a still picture. Source: the WebP container specification.
func decodeWebPFrame(data, frame []byte) (image.Image, error) {
	const header = 16
	size, err := webpSize(data)
	if err != nil {
		return nil, err
	}
	if len(frame) < header {
		return nil, errors.New("a frame is cut short")
	}
	at := image.Pt(2*uint24(frame), 2*uint24(frame[3:]))
	w, h := uint24(frame[6:]), uint24(frame[9:]) // less one
	var alpha byte
	for id := range riffChunks(append(make([]byte, 12), frame[header:]...)) {
		if id == "ALPH" {
			alpha = 1 << 4
		}
	}
	still := []byte("RIFF\x00\x00\x00\x00WEBP")
	if alpha != 0 { // only then does Go's decoder want this chunk
		still = append(still, "VP8X\x0a\x00\x00\x00"...)
		still = append(still, alpha, 0, 0, 0, byte(w), byte(w>>8), byte(w>>16), byte(h), byte(h>>8), byte(h>>16))
	}
	still = append(still, frame[header:]...)
	binary.LittleEndian.PutUint32(still[4:], uint32(len(still)-8))
	img, err := decodeWebPStill(still)
	if err != nil {
		return nil, err
	}
	canvas := image.NewNRGBA(image.Rectangle{Max: size})
	place := img.Bounds().Add(at)
	if !place.In(canvas.Rect) {
		return nil, errors.New("a frame is larger than the picture")
	}
	if solid := opaque(img); place == canvas.Rect {
		return solid, nil
	} else {
		draw.Draw(canvas, place, solid, image.Point{}, draw.Src)
	}
	return canvas, nil
}

// webpColours turns VP8's luma and chroma into colours as libwebp does: ITU-R BT.601 with
// black at 16 and white at 235, chroma interpolated in both directions.
func webpColours(src *image.YCbCr) *image.RGBA {
	w, h := src.Rect.Dx(), src.Rect.Dy()
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	rows.InParallel(h, func(from, to int) {
		u, v := make([]uint8, w), make([]uint8, w)
		for y := from; y < to; y++ {
			near, far := y/2, min((h-1)/2, max(0, y/2+y%2*2-1))
			spread(u, src.Cb[near*src.CStride:], src.Cb[far*src.CStride:])
			spread(v, src.Cr[near*src.CStride:], src.Cr[far*src.CStride:])
			luma, out := src.Y[y*src.YStride:], dst.Pix[y*dst.Stride:]
			for x := range w {
				l, b, r := int(luma[x])*19077>>8, int(u[x]), int(v[x])
				p := out[4*x:][:4]
				p[0] = clamp6(l + r*26149>>8 - 14234)
				p[1] = clamp6(l - b*6419>>8 - r*13320>>8 + 8708)
				p[2] = clamp6(l + b*33050>>8 - 17685)
				p[3] = 255
			}
		}
	})
	return dst
}

// clamp6 returns v/64 as a level.
func clamp6(v int) uint8 { return uint8(max(0, min(255, v>>6))) }

// spread interpolates a row of chroma samples to twice as many: 9/16 of the nearest one, with
// libwebp's roundings. far is the next nearest row.
func spread(dst, near, far []uint8) {
	last := len(dst) - 1
	edge := func(x int) uint8 { return uint8((3*int(near[x]) + int(far[x]) + 2) >> 2) }
	dst[0] = edge(0)
	for x := 1; x <= last/2; x++ {
		n0, n1, f0, f1 := int(near[x-1]), int(near[x]), int(far[x-1]), int(far[x])
		sum := n0 + n1 + f0 + f1 + 8
		dst[2*x-1] = uint8(((sum+2*(n1+f0))>>3 + n0) >> 1)
		dst[2*x] = uint8(((sum+2*(n0+f1))>>3 + n1) >> 1)
	}
	if last%2 == 1 {
		dst[last] = edge(last / 2)
	}
}
