package jpeg

import (
	"errors"
	"fmt"
	"image"
	"io"
)

// Header is what a JPEG file says of its picture before the pixels.
type Header struct {
	Width, Height int
	Components    int // 1 gray, 3 colours, 4 with black
}

// UnsupportedError names the kind of a sound file that this package does not read.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "a JPEG " + string(e) }

// Unsupported returns the kind of file that is not read.
func (e UnsupportedError) Unsupported() string { return e.Error() }

// Colour says what the components of a picture are.
type Colour int

// The colours.
const (
	AsMarked Colour = iota // as the file's own markers say, the way libjpeg guesses
	YCbCr                  // luma and chroma; with a fourth component YCCK
	Stored                 // gray, RGB or CMYK as they are stored
)

// Decode decodes the picture in data to *image.Gray, *image.RGBA or *image.CMYK. The samples
// of a CMYK picture are taken to be inverted, as all that write such files do.
func Decode(data []byte, colour Colour) (image.Image, error) {
	d := newDecoder(data)
	if err := d.decode(); err != nil {
		return nil, err
	}
	return d.output(colour), nil
}

// DecodeHeader reads as much as it takes to know the size.
func DecodeHeader(data []byte) (Header, error) {
	d := newDecoder(data)
	d.headerOnly = true
	if err := d.decode(); err != nil {
		return Header{}, err
	}
	return Header{d.width, d.height, len(d.components)}, nil
}

// Markers, ITU-T T.81, table B.1.
const (
	sof0, sof2, sof3, sof9, sof10, sof15 = 0xc0, 0xc2, 0xc3, 0xc9, 0xca, 0xcf

	dht, jpg, dac              = 0xc4, 0xc8, 0xcc
	rst0, rst7                 = 0xd0, 0xd7
	soi, eoi, sos, dqt         = 0xd8, 0xd9, 0xda, 0xdb
	dnl, dri                   = 0xdc, 0xdd
	app0, app14                = 0xe0, 0xee
	sof55                      = 0xf7 // JPEG-LS, ITU-T T.87
	tem                        = 0x01
	maxComponents, maxSampling = 4, 4
)

var errCut = fmt.Errorf("the data end too soon: %w", io.ErrUnexpectedEOF)

// component is a colour plane of the picture.
type component struct {
	id, h, v, table int
	wide, high      int         // in blocks, as a scan of it alone has them
	stride, rows    int         // in blocks, up to whole MCUs
	quant           *[64]uint16 // in zigzag order, as it was when the first scan came
	coefficients    [][64]int16 // of a progressive picture, row by row
	samples         []uint8     // stride*8 wide
	missing         [64]int8    // of a progressive picture: how many low bits are still to come, -1 all
}

type decoder struct {
	data []byte
	at   int

	width, height           int
	progressive, arithmetic bool
	components              []*component
	maxH, maxV              int
	across, down            int // MCUs

	quant    [4]*[64]uint16
	huffman  [2][4]*huffman // DC, AC
	dcBounds [4][2]uint8    // of arithmetic coding: L and U
	acBound  [4]uint8       // K
	restart  int            // MCUs between restarts, 0 for none
	block    [64]int16      // of a sequential picture: the one that is being decoded

	jfif  bool
	adobe int // the transform in Adobe's marker, -1 without one
	scans int

	headerOnly bool
}

func newDecoder(data []byte) *decoder {
	d := &decoder{data: data, adobe: -1}
	for i := range d.dcBounds {
		d.dcBounds[i], d.acBound[i] = [2]uint8{0, 1}, 5 // T.81, F.1.4.4.1.4 and F.1.4.4.2.1
	}
	return d
}

// decode reads the file up to its end, or to the frame's header.
func (d *decoder) decode() error {
	if len(d.data) < 2 || d.data[0] != 0xff || d.data[1] != soi {
		return errors.New("there is no start of image")
	}
	d.at = 2
	for {
		marker, ok := d.marker()
		if !ok || marker == eoi {
			return d.end(ok)
		}
		if marker >= rst0 && marker <= rst7 || marker == tem || marker == soi {
			continue // stand alone and mean nothing here
		}
		segment, err := d.segment()
		if err != nil {
			return err
		}
		if err := d.read(marker, segment); err != nil {
			return err
		}
		if d.headerOnly && d.components != nil {
			return nil
		}
	}
}

// marker returns the next marker, past any bytes that are none.
func (d *decoder) marker() (marker byte, ok bool) {
	for ; d.at+1 < len(d.data); d.at++ {
		if m := d.data[d.at+1]; d.data[d.at] == 0xff && m != 0 && m != 0xff {
			d.at += 2
			return m, true
		}
	}
	return 0, false
}

func (d *decoder) segment() ([]byte, error) {
	rest := d.data[d.at:]
	if len(rest) < 2 {
		return nil, errCut
	}
	length := int(rest[0])<<8 | int(rest[1])
	if length < 2 {
		return nil, fmt.Errorf("a segment has length %d", length)
	}
	if length > len(rest) {
		return nil, errCut
	}
	d.at += length
	return rest[2:length], nil
}

func (d *decoder) read(marker byte, segment []byte) error {
	switch {
	case marker == dqt:
		return d.readQuantization(segment)
	case marker == dht:
		return d.readHuffman(segment)
	case marker == dac:
		return d.readConditioning(segment)
	case marker == dri:
		if len(segment) != 2 {
			return errors.New("the restart interval is malformed")
		}
		d.restart = int(segment[0])<<8 | int(segment[1])
	case marker == sos:
		return d.readScan(segment)
	case marker == dnl:
		return UnsupportedError("whose height comes after its pixels (DNL)")
	case marker == sof55:
		return UnsupportedError("of the kind JPEG-LS")
	case marker >= sof0 && marker <= sof15 && marker != jpg:
		return d.readFrame(marker, segment)
	case marker == app0 && len(segment) >= 5 && string(segment[:5]) == "JFIF\x00":
		d.jfif = true
	case marker == app14 && len(segment) >= 12 && string(segment[:5]) == "Adobe":
		d.adobe = int(segment[11])
	}
	return nil
}

// end checks that nothing is missing when the file ends, with its marker for it or not.
func (d *decoder) end(marked bool) error {
	if d.components == nil {
		return errCut
	}
	if d.headerOnly {
		return nil
	}
	for _, c := range d.components {
		if c.quant == nil || d.progressive && !marked {
			return errCut
		}
	}
	if d.progressive {
		d.transformAll()
	}
	return nil
}

// readFrame reads the header of the frame, T.81, B.2.2.
func (d *decoder) readFrame(marker byte, s []byte) error {
	if d.components != nil {
		return errors.New("there are two frames")
	}
	if len(s) < 6 || len(s) != 6+3*int(s[5]) {
		return errors.New("the frame's header is malformed")
	}
	precision, n := s[0], int(s[5])
	d.height, d.width = int(s[1])<<8|int(s[2]), int(s[3])<<8|int(s[4])
	switch {
	case marker == sof3 || marker == 0xcb:
		return UnsupportedError("that is lossless")
	case marker >= 0xc5 && marker != sof9 && marker != sof10:
		return UnsupportedError("in layers (hierarchical)")
	case precision != 8:
		return UnsupportedError(fmt.Sprintf("of %d bits a sample", precision))
	case d.width > 0 && d.height == 0:
		return UnsupportedError("whose height comes after its pixels (DNL)")
	case n != 1 && n != 3 && n != 4:
		return UnsupportedError(fmt.Sprintf("of %d components", n))
	}
	d.progressive, d.arithmetic = marker == sof2 || marker == sof10, marker >= sof9
	d.components = make([]*component, n)
	for i := range d.components {
		t := s[6+3*i:]
		c := &component{id: int(t[0]), h: int(t[1] >> 4), v: int(t[1] & 15), table: int(t[2])}
		if c.h < 1 || c.h > maxSampling || c.v < 1 || c.v > maxSampling || c.table > 3 {
			return errors.New("a component's sampling or table is out of range")
		}
		for k := range c.missing {
			c.missing[k] = -1
		}
		d.maxH, d.maxV = max(d.maxH, c.h), max(d.maxV, c.v)
		d.components[i] = c
	}
	return nil
}

// allocate makes room for the samples, once a scan comes.
func (d *decoder) allocate() {
	d.across, d.down = ceil(d.width, 8*d.maxH), ceil(d.height, 8*d.maxV)
	for _, c := range d.components {
		c.wide, c.high = ceil(ceil(d.width*c.h, d.maxH), 8), ceil(ceil(d.height*c.v, d.maxV), 8)
		c.stride, c.rows = d.across*c.h, d.down*c.v
		if d.progressive {
			c.coefficients = make([][64]int16, c.stride*c.rows)
		} else {
			c.samples = make([]uint8, 64*c.stride*c.rows)
		}
	}
}

func ceil(a, b int) int { return (a + b - 1) / b }

// readQuantization reads tables of T.81, B.2.4.1.
func (d *decoder) readQuantization(s []byte) error {
	for len(s) > 0 {
		wide, id := int(s[0]>>4), s[0]&15
		size := 64 * (1 + wide)
		if wide > 1 || id > 3 || len(s) < 1+size {
			return errors.New("a quantization table is malformed")
		}
		t := new([64]uint16)
		for i := range t {
			if wide == 1 {
				t[i] = uint16(s[1+2*i])<<8 | uint16(s[2+2*i])
			} else {
				t[i] = uint16(s[1+i])
			}
		}
		d.quant[id] = t
		s = s[1+size:]
	}
	return nil
}

// readConditioning reads what arithmetic coding is conditioned on, T.81, B.2.4.3.
func (d *decoder) readConditioning(s []byte) error {
	for ; len(s) >= 2; s = s[2:] {
		id, value := s[0]&15, s[1]
		switch class := s[0] >> 4; {
		case class == 0 && id < 4 && value&15 <= value>>4:
			d.dcBounds[id] = [2]uint8{value & 15, value >> 4}
		case class == 1 && id < 4 && value >= 1 && value <= 63:
			d.acBound[id] = value
		default:
			return errors.New("a table of arithmetic coding is malformed")
		}
	}
	return nil
}
