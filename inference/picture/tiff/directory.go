package tiff

import (
	"encoding/binary"
	"errors"
	"math"
)

// Directory is a table of tags and values. Values that lie outside of the file are not in it.
type Directory struct {
	data    []byte
	order   binary.ByteOrder
	big     bool // BigTIFF: 8 bytes an offset
	cut     bool // tags or values are missing
	entries map[int]entry
}

type entry struct {
	kind  int
	value []byte
}

// sizes are the bytes a value of each kind has, TIFF 6.0, section 2, and BigTIFF's 16 to 18.
var sizes = [19]uint64{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

// First returns the first directory of a TIFF file, or of EXIF data, which are laid out alike.
func First(data []byte) (*Directory, error) {
	d := &Directory{data: data, order: binary.LittleEndian}
	if len(data) < 8 {
		return nil, errors.New("the header is cut short")
	}
	switch string(data[:2]) {
	case "II":
	case "MM":
		d.order = binary.BigEndian
	default:
		return nil, errors.New("there is no byte order")
	}
	switch version := d.order.Uint16(data[2:]); {
	case version == 43 && len(data) >= 16 && d.order.Uint16(data[4:]) == 8:
		d.big = true
		return d.at(d.order.Uint64(data[8:]))
	case version == 42:
		return d.at(uint64(d.order.Uint32(data[4:])))
	}
	return nil, errors.New("the version is unknown")
}

// at returns the directory at an offset.
func (d *Directory) at(offset uint64) (*Directory, error) {
	head, size, inline := uint64(2), uint64(12), uint64(4)
	if d.big {
		head, size, inline = 8, 20, 8
	}
	if offset > uint64(len(d.data)) || uint64(len(d.data))-offset < head {
		return nil, errors.New("a directory lies outside of the file")
	}
	table := d.data[offset:]
	count := uint64(d.order.Uint16(table))
	if d.big {
		count = d.order.Uint64(table)
	}
	next := &Directory{data: d.data, order: d.order, big: d.big, entries: map[int]entry{}}
	for table = table[head:]; count > 0 && uint64(len(table)) >= size; count-- {
		e, kind := table[:size], int(d.order.Uint16(table[2:]))
		table = table[size:]
		if kind >= len(sizes) || sizes[kind] == 0 {
			continue
		}
		n, value := uint64(d.order.Uint32(e[4:])), e[8:]
		if d.big {
			n, value = d.order.Uint64(e[4:]), e[12:]
		}
		if n > uint64(len(d.data)) {
			continue
		}
		if n *= sizes[kind]; n > inline {
			from := uint64(d.order.Uint32(value))
			if d.big {
				from = d.order.Uint64(value)
			}
			if from > uint64(len(d.data)) || n > uint64(len(d.data))-from {
				next.cut = true
				continue
			}
			value = d.data[from:]
		}
		if tag := int(d.order.Uint16(e)); next.entries[tag].value == nil {
			next.entries[tag] = entry{kind, value[:n]}
		}
	}
	next.cut = next.cut || count > 0
	return next, nil
}

// Sub returns the directory that a tag points to.
func (d *Directory) Sub(tag int) (*Directory, error) {
	offsets := d.Numbers(tag)
	if len(offsets) == 0 || offsets[0] < 0 || offsets[0] > float64(len(d.data)) {
		return nil, errors.New("there is no directory")
	}
	return d.at(uint64(offsets[0]))
}

// Bytes returns the value of a tag as it is stored, nil if there is none.
func (d *Directory) Bytes(tag int) []byte { return d.entries[tag].value }

// Numbers returns the values of a tag of any numeric kind, nil for other kinds.
func (d *Directory) Numbers(tag int) []float64 {
	e := d.entries[tag]
	size := sizes[e.kind]
	if size == 0 || e.kind == 2 {
		return nil
	}
	numbers := make([]float64, 0, uint64(len(e.value))/size)
	for b := e.value; uint64(len(b)) >= size; b = b[size:] {
		numbers = append(numbers, d.number(e.kind, b))
	}
	return numbers
}

func (d *Directory) number(kind int, b []byte) float64 {
	switch kind {
	case 1, 7:
		return float64(b[0])
	case 3:
		return float64(d.order.Uint16(b))
	case 4, 13:
		return float64(d.order.Uint32(b))
	case 5:
		return float64(d.order.Uint32(b)) / float64(d.order.Uint32(b[4:]))
	case 6:
		return float64(int8(b[0]))
	case 8:
		return float64(int16(d.order.Uint16(b)))
	case 9:
		return float64(int32(d.order.Uint32(b)))
	case 10:
		return float64(int32(d.order.Uint32(b))) / float64(int32(d.order.Uint32(b[4:])))
	case 11:
		return float64(math.Float32frombits(d.order.Uint32(b)))
	case 12:
		return math.Float64frombits(d.order.Uint64(b))
	case 17:
		return float64(int64(d.order.Uint64(b)))
	}
	return float64(d.order.Uint64(b)) // 16, 18
}

// Int returns the first value of a tag, or another where there is none that is whole and of
// an int32's size.
func (d *Directory) Int(tag, otherwise int) int {
	if n := d.Numbers(tag); len(n) > 0 && n[0] == math.Trunc(n[0]) && math.Abs(n[0]) < 1<<31 {
		return int(n[0])
	}
	return otherwise
}
