package jpeg

// state is a row of T.81, table D.3: the probability of the less probable symbol, and where
// to go after either symbol; flip exchanges the two after the less probable one.
type state struct {
	qe       uint16
	lps, mps uint8
	flip     bool
}

var states = [114]state{
	{0x5a1d, 1, 1, true}, {0x2586, 14, 2, false}, {0x1114, 16, 3, false}, {0x080b, 18, 4, false},
	{0x03d8, 20, 5, false}, {0x01da, 23, 6, false}, {0x00e5, 25, 7, false}, {0x006f, 28, 8, false},
	{0x0036, 30, 9, false}, {0x001a, 33, 10, false}, {0x000d, 35, 11, false}, {0x0006, 9, 12, false},
	{0x0003, 10, 13, false}, {0x0001, 12, 13, false}, {0x5a7f, 15, 15, true}, {0x3f25, 36, 16, false},
	{0x2cf2, 38, 17, false}, {0x207c, 39, 18, false}, {0x17b9, 40, 19, false}, {0x1182, 42, 20, false},
	{0x0cef, 43, 21, false}, {0x09a1, 45, 22, false}, {0x072f, 46, 23, false}, {0x055c, 48, 24, false},
	{0x0406, 49, 25, false}, {0x0303, 51, 26, false}, {0x0240, 52, 27, false}, {0x01b1, 54, 28, false},
	{0x0144, 56, 29, false}, {0x00f5, 57, 30, false}, {0x00b7, 59, 31, false}, {0x008a, 60, 32, false},
	{0x0068, 62, 33, false}, {0x004e, 63, 34, false}, {0x003b, 32, 35, false}, {0x002c, 33, 9, false},
	{0x5ae1, 37, 37, true}, {0x484c, 64, 38, false}, {0x3a0d, 65, 39, false}, {0x2ef1, 67, 40, false},
	{0x261f, 68, 41, false}, {0x1f33, 69, 42, false}, {0x19a8, 70, 43, false}, {0x1518, 72, 44, false},
	{0x1177, 73, 45, false}, {0x0e74, 74, 46, false}, {0x0bfb, 75, 47, false}, {0x09f8, 77, 48, false},
	{0x0861, 78, 49, false}, {0x0706, 79, 50, false}, {0x05cd, 48, 51, false}, {0x04de, 50, 52, false},
	{0x040f, 50, 53, false}, {0x0363, 51, 54, false}, {0x02d4, 52, 55, false}, {0x025c, 53, 56, false},
	{0x01f8, 54, 57, false}, {0x01a4, 55, 58, false}, {0x0160, 56, 59, false}, {0x0125, 57, 60, false},
	{0x00f6, 58, 61, false}, {0x00cb, 59, 62, false}, {0x00ab, 61, 63, false}, {0x008f, 61, 32, false},
	{0x5b12, 65, 65, true}, {0x4d04, 80, 66, false}, {0x412c, 81, 67, false}, {0x37d8, 82, 68, false},
	{0x2fe8, 83, 69, false}, {0x293c, 84, 70, false}, {0x2379, 86, 71, false}, {0x1edf, 87, 72, false},
	{0x1aa9, 87, 73, false}, {0x174e, 72, 74, false}, {0x1424, 72, 75, false}, {0x119c, 74, 76, false},
	{0x0f6b, 74, 77, false}, {0x0d51, 75, 78, false}, {0x0bb6, 77, 79, false}, {0x0a40, 77, 48, false},
	{0x5832, 80, 81, true}, {0x4d1c, 88, 82, false}, {0x438e, 89, 83, false}, {0x3bdd, 90, 84, false},
	{0x34ee, 91, 85, false}, {0x2eae, 92, 86, false}, {0x299a, 93, 87, false}, {0x2516, 86, 71, false},
	{0x5570, 88, 89, true}, {0x4ca9, 95, 90, false}, {0x44d9, 96, 91, false}, {0x3e22, 97, 92, false},
	{0x3824, 99, 93, false}, {0x32b4, 99, 94, false}, {0x2e17, 93, 86, false}, {0x56a8, 95, 96, true},
	{0x4f46, 101, 97, false}, {0x47e5, 102, 98, false}, {0x41cf, 103, 99, false}, {0x3c3d, 104, 100, false},
	{0x375e, 99, 93, false}, {0x5231, 105, 102, false}, {0x4c0f, 106, 103, false}, {0x4639, 107, 104, false},
	{0x415e, 103, 99, false}, {0x5627, 105, 106, true}, {0x50e7, 108, 107, false}, {0x4b85, 109, 103, false},
	{0x5597, 110, 109, false}, {0x504f, 111, 107, false}, {0x5a10, 110, 111, true}, {0x5522, 112, 109, false},
	{0x59eb, 112, 111, true},
	113: {0x5a1d, 113, 113, false}, // one half, for ever: T.851, 10.3
}

// statistic is what is known of one decision: a state, and in the top bit which symbol is
// the more probable one.
type statistic uint8

// arithmetic decodes arithmetic-coded blocks, T.81, annex D and F.2.4.
type arithmetic struct {
	*decoder
	*scan
	at     int
	c, a   uint32 // the code and the interval
	shifts int
	ended  int // bytes read past the data

	dc       [4][64]statistic // by table
	ac       [4][256]statistic
	fixed    statistic
	previous [maxComponents]int32
	context  [maxComponents]int // of the next DC difference: where its statistics begin
	decode   func(a *arithmetic, p *part, i int, b *[64]int16) error
}

func newArithmetic(d *decoder, s *scan) *arithmetic {
	a := &arithmetic{decoder: d, scan: s}
	switch {
	case !d.progressive:
		a.decode = (*arithmetic).sequential
	case s.from == 0 && s.refine:
		a.decode = (*arithmetic).refineDC
	case s.from == 0:
		a.decode = (*arithmetic).firstDC
	case s.refine:
		a.decode = (*arithmetic).refineAC
	default:
		a.decode = (*arithmetic).firstAC
	}
	a.restart(d.at)
	return a
}

func (a *arithmetic) restart(at int) {
	a.at, a.c, a.a, a.shifts, a.fixed = at, 0, 0, -16, 113
	a.dc, a.ac = [4][64]statistic{}, [4][256]statistic{}
	a.previous, a.context = [maxComponents]int32{}, [maxComponents]int{}
}

func (a *arithmetic) end() int { return a.at }

func (a *arithmetic) block(p *part, i int, b *[64]int16) error {
	if err := a.decode(a, p, i, b); err != nil {
		return err
	}
	// An encoder may leave out zeros, but then a marker follows, which most files have.
	const ahead = 8
	if a.ended > ahead && a.at >= len(a.data) {
		return errCut
	}
	return nil
}

// next returns the next byte, 0 from a marker on.
func (a *arithmetic) next() uint32 {
	if a.at >= len(a.data) || a.data[a.at] == 0xff && (a.at+1 >= len(a.data) || a.data[a.at+1] != 0) {
		a.ended++
		return 0
	}
	c := a.data[a.at]
	if a.at++; c == 0xff {
		a.at++
	}
	return uint32(c)
}

// bit decodes a decision, T.81, D.2.
func (a *arithmetic) bit(s *statistic) int {
	for a.a < 0x8000 {
		if a.shifts--; a.shifts < 0 {
			a.c = a.c<<8 | a.next()
			if a.shifts += 8; a.shifts < 0 { // the first two bytes
				if a.shifts++; a.shifts == 0 {
					a.a = 0x8000
				}
			}
		}
		a.a <<= 1
	}
	old := *s
	more, e := old&0x80, &states[old&0x7f]
	lps := statistic(e.lps) | more
	if e.flip {
		lps ^= 0x80
	}
	a.a -= uint32(e.qe)
	if top := a.a << a.shifts; a.c >= top {
		a.c -= top
		small := a.a < uint32(e.qe)
		if a.a = uint32(e.qe); small {
			*s = statistic(e.mps) | more
			return int(more >> 7)
		}
		*s = lps
		return int(more>>7) ^ 1
	}
	if a.a < 0x8000 {
		if a.a < uint32(e.qe) {
			*s = lps
			return int(more>>7) ^ 1
		}
		*s = statistic(e.mps) | more
	}
	return int(more >> 7)
}

// magnitude decodes the bits of a value less one below its highest, which is m.
func (a *arithmetic) magnitude(s *statistic, m int) int32 {
	v := m
	for m >>= 1; m > 0; m >>= 1 {
		if a.bit(s) == 1 {
			v |= m
		}
	}
	return int32(v) + 1
}

// category decodes how many bits a value has, from statistic at on.
func (a *arithmetic) category(s []statistic, at, m int) (int, int, error) {
	for ; a.bit(&s[at]) == 1; at++ {
		if m <<= 1; m >= 0x8000 {
			return 0, 0, errCode
		}
	}
	return at, m, nil
}

// difference decodes a DC coefficient, T.81, F.1.4.1.
func (a *arithmetic) difference(p *part, i int) (int32, error) {
	stats, at := &a.dc[p.dc], a.context[i]
	if a.bit(&stats[at]) == 0 {
		a.context[i] = 0
		return a.previous[i], nil
	}
	sign := a.bit(&stats[at+1])
	at += 2 + sign
	m := a.bit(&stats[at])
	if m > 0 {
		var err error
		if at, m, err = a.category(stats[:], 20, m); err != nil {
			return 0, err
		}
	}
	switch bounds := a.dcBounds[p.dc]; {
	case m < 1<<bounds[0]>>1:
		a.context[i] = 0
	case m > 1<<bounds[1]>>1:
		a.context[i] = 12 + 4*sign
	default:
		a.context[i] = 4 + 4*sign
	}
	v := a.magnitude(&stats[at+14], m)
	if sign == 1 {
		v = -v
	}
	a.previous[i] += v
	return a.previous[i], nil
}

// coefficient decodes a coefficient k that is not zero, whose statistics begin at, F.1.4.2.
func (a *arithmetic) coefficient(p *part, k, at int) (int32, error) {
	stats := &a.ac[p.ac]
	sign := a.bit(&a.fixed)
	at += 2
	m := a.bit(&stats[at])
	if m > 0 && a.bit(&stats[at]) == 1 {
		at = 217
		if k <= int(a.acBound[p.ac]) {
			at = 189
		}
		var err error
		if at, m, err = a.category(stats[:], at, m<<1); err != nil {
			return 0, err
		}
	}
	v := a.magnitude(&stats[at+14], m)
	if sign == 1 {
		v = -v
	}
	return v, nil
}

func (a *arithmetic) sequential(p *part, i int, b *[64]int16) error {
	dc, err := a.difference(p, i)
	if err != nil {
		return err
	}
	b[0] = int16(dc)
	return a.acs(p, b, 1)
}

func (a *arithmetic) firstDC(p *part, i int, b *[64]int16) error {
	dc, err := a.difference(p, i)
	b[0] = int16(dc << a.low)
	return err
}

func (a *arithmetic) refineDC(_ *part, _ int, b *[64]int16) error {
	b[0] |= int16(a.bit(&a.fixed) << a.low)
	return nil
}

func (a *arithmetic) firstAC(p *part, _ int, b *[64]int16) error { return a.acs(p, b, a.from) }

// acs decodes the coefficients from k on.
func (a *arithmetic) acs(p *part, b *[64]int16, k int) error {
	stats := &a.ac[p.ac]
	for ; k <= a.to; k++ {
		at := 3 * (k - 1)
		if a.bit(&stats[at]) == 1 {
			break
		}
		for a.bit(&stats[at+1]) == 0 {
			at += 3
			if k++; k > a.to {
				return errCode
			}
		}
		v, err := a.coefficient(p, k, at)
		if err != nil {
			return err
		}
		b[k] = int16(v << a.low)
	}
	return nil
}

// refineAC decodes one more bit of each coefficient, T.81, G.1.3.3.
func (a *arithmetic) refineAC(p *part, _ int, b *[64]int16) error {
	stats := &a.ac[p.ac]
	end := a.to // of the block before this scan
	for end > 0 && b[end] == 0 {
		end--
	}
	for k := a.from; k <= a.to; k++ {
		if k > end && a.bit(&stats[3*(k-1)]) == 1 {
			break
		}
		for {
			at := 3 * (k - 1)
			if b[k] != 0 {
				if a.bit(&stats[at+2]) == 1 {
					if b[k] > 0 {
						b[k] += 1 << a.low
					} else {
						b[k] -= 1 << a.low
					}
				}
				break
			}
			if a.bit(&stats[at+1]) == 1 {
				if b[k] = 1 << a.low; a.bit(&a.fixed) == 1 {
					b[k] = -1 << a.low
				}
				break
			}
			if k++; k > a.to {
				return errCode
			}
		}
	}
	return nil
}
