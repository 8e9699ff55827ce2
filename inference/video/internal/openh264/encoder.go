package openh264

// #include "bridge.h"
import "C"

import (
	"fmt"
	"image"
	"unsafe"

	_ "github.com/pion/mediadevices/pkg/codec/openh264" // links the library
)

// Encoder makes an H.264 stream in the Constrained Baseline profile: one slice
// a frame, every frame a reference for the next, one pair of parameter sets
// which name limited-range BT.709.
type Encoder struct {
	c             *C.ISVCEncoder
	width, height int
}

// NewEncoder returns an encoder for frames of width x height pixels, both even
// and at least 16, fps frames a second, quantised with qp (0 best to 51) and
// with a key frame at least every intraPeriod frames. Close frees it.
func NewEncoder(width, height, fps, qp, intraPeriod int) (*Encoder, error) {
	e := &Encoder{width: width, height: height}
	rv := C.encoder_open(&e.c, C.int(width), C.int(height), C.int(fps), C.int(qp), C.int(intraPeriod))
	if rv != 0 {
		return nil, fmt.Errorf("openh264: cannot encode %dx%d at %d frames a second (code %d)", width, height, fps, rv)
	}
	return e, nil
}

// Encode returns the frame's access unit in Annex B form; that of a key frame
// starts with the parameter sets. It fails when the frame, noise at a low qp,
// takes more than about 8 bits a pixel; the encoder is of no use afterwards.
func (e *Encoder) Encode(frame *image.YCbCr) ([]byte, error) {
	if frame.SubsampleRatio != image.YCbCrSubsampleRatio420 || frame.Rect.Size() != image.Pt(e.width, e.height) {
		panic(fmt.Sprintf("openh264: frame of %v %v, want 4:2:0 of %dx%d", frame.Rect.Size(), frame.SubsampleRatio, e.width, e.height))
	}
	var info C.SFrameBSInfo
	rv := C.encoder_encode(e.c, C.int(e.width), C.int(e.height),
		(*C.uchar)(&frame.Y[0]), (*C.uchar)(&frame.Cb[0]), (*C.uchar)(&frame.Cr[0]),
		C.int(frame.YStride), C.int(frame.CStride), &info)
	if rv != 0 {
		return nil, fmt.Errorf("openh264: cannot encode a frame (code %d)", rv)
	}
	var unit []byte
	for _, layer := range info.sLayerInfo[:info.iLayerNum] {
		size := 0
		for _, n := range unsafe.Slice(layer.pNalLengthInByte, layer.iNalCount) {
			size += int(n)
		}
		unit = append(unit, unsafe.Slice((*byte)(layer.pBsBuf), size)...)
	}
	return unit, nil
}

// Close frees the encoder.
func (e *Encoder) Close() { C.encoder_close(e.c) }
