package jpeg

import (
	"errors"
	"fmt"

	"gimbal/inference/picture/internal/rows"
)

// zigzag is where coefficient k of the coded order stands in a block, T.81, figure 5.
var zigzag = [64]uint8{
	0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5,
	12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28,
	35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
	58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
}

// maxScans bounds the time that a file can take: each scan may pass over the whole picture.
const maxScans = 500

// scan is a pass over some components. Its coefficients are from to to in coded order; the
// bits below low come later, and those above it, unless it is the first, came before.
type scan struct {
	parts    []part
	from, to int
	refine   bool
	low      uint
}

// part is a component in a scan.
type part struct {
	*component
	dc, ac int // tables
}

// coder decodes the blocks of a scan, of which it keeps the state. A block is in coded order.
type coder interface {
	block(p *part, i int, b *[64]int16) error // i counts the scan's parts
	restart(at int)
	end() (at int)
}

// readScan reads a scan and its blocks, T.81, B.2.3.
func (d *decoder) readScan(s []byte) error {
	if d.components == nil {
		return errors.New("a scan comes before the frame's header")
	}
	if len(s) < 1 || s[0] < 1 || s[0] > maxComponents || len(s) != 4+2*int(s[0]) {
		return errors.New("a scan's header is malformed")
	}
	var sc scan
	for i := range int(s[0]) {
		id, tables := int(s[1+2*i]), s[2+2*i]
		p := part{dc: int(tables >> 4), ac: int(tables & 15)}
		for _, c := range d.components {
			if c.id == id && p.component == nil && !sc.has(c) {
				p.component = c
			}
		}
		if p.component == nil || p.dc > 3 || p.ac > 3 {
			return errors.New("a scan names a component or table that there is not")
		}
		sc.parts = append(sc.parts, p)
	}
	tail := s[len(s)-3:]
	sc.from, sc.to, sc.refine, sc.low = int(tail[0]), int(tail[1]), tail[2]>>4 > 0, uint(tail[2]&15)
	if !d.progressive {
		sc.from, sc.to, sc.refine, sc.low = 0, 63, false, 0
	}
	if sc.to > 63 || sc.from > sc.to || sc.from > 0 && len(sc.parts) > 1 || d.progressive && sc.from == 0 && sc.to > 0 || sc.low > 13 {
		return errors.New("a scan's range of coefficients is malformed")
	}
	if d.scans++; d.scans > maxScans {
		return fmt.Errorf("there are more than %d scans", maxScans)
	}
	if d.components[0].stride == 0 {
		d.allocate()
	}
	for _, p := range sc.parts {
		if p.quant == nil {
			if p.quant = d.quant[p.table]; p.quant == nil {
				return errors.New("a quantization table is missing")
			}
		} else if !d.progressive {
			return errors.New("a component is scanned twice")
		}
	}
	for _, p := range sc.parts {
		for k := sc.from; k <= sc.to; k++ {
			p.missing[k] = int8(sc.low)
		}
	}
	c, err := d.newCoder(&sc)
	if err != nil {
		return err
	}
	return d.blocks(&sc, c)
}

func (s *scan) has(c *component) bool {
	for _, p := range s.parts {
		if p.component == c {
			return true
		}
	}
	return false
}

func (d *decoder) newCoder(s *scan) (coder, error) {
	if d.arithmetic {
		return newArithmetic(d, s), nil
	}
	return newHuffmanCoder(d, s)
}

// blocks decodes the blocks of a scan: MCU by MCU, or, of one component, block by block.
func (d *decoder) blocks(s *scan, c coder) error {
	across, down := d.across, d.down
	alone := len(s.parts) == 1
	if alone {
		across, down = s.parts[0].wide, s.parts[0].high
	} else {
		units := 0
		for _, p := range s.parts {
			units += p.h * p.v
		}
		if units > 10 { // T.81, B.2.3
			return fmt.Errorf("an MCU has %d blocks", units)
		}
	}
	next := byte(rst0)
	for my := range down {
		for mx := range across {
			if n := my*across + mx; d.restart > 0 && n > 0 && n%d.restart == 0 {
				if err := d.restartAt(c, next); err != nil {
					return err
				}
				next = rst0 + (next+1)&7
			}
			for i := range s.parts {
				p := &s.parts[i]
				if alone {
					if err := d.decodeBlock(p, i, c, mx, my); err != nil {
						return err
					}
					continue
				}
				for v := range p.v {
					for h := range p.h {
						if err := d.decodeBlock(p, i, c, mx*p.h+h, my*p.v+v); err != nil {
							return err
						}
					}
				}
			}
		}
	}
	d.at = c.end()
	return nil
}

func (d *decoder) decodeBlock(p *part, i int, c coder, x, y int) error {
	at := y*p.stride + x
	if d.progressive {
		return c.block(p, i, &p.coefficients[at])
	}
	d.block = [64]int16{}
	if err := c.block(p, i, &d.block); err != nil {
		return err
	}
	p.transform(&d.block, x, y)
	return nil
}

// restartAt goes to the data after a restart marker.
func (d *decoder) restartAt(c coder, want byte) error {
	d.at = c.end()
	marker, ok := d.marker()
	if !ok {
		return errCut
	}
	if marker != want {
		return fmt.Errorf("found marker %#x, expected restart %#x", marker, want)
	}
	c.restart(d.at)
	return nil
}

// transformAll turns a progressive picture's coefficients into samples.
func (d *decoder) transformAll() {
	unfinished := d.unfinished()
	for _, c := range d.components {
		c.samples = make([]uint8, 64*c.stride*c.rows)
		rows.InParallel(c.rows, func(from, to int) {
			for y := from; y < to; y++ {
				for x := range c.stride {
					b := &c.coefficients[y*c.stride+x]
					if unfinished && x < c.wide && y < c.high {
						estimate := c.smooth(x, y, d.down)
						b = &estimate
					}
					c.transform(b, x, y)
				}
			}
		})
		c.coefficients = nil
	}
}
