package tiff

import (
	"errors"
	"strings"
	"sync"
)

// The codes of runs of 0 to 63 pixels and of 64, 128, ... 1728, then of 1792, 1856, ... 2560
// of either colour. Source: ITU-T T.4, tables 2 and 3.
const (
	whiteRuns = `00110101 000111 0111 1000 1011 1100 1110 1111 10011 10100 00111 01000 001000 000011
		110100 110101 101010 101011 0100111 0001100 0001000 0010111 0000011 0000100 0101000
		0101011 0010011 0100100 0011000 00000010 00000011 00011010 00011011 00010010 00010011
		00010100 00010101 00010110 00010111 00101000 00101001 00101010 00101011 00101100
		00101101 00000100 00000101 00001010 00001011 01010010 01010011 01010100 01010101
		00100100 00100101 01011000 01011001 01011010 01011011 01001010 01001011 00110010
		00110011 00110100 11011 10010 010111 0110111 00110110 00110111 01100100 01100101
		01101000 01100111 011001100 011001101 011010010 011010011 011010100 011010101 011010110
		011010111 011011000 011011001 011011010 011011011 010011000 010011001 010011010 011000
		010011011`
	blackRuns = `0000110111 010 11 10 011 0011 0010 00011 000101 000100 0000100 0000101 0000111 00000100
		00000111 000011000 0000010111 0000011000 0000001000 00001100111 00001101000 00001101100
		00000110111 00000101000 00000010111 00000011000 000011001010 000011001011 000011001100
		000011001101 000001101000 000001101001 000001101010 000001101011 000011010010
		000011010011 000011010100 000011010101 000011010110 000011010111 000001101100
		000001101101 000011011010 000011011011 000001010100 000001010101 000001010110
		000001010111 000001100100 000001100101 000001010010 000001010011 000000100100
		000000110111 000000111000 000000100111 000000101000 000001011000 000001011001
		000000101011 000000101100 000001011010 000001100110 000001100111 0000001111 000011001000
		000011001001 000001011011 000000110011 000000110100 000000110101 0000001101100
		0000001101101 0000001001010 0000001001011 0000001001100 0000001001101 0000001110010
		0000001110011 0000001110100 0000001110101 0000001110110 0000001110111 0000001010010
		0000001010011 0000001010100 0000001010101 0000001011010 0000001011011 0000001100100
		0000001100101`
	longRuns = `00000001000 00000001100 00000001101 000000010010 000000010011 000000010100 000000010101
		000000010110 000000010111 000000011100 000000011101 000000011110 000000011111`
)

// Modes of two-dimensional coding, T.4, table 4: vertical ones are the offset to b1.
const (
	modePass = iota + 10
	modeHorizontal
)

var modes = map[string]int{
	"0001": modePass, "001": modeHorizontal,
	"1": 0, "011": 1, "000011": 2, "0000011": 3, "010": -1, "000010": -2, "0000010": -3,
}

// code is the bits of a code, after a 1 that marks where they begin.
type code uint16

func parseCode(bits string) code {
	c := code(1)
	for _, b := range bits {
		c = c<<1 | code(b-'0')
	}
	return c
}

// faxTables returns the runs of white and black and the modes, by code.
var faxTables = sync.OnceValue(func() (t struct {
	runs  [2]map[code]int
	modes map[code]int
}) {
	for colour, codes := range [2]string{whiteRuns, blackRuns} {
		t.runs[colour] = map[code]int{}
		for i, bits := range append(strings.Fields(codes), strings.Fields(longRuns)...) {
			if i >= 64 {
				i = (i - 63) * 64
			}
			t.runs[colour][parseCode(bits)] = i
		}
	}
	t.modes = map[code]int{}
	for bits, mode := range modes {
		t.modes[parseCode(bits)] = mode
	}
	return t
})

var errFax = errors.New("the fax codes mean nothing")

// fax decodes rows of black and white.
type fax struct {
	data    []byte
	at      int // in bits
	columns int
	changes []int // where the colour changes in the row above, starting from white
	near    int   // the last of them that was looked at
}

// How rows are coded.
type faxKind struct {
	group4  bool // every row by the one above, without ends of line
	mixed   bool // after an end of line, a bit says whether a row is coded by itself
	aligned bool // rows begin at a byte
}

// decodeFax decodes rows of columns pixels to one bit a pixel, 1 for black. Rows that are
// missing at the end are an error. Source: ITU-T T.4 and T.6, TIFF 6.0, sections 10 and 11.
func decodeFax(data []byte, columns, rows int, kind faxKind) ([]byte, error) {
	f := &fax{data: data, columns: columns}
	stride := (columns + 7) / 8
	out := make([]byte, stride*rows)
	for y := range rows {
		if kind.aligned {
			f.at = (f.at + 7) &^ 7
		}
		alone := !kind.group4
		if !kind.group4 && f.endOfLine() && kind.mixed {
			alone = f.bit() == 1
		}
		row, err := f.row(alone)
		if err != nil {
			return nil, err
		}
		f.changes = row
		for i := 0; i+1 < len(row); i += 2 {
			for x := row[i]; x < row[i+1]; x++ {
				out[y*stride+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	return out, nil
}

// bit returns the next bit, 0 past the end.
func (f *fax) bit() int {
	at := f.at
	f.at++
	if at/8 >= len(f.data) {
		return 0
	}
	return int(f.data[at/8]>>(7-at%8)) & 1
}

// endOfLine skips an end of line, eleven zeros or more and a one, if it comes next.
func (f *fax) endOfLine() bool {
	start := f.at
	zeros := 0
	for f.bit() == 0 {
		if zeros++; f.at/8 >= len(f.data) {
			break
		}
	}
	if zeros < 11 || f.at/8 > len(f.data) {
		f.at = start
		return false
	}
	return true
}

// read returns what the next code means.
func (f *fax) read(table map[code]int) (int, error) {
	c := code(1)
	for range 13 {
		c = c<<1 | code(f.bit())
		if v, ok := table[c]; ok {
			if f.at > 8*len(f.data) {
				return 0, errFax
			}
			return v, nil
		}
	}
	return 0, errFax
}

// run returns the length of a run of white (0) or black (1).
func (f *fax) run(colour int) (int, error) {
	length := 0
	for {
		n, err := f.read(faxTables().runs[colour])
		if err != nil {
			return 0, err
		}
		if length += n; n < 64 || length > f.columns {
			return length, nil
		}
	}
}

// row decodes a row to where its colour changes, up to its end twice.
func (f *fax) row(alone bool) ([]int, error) {
	var row []int
	x, colour := 0, 0
	runs := func(n int) error {
		for range n {
			length, err := f.run(colour)
			if err != nil {
				return err
			}
			x, colour = x+length, 1-colour
			row = append(row, min(x, f.columns))
		}
		return nil
	}
	f.near = 0
	for first := true; x < f.columns; first = false {
		if len(row) > 2*f.columns {
			return nil, errFax
		}
		if alone {
			if err := runs(1); err != nil {
				return nil, err
			}
			continue
		}
		mode, err := f.read(faxTables().modes)
		if err != nil {
			return nil, err
		}
		b := f.above(x, colour, first)
		switch mode {
		case modePass:
			x = f.change(b + 1)
		case modeHorizontal:
			if err := runs(2); err != nil {
				return nil, err
			}
		default:
			if x, colour = f.change(b)+mode, 1-colour; x < 0 || len(row) > 0 && x < row[len(row)-1] {
				return nil, errFax
			}
			row = append(row, min(x, f.columns))
		}
	}
	return append(row, f.columns, f.columns), nil
}

// above returns which change of the row above is the first one right of x to the other
// colour than colour; at the row's beginning it may be at x. x does not fall within a row.
func (f *fax) above(x, colour int, first bool) int {
	i := max(colour, f.near)
	if i%2 != colour {
		i--
	}
	for i < len(f.changes) && (f.changes[i] < x || f.changes[i] == x && !first) && f.changes[i] < f.columns {
		i += 2
	}
	f.near = i
	return i
}

func (f *fax) change(i int) int {
	if i < len(f.changes) {
		return f.changes[i]
	}
	return f.columns
}
