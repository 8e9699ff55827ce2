package openh264

// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"image"
	"unsafe"
)

// Decoder reads an H.264 stream as Encoder makes it; tests look at what was
// written through it.
type Decoder struct{ c *C.ISVCDecoder }

// NewDecoder returns a decoder. Close frees it.
func NewDecoder() (*Decoder, error) {
	d := &Decoder{}
	if rv := C.decoder_open(&d.c); rv != 0 {
		return nil, fmt.Errorf("openh264: cannot start a decoder (code %d)", rv)
	}
	return d, nil
}

// Decode returns the frame of one access unit in Annex B form.
func (d *Decoder) Decode(unit []byte) (*image.YCbCr, error) {
	if len(unit) == 0 {
		return nil, errors.New("openh264: empty access unit")
	}
	var info C.SBufferInfo
	if rv := C.decoder_decode(d.c, (*C.uchar)(&unit[0]), C.int(len(unit)), &info); rv != 0 {
		return nil, fmt.Errorf("openh264: cannot decode a frame (code %d)", rv)
	}
	if info.iBufferStatus != 1 {
		return nil, errors.New("openh264: access unit without a whole frame")
	}
	pic := C.decoder_picture(&info)
	frame := image.NewYCbCr(image.Rect(0, 0, int(pic.iWidth), int(pic.iHeight)), image.YCbCrSubsampleRatio420)
	copyPlane(frame.Y, frame.YStride, info.pDst[0], int(pic.iStride[0]))
	copyPlane(frame.Cb, frame.CStride, info.pDst[1], int(pic.iStride[1]))
	copyPlane(frame.Cr, frame.CStride, info.pDst[2], int(pic.iStride[1]))
	return frame, nil
}

// copyPlane fills dst, whose rows have width bytes, from rows stride apart.
func copyPlane(dst []byte, width int, src *C.uchar, stride int) {
	for row := 0; row*width < len(dst); row++ {
		from := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(src), row*stride)), width)
		copy(dst[row*width:], from)
	}
}

// Close frees the decoder.
func (d *Decoder) Close() { C.decoder_close(d.c) }
