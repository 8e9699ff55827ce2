package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"image/png"
	"io"

	"github.com/jsummers/gobmp"
)

// largestIcon returns the file of the largest picture in an ICO file: PNG, or BMP without
// its header and with a mask, which is left out.
func largestIcon(data []byte) (file []byte, isPNG bool, err error) {
	const header, entry = 6, 16
	if len(data) < header {
		return nil, false, errors.New("the header is cut short")
	}
	best := 0
	for i := range int(binary.LittleEndian.Uint16(data[4:])) {
		at := header + i*entry
		if at+entry > len(data) {
			return nil, false, errors.New("the list of pictures is cut short")
		}
		e := data[at:]
		wide, high := int(e[0]-1)+1, int(e[1]-1)+1 // 0 stands for 256
		rank := wide*high*64 + min(63, int(binary.LittleEndian.Uint16(e[6:])))
		size, from := uint64(binary.LittleEndian.Uint32(e[8:])), uint64(binary.LittleEndian.Uint32(e[12:]))
		if from+size > uint64(len(data)) {
			return nil, false, io.ErrUnexpectedEOF
		}
		if rank > best {
			best, file = rank, data[from:from+size]
		}
	}
	if matches(file, "\x89PNG") {
		return file, true, nil
	}
	const info = 40
	if len(file) < info || binary.LittleEndian.Uint32(file) != info {
		return nil, false, errors.New("there is no picture in it")
	}
	colours := binary.LittleEndian.Uint32(file[32:])
	if depth := binary.LittleEndian.Uint16(file[14:]); colours == 0 && depth <= 8 {
		colours = 1 << depth
	}
	bmp := binary.LittleEndian.AppendUint32([]byte("BM"), uint32(14+len(file)))
	bmp = binary.LittleEndian.AppendUint32(append(bmp, 0, 0, 0, 0), 14+info+4*colours)
	bmp = append(bmp, file...)
	high := int32(binary.LittleEndian.Uint32(file[8:])) / 2 // with the mask below
	binary.LittleEndian.PutUint32(bmp[14+8:], uint32(high))
	return bmp, false, nil
}

func icoSize(data []byte) (image.Point, error) {
	file, isPNG, err := largestIcon(data)
	switch {
	case err != nil:
		return image.Point{}, err
	case isPNG:
		return sizeBy(png.DecodeConfig)(file)
	}
	return sizeBy(gobmp.DecodeConfig)(file)
}

func decodeICO(data []byte) (image.Image, error) {
	file, isPNG, err := largestIcon(data)
	switch {
	case err != nil:
		return nil, err
	case isPNG:
		return png.Decode(bytes.NewReader(file))
	}
	return gobmp.Decode(bytes.NewReader(file))
}
