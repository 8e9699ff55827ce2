package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"math"

	"github.com/kovidgoyal/imaging/prism/meta/icc"

	"gimbal/inference/picture/internal/rows"
	"gimbal/inference/picture/tiff"
)

// colours is what a file says of its colours; where several do, the first of these counts.
type colours struct {
	cicp    []byte // code points of ITU-T H.273: primaries, transfer, matrix, range
	icc     []byte // an ICC profile
	srgb    bool
	chromas []float64 // x and y of white, red, green and blue; nil for sRGB's
	gamma   float64   // the encoding exponent; 0 for none
}

// transform turns the levels of a pixel, 0 to 1, into sRGB.
type transform func(r, g, b float64) (float64, float64, float64)

// transform returns what turns the file's colours into sRGB, nil if they are, or if nothing
// sound is said of them. What differs from sRGB by no more than two levels is sRGB: such
// profiles are sRGB's, rounded.
func (n notes) transform() transform {
	var t transform
	switch c := n.colours; {
	case c.cicp != nil:
		t = cicpTransform(c.cicp)
	case c.icc != nil:
		t = iccTransform(c.icc)
	case c.srgb:
	case c.gamma > 0:
		t = gammaTransform(c.chromas, c.gamma)
	case n.adobeRGB():
		t = lightTransform(adobeRGB, func(v float64) float64 { return math.Pow(v, 563.0/256) })
	}
	if t == nil || t.identity() {
		return nil
	}
	return t
}

func (t transform) identity() bool {
	const steps, bound = 15, 2.0 / 255
	at := func(i int) float64 { return float64(i) / steps }
	for i := range (steps + 1) * (steps + 1) * (steps + 1) {
		r, g, b := at(i%16), at(i/16%16), at(i/256)
		x, y, z := t(r, g, b)
		if math.Abs(x-r) > bound || math.Abs(y-g) > bound || math.Abs(z-b) > bound {
			return false
		}
	}
	return true
}

// adobeRGB reports whether EXIF data name the optional colour space of DCF, which cameras
// write in place of an ICC profile. Source: EXIF 2.3, tag 40961; DCF 2.0, 3.3.
func (n notes) adobeRGB() bool {
	const exif, space, interoperability, index, uncalibrated = 34665, 40961, 40965, 1, 65535
	first, err := tiff.First(n.exif)
	if err != nil {
		return false
	}
	details, err := first.Sub(exif)
	if err != nil {
		return false
	}
	if details.Int(space, 1) == 2 { // which some cameras write
		return true
	}
	inter, err := details.Sub(interoperability)
	return err == nil && details.Int(space, 1) == uncalibrated && bytes.HasPrefix(inter.Bytes(index), []byte("R03"))
}

// maxProfile bounds an ICC profile; a table in it takes up to eight times as much memory.
const maxProfile = 4 << 20

// iccTransform returns what an ICC profile of RGB or gray says, relative to white; nil for
// other profiles and for one that is not sound.
func iccTransform(data []byte) transform {
	if !soundProfile(data) {
		return nil
	}
	t, _ := guard(func() (transform, error) {
		p, err := icc.DecodeProfile(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		gray := p.Header.DataColorSpace == icc.ColorSpaceGray
		channels := 3
		if gray {
			channels = 1
		}
		line, err := p.CreateTransformerToSRGB(icc.RelativeColorimetricRenderingIntent, false, channels, true, false, true)
		if err != nil || !gray && p.Header.DataColorSpace != icc.ColorSpaceRGB {
			return nil, err
		}
		t := transform(line.Transform)
		if gray {
			t = func(r, g, b float64) (float64, float64, float64) {
				if r != g || g != b { // the profile is not this picture's
					return r, g, b
				}
				in, out := [3]float64{r}, [3]float64{}
				line.TransformGeneral(out[:], in[:])
				return out[0], out[1], out[2]
			}
		}
		t(0, 0, 0)
		t(1, 1, 1)
		return t, nil
	})
	return t
}

// soundProfile checks the sizes in a profile before memory is taken for them. Source: ICC.1,
// 7.2 and 7.3.
func soundProfile(data []byte) bool {
	const header, entry, most = 132, 12, 256
	if len(data) < header || len(data) > maxProfile {
		return false
	}
	tags := int(binary.BigEndian.Uint32(data[header-4:]))
	if tags > most || header+tags*entry > len(data) {
		return false
	}
	for i := range tags {
		e := data[header+i*entry:]
		from, size := uint64(binary.BigEndian.Uint32(e[4:])), uint64(binary.BigEndian.Uint32(e[8:]))
		if from < uint64(header+tags*entry) || from+size > uint64(len(data)) {
			return false
		}
	}
	const curve = 12 // a curve's header, which ends with how many values of two bytes it has
	for rest := data; ; rest = rest[len("curv"):] {
		i := bytes.Index(rest, []byte("curv"))
		if i < 0 || len(rest)-i < curve {
			return true
		}
		if rest = rest[i:]; uint64(binary.BigEndian.Uint32(rest[curve-4:])) > uint64(len(rest)-curve)/2 {
			return false
		}
	}
}

// toSRGB turns the picture into sRGB, opaque, from as many bits as it has.
func toSRGB(src image.Image, t transform) *image.RGBA {
	deep := deepPixels(src)
	dst := image.NewRGBA(image.Rectangle{Max: src.Bounds().Size()})
	var shallow *image.RGBA
	if deep == nil {
		shallow = opaque(src)
		dst = shallow
	}
	rows.InParallel(dst.Rect.Dy(), func(from, to int) {
		memory := newMemory(t)
		for y := from; y < to; y++ {
			row := dst.Pix[y*dst.Stride:][:dst.Stride]
			for x := range dst.Rect.Dx() {
				p := row[4*x:][:4]
				if deep != nil {
					r, g, b := deep(x, y)
					p[0], p[1], p[2] = levels(t(float64(r)/65535, float64(g)/65535, float64(b)/65535))
				} else {
					p[0], p[1], p[2] = memory.look(p[0], p[1], p[2])
				}
				p[3] = 255
			}
		}
	})
	return dst
}

// deepPixels returns what reads the colours of a picture of 16 bits a sample, without alpha;
// nil for other pictures.
func deepPixels(src image.Image) func(x, y int) (r, g, b uint16) {
	at := func(pix []uint8, i int) uint16 { return binary.BigEndian.Uint16(pix[i:]) }
	switch src := src.(type) {
	case *image.Gray16:
		return func(x, y int) (r, g, b uint16) {
			v := at(src.Pix, y*src.Stride+2*x)
			return v, v, v
		}
	case *image.NRGBA64:
		return func(x, y int) (r, g, b uint16) {
			i := y*src.Stride + 8*x
			return at(src.Pix, i), at(src.Pix, i+2), at(src.Pix, i+4)
		}
	case *image.RGBA64: // which decoders make of opaque pictures alone
		return func(x, y int) (r, g, b uint16) {
			i := y*src.Stride + 8*x
			return at(src.Pix, i), at(src.Pix, i+2), at(src.Pix, i+4)
		}
	}
	return nil
}

func levels(r, g, b float64) (uint8, uint8, uint8) {
	level := func(v float64) uint8 {
		if !(v > 0) {
			return 0
		}
		return uint8(min(v, 1)*255 + 0.5)
	}
	return level(r), level(g), level(b)
}

// memory keeps what colours became, for a picture has fewer colours than pixels.
type memory struct {
	transform
	before, after [1 << memoryBits]uint32 // by hash; 0 stands for none, as black's
}

const memoryBits = 14

func newMemory(t transform) *memory { return &memory{transform: t} }

func (m *memory) look(r, g, b uint8) (uint8, uint8, uint8) {
	key := 1<<24 | uint32(r)<<16 | uint32(g)<<8 | uint32(b)
	i := key * 2654435761 >> (32 - memoryBits)
	if m.before[i] != key {
		x, y, z := levels(m.transform(float64(r)/255, float64(g)/255, float64(b)/255))
		m.before[i], m.after[i] = key, uint32(x)<<16|uint32(y)<<8|uint32(z)
	}
	v := m.after[i]
	return uint8(v >> 16), uint8(v >> 8), uint8(v)
}
