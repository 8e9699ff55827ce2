package jpeg

import "errors"

// huffman is a table to decode codes of up to 16 bits with.
type huffman struct {
	short  [1 << lookup]uint16 // by the next bits: the code's length << 8 | its value, 0 if it is longer
	last   [17]int32           // the last code of each length, -1 for none
	offset [17]int32           // from a code of each length to the place of its value
	values []byte
}

const lookup = 9

var errCode = errors.New("the data hold a code that means nothing")

// readHuffman reads tables of T.81, B.2.4.2.
func (d *decoder) readHuffman(s []byte) error {
	for len(s) > 0 {
		if len(s) < 17 {
			return errors.New("a Huffman table is malformed")
		}
		class, id, n := s[0]>>4, s[0]&15, 0
		for _, count := range s[1:17] {
			n += int(count)
		}
		if class > 1 || id > 3 || n > 256 || len(s) < 17+n {
			return errors.New("a Huffman table is malformed")
		}
		t, err := newHuffman(s[1:17], s[17:17+n])
		if err != nil {
			return err
		}
		d.huffman[class][id] = t
		s = s[17+n:]
	}
	return nil
}

// newHuffman makes a table of how many codes there are of each length from 1 and of their
// values in order, T.81, annex C.
func newHuffman(counts, values []byte) (*huffman, error) {
	t := &huffman{values: values}
	code, place := int32(0), int32(0)
	for length := 1; length <= 16; length++ {
		n := int32(counts[length-1])
		if code+n > 1<<length {
			return nil, errors.New("a Huffman table has too many codes")
		}
		t.offset[length], t.last[length] = place-code, code+n-1
		if n == 0 {
			t.last[length] = -1
		}
		if length <= lookup {
			for i := range n {
				first := (code + i) << (lookup - length)
				for j := range int32(1) << (lookup - length) {
					t.short[first+j] = uint16(length)<<8 | uint16(values[place+i])
				}
			}
		}
		code, place = (code+n)<<1, place+n
	}
	return t, nil
}

// bits reads the bits of a scan, without the zeros that are stuffed after 0xff, up to a
// marker, after which it reads zeros.
type bits struct {
	data  []byte
	at    int
	acc   uint64 // the next n bits, last bit lowest
	n     int
	zeros int // of these, how many are not in the data
}

func (b *bits) fill() {
	for b.n <= 56 {
		var c byte
		switch {
		case b.at >= len(b.data):
			b.zeros += 8
		case b.data[b.at] != 0xff:
			c = b.data[b.at]
			b.at++
		case b.at+1 < len(b.data) && b.data[b.at+1] == 0:
			c = 0xff
			b.at += 2
		default:
			b.zeros += 8
		}
		b.acc, b.n = b.acc<<8|uint64(c), b.n+8
	}
}

// overrun reports whether more bits were read than there are.
func (b *bits) overrun() bool { return b.zeros > b.n }

// take returns the next n bits, at most 16.
func (b *bits) take(n int) int32 {
	if b.n < n {
		b.fill()
	}
	b.n -= n
	return int32(b.acc>>b.n) & (1<<n - 1)
}

// code returns the value of the next code of a table.
func (b *bits) code(t *huffman) (byte, error) {
	if b.n < 16 {
		b.fill()
	}
	if e := t.short[b.acc>>(b.n-lookup)&(1<<lookup-1)]; e != 0 {
		b.n -= int(e >> 8)
		return byte(e), nil
	}
	for length := lookup + 1; length <= 16; length++ {
		if code := int32(b.acc >> (b.n - length) & (1<<length - 1)); code <= t.last[length] {
			b.n -= length
			return t.values[code+t.offset[length]], nil
		}
	}
	return 0, errCode
}

// extend takes a value of n bits and its sign, T.81, F.2.2.1.
func (b *bits) extend(n int) int32 {
	v := b.take(n)
	if n > 0 && v < 1<<(n-1) {
		v += -1<<n + 1
	}
	return v
}

// huffmanCoder decodes Huffman-coded blocks.
type huffmanCoder struct {
	bits
	*scan
	dcTables, acTables [maxComponents]*huffman // by the scan's parts
	previous           [maxComponents]int32    // DC
	skip               int32                   // blocks that have no more coefficients in this scan
	decode             func(h *huffmanCoder, i int, b *[64]int16) error
}

func newHuffmanCoder(d *decoder, s *scan) (*huffmanCoder, error) {
	h := &huffmanCoder{bits: bits{data: d.data, at: d.at}, scan: s}
	for i, p := range s.parts {
		h.dcTables[i], h.acTables[i] = d.huffman[0][p.dc], d.huffman[1][p.ac]
		needsDC, needsAC := s.from == 0 && !s.refine, s.to > 0
		if needsDC && h.dcTables[i] == nil || needsAC && h.acTables[i] == nil {
			return nil, errors.New("a Huffman table is missing")
		}
	}
	switch {
	case !d.progressive:
		h.decode = (*huffmanCoder).sequential
	case s.from == 0 && s.refine:
		h.decode = (*huffmanCoder).refineDC
	case s.from == 0:
		h.decode = (*huffmanCoder).firstDC
	case s.refine:
		h.decode = (*huffmanCoder).refineAC
	default:
		h.decode = (*huffmanCoder).firstAC
	}
	return h, nil
}

func (h *huffmanCoder) restart(at int) {
	h.bits = bits{data: h.data, at: at}
	h.previous, h.skip = [maxComponents]int32{}, 0
}

func (h *huffmanCoder) end() int { return h.at }

func (h *huffmanCoder) block(_ *part, i int, b *[64]int16) error {
	if err := h.decode(h, i, b); err != nil {
		return err
	}
	if h.overrun() {
		return errCut
	}
	return nil
}

// dc returns the DC coefficient of a block of part i.
func (h *huffmanCoder) dc(i int) (int32, error) {
	n, err := h.code(h.dcTables[i])
	if err != nil {
		return 0, err
	}
	if n > 15 {
		return 0, errCode
	}
	h.previous[i] += h.extend(int(n))
	return h.previous[i], nil
}

func (h *huffmanCoder) sequential(i int, b *[64]int16) error {
	dc, err := h.dc(i)
	if err != nil {
		return err
	}
	b[0] = int16(dc)
	table := h.acTables[i]
	for k := 1; k < 64; k++ {
		v, err := h.code(table)
		if err != nil {
			return err
		}
		run, n := int(v>>4), int(v&15)
		if n == 0 {
			if run < 15 {
				break
			}
			k += 15
			continue
		}
		if k += run; k > 63 {
			return errCode
		}
		b[k] = int16(h.extend(n))
	}
	return nil
}

func (h *huffmanCoder) firstDC(i int, b *[64]int16) error {
	dc, err := h.dc(i)
	b[0] = int16(dc << h.low)
	return err
}

func (h *huffmanCoder) refineDC(_ int, b *[64]int16) error {
	b[0] |= int16(h.take(1) << h.low)
	return nil
}

// firstAC decodes the first bits of AC coefficients, T.81, G.1.2.2.
func (h *huffmanCoder) firstAC(i int, b *[64]int16) error {
	if h.skip > 0 {
		h.skip--
		return nil
	}
	for k := h.from; k <= h.to; k++ {
		v, err := h.code(h.acTables[i])
		if err != nil {
			return err
		}
		run, n := int(v>>4), int(v&15)
		if n == 0 {
			if run < 15 {
				h.skip = 1<<run - 1 + h.take(run)
				break
			}
			k += 15
			continue
		}
		if k += run; k > h.to {
			return errCode
		}
		b[k] = int16(h.extend(n) << h.low)
	}
	return nil
}

// refineAC decodes one more bit of AC coefficients, T.81, G.1.2.3.
func (h *huffmanCoder) refineAC(i int, b *[64]int16) error {
	k := h.from
	if h.skip == 0 {
		for ; k <= h.to; k++ {
			v, err := h.code(h.acTables[i])
			if err != nil {
				return err
			}
			run, n, fresh := int(v>>4), v&15, int16(0)
			switch {
			case n == 0 && run < 15:
				h.skip = 1<<run + h.take(run)
			case n == 1:
				if fresh = -1 << h.low; h.take(1) == 1 {
					fresh = 1 << h.low
				}
			case n > 1:
				return errCode
			}
			if h.skip > 0 {
				break
			}
			if k = h.correct(b, k, run); fresh != 0 {
				if k > h.to {
					return errCode
				}
				b[k] = fresh
			}
		}
	}
	if h.skip > 0 {
		h.correct(b, k, 64)
		h.skip--
	}
	return nil
}

// correct reads the next bit of the coefficients from k that are not zero, up to one that
// is after run others, and returns where that stands.
func (h *huffmanCoder) correct(b *[64]int16, k, run int) int {
	for ; k <= h.to; k++ {
		if b[k] == 0 {
			if run == 0 {
				break
			}
			run--
			continue
		}
		if h.take(1) == 1 && b[k]>>h.low&1 == 0 {
			if b[k] > 0 {
				b[k] += 1 << h.low
			} else {
				b[k] -= 1 << h.low
			}
		}
	}
	return k
}
