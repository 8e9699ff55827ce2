package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"strconv"
)

// pnm is the header of a picture of the Netpbm family: PBM, PGM, PPM and PAM.
type pnm struct {
	width, height int
	samples       int // a pixel
	most          int // the highest value of a sample
	text          bool
	bits          bool // of PBM: one bit a sample, 1 is black
	data          []byte
}

// pnmMagic returns what such files start with.
func pnmMagic() (magic []string) {
	for kind := '1'; kind <= '6'; kind++ {
		for _, blank := range " \t\r\n#" {
			magic = append(magic, "P"+string(kind)+string(blank))
		}
	}
	return append(magic, "P7\n")
}

// readPNM reads the header. Source: Netpbm's manuals of the formats.
func readPNM(data []byte) (*pnm, error) {
	kind := data[1] - '0'
	p := &pnm{data: data[2:], samples: 1, most: 1, text: kind <= 3, bits: kind == 1 || kind == 4}
	if kind == 7 {
		return p, p.readPAM()
	}
	if kind == 3 || kind == 6 {
		p.samples = 3
	}
	fields := []*int{&p.width, &p.height, &p.most}
	if p.bits {
		fields = fields[:2]
	}
	for _, f := range fields {
		n, err := p.number(6)
		if err != nil {
			return nil, err
		}
		*f = n
	}
	if !p.text && len(p.data) > 0 {
		p.data = p.data[1:] // one blank
	}
	return p, p.check()
}

func (p *pnm) readPAM() error {
	for {
		line, rest, ok := bytes.Cut(p.data, []byte("\n"))
		if !ok {
			return io.ErrUnexpectedEOF
		}
		p.data = rest
		words := bytes.Fields(line)
		if len(words) == 1 && string(words[0]) == "ENDHDR" {
			return p.check()
		}
		if len(words) != 2 {
			continue
		}
		field := map[string]*int{"WIDTH": &p.width, "HEIGHT": &p.height, "DEPTH": &p.samples, "MAXVAL": &p.most}[string(words[0])]
		if field == nil {
			continue
		}
		n, err := strconv.Atoi(string(words[1]))
		if err != nil {
			return err
		}
		*field = n
	}
}

func (p *pnm) check() error {
	if p.width < 0 || p.height < 0 || p.samples < 1 || p.samples > 4 || p.most < 1 || p.most > 65535 {
		return errors.New("the header is out of range")
	}
	return nil
}

// number returns the next number of at most so many digits, past blanks and comments.
func (p *pnm) number(digits int) (int, error) {
	for {
		p.data = bytes.TrimLeft(p.data, " \t\r\n\v\f")
		if len(p.data) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		if p.data[0] != '#' {
			break
		}
		if _, p.data, _ = bytes.Cut(p.data, []byte("\n")); p.data == nil {
			return 0, io.ErrUnexpectedEOF
		}
	}
	n := 0
	for n < min(digits, len(p.data)) && p.data[n] >= '0' && p.data[n] <= '9' {
		n++
	}
	if n == 0 {
		return 0, fmt.Errorf("found %.8q, expected a number", p.data)
	}
	v, _ := strconv.Atoi(string(p.data[:n]))
	p.data = p.data[n:]
	return v, nil
}

func pnmSize(data []byte) (image.Point, error) {
	p, err := readPNM(data)
	if err != nil {
		return image.Point{}, err
	}
	return image.Pt(p.width, p.height), nil
}

func decodePNM(data []byte) (image.Image, error) {
	p, err := readPNM(data)
	if err != nil {
		return nil, err
	}
	img := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	for y := range p.height {
		if err := p.row(img.Pix[y*img.Stride:][:img.Stride]); err != nil {
			return nil, err
		}
	}
	return img, nil
}

// row reads a row. Two samples a pixel are gray and alpha, four are colours and alpha.
func (p *pnm) row(to []byte) error {
	bit := 0
	var s [4]int
	for ; len(to) > 0; to = to[4:] {
		for i := range p.samples {
			v, err := p.sample(&bit)
			if err != nil {
				return err
			}
			s[i] = (min(v, p.most)*255 + p.most/2) / p.most
		}
		to[0], to[1], to[2], to[3] = uint8(s[0]), uint8(s[0]), uint8(s[0]), 255
		if p.samples > 2 {
			to[1], to[2] = uint8(s[1]), uint8(s[2])
		}
	}
	if bit > 0 {
		p.data = p.data[(bit+7)/8:]
	}
	return nil
}

// sample reads a sample; bit counts those of the row, of one bit.
func (p *pnm) sample(bit *int) (int, error) {
	switch {
	case p.text && p.bits:
		v, err := p.number(1)
		return 1 - v&1, err
	case p.text:
		return p.number(6)
	case p.bits:
		if *bit/8 >= len(p.data) {
			return 0, io.ErrUnexpectedEOF
		}
		v := int(p.data[*bit/8]>>(7-*bit%8)) & 1
		*bit++
		return 1 - v, nil
	case len(p.data) < 1 || p.most > 255 && len(p.data) < 2:
		return 0, io.ErrUnexpectedEOF
	case p.most > 255:
		v := int(p.data[0])<<8 | int(p.data[1])
		p.data = p.data[2:]
		return v, nil
	}
	v := int(p.data[0])
	p.data = p.data[1:]
	return v, nil
}
