package clip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// maxFile bounds the bytes of an .npy file, half a million float64 poses, and
// maxHeader those of its header, which numpy bounds by ten thousand.
const (
	maxFile   = 64 << 20
	maxHeader = 1 << 16
)

// array is a numpy array of floats, row-major.
type array struct {
	shape  []int
	values []float64
}

// readNPY reads a file of float32 or float64 values.
func readNPY(file string) (array, error) {
	info, err := os.Stat(file)
	if err != nil {
		return array{}, err // names the file
	}
	if !info.Mode().IsRegular() {
		return array{}, fmt.Errorf("%s: found a folder or device, expected a file", file)
	}
	if info.Size() > maxFile {
		return array{}, fmt.Errorf("%s: found %d bytes, expected at most %d", file, info.Size(), maxFile)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return array{}, err
	}
	a, err := parseNPY(data)
	if err != nil {
		return array{}, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// The header of an .npy file is a Python dictionary of these three entries.
var (
	npyDescr = regexp.MustCompile(`['"]descr['"]\s*:\s*['"]([^'"]*)['"]`)
	npyOrder = regexp.MustCompile(`['"]fortran_order['"]\s*:\s*(True|False)`)
	npyShape = regexp.MustCompile(`['"]shape['"]\s*:\s*\(([0-9, ]*)\)`)
)

// parseNPY reads an .npy file, versions 1 to 3, as numpy.lib.format describes it.
func parseNPY(data []byte) (array, error) {
	header, data, err := splitNPY(data)
	if err != nil {
		return array{}, err
	}
	descr, order, dims := npyDescr.FindSubmatch(header), npyOrder.FindSubmatch(header), npyShape.FindSubmatch(header)
	if descr == nil || order == nil || dims == nil {
		return array{}, fmt.Errorf("found the header %.100q, expected descr, fortran_order and shape of a plain array", header)
	}
	var size int
	var byteOrder binary.ByteOrder = binary.LittleEndian
	switch string(descr[1]) {
	case "<f4":
		size = 4
	case "<f8":
		size = 8
	case ">f4":
		size, byteOrder = 4, binary.BigEndian
	case ">f8":
		size, byteOrder = 8, binary.BigEndian
	default:
		return array{}, fmt.Errorf("found values of type %q, expected float32 or float64", descr[1])
	}
	shape, count, err := parseShape(string(dims[1]), len(data)/size)
	if err != nil {
		return array{}, err
	}
	a := array{shape: shape, values: make([]float64, count)}
	for i := range a.values {
		if size == 4 {
			a.values[i] = float64(math.Float32frombits(byteOrder.Uint32(data[4*i:])))
		} else {
			a.values[i] = math.Float64frombits(byteOrder.Uint64(data[8*i:]))
		}
	}
	if string(order[1]) == "True" {
		a.values = fromFortran(a.values, shape)
	}
	return a, nil
}

// splitNPY checks the start of an .npy file and parts its header from its values.
func splitNPY(data []byte) (header, values []byte, err error) {
	const magic = "\x93NUMPY"
	if len(data) < 12 || !bytes.HasPrefix(data, []byte(magic)) {
		return nil, nil, errors.New("not an .npy file, or cut short")
	}
	var start, length uint64
	switch version := data[6]; version {
	case 1:
		start, length = 10, uint64(binary.LittleEndian.Uint16(data[8:]))
	case 2, 3:
		start, length = 12, uint64(binary.LittleEndian.Uint32(data[8:]))
	default:
		return nil, nil, fmt.Errorf("found .npy version %d, expected 1 to 3", version)
	}
	if length > maxHeader || length > uint64(len(data))-start {
		return nil, nil, fmt.Errorf("found a header of %d bytes in %d, expected at most %d: the file is damaged", length, len(data), maxHeader)
	}
	return data[start : start+length], data[start+length:], nil
}

// parseShape reads the sizes in "41, 4, 4" and their product, which is at most limit.
func parseShape(text string, limit int) (shape []int, count int, err error) {
	for _, field := range strings.Split(text, ",") {
		if field = strings.TrimSpace(field); field == "" {
			continue
		}
		n, err := strconv.Atoi(field)
		if err != nil || n < 0 {
			return nil, 0, fmt.Errorf("found the shape (%s), expected sizes", text)
		}
		shape = append(shape, n)
	}
	if slices.Contains(shape, 0) {
		return shape, 0, nil
	}
	count = 1
	for _, n := range shape {
		if count > limit/n {
			count = limit + 1 // and no further: the product might not fit an int
			break
		}
		count *= n
	}
	if count > limit {
		return nil, 0, fmt.Errorf("found %d values, expected those of the shape (%s): the file is cut short", limit, text)
	}
	return shape, count, nil
}

// fromFortran reorders values whose first index runs fastest.
func fromFortran(values []float64, shape []int) []float64 {
	c := make([]float64, len(values))
	index := make([]int, len(shape))
	for i := range c {
		at, stride := 0, 1
		for d, n := range shape {
			at += index[d] * stride
			stride *= n
		}
		c[i] = values[at]
		for d := len(shape) - 1; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return c
}

// formatNPY returns an .npy file, version 1, of float32 values.
func formatNPY(a array) []byte {
	dims := make([]string, len(a.shape))
	for i, n := range a.shape {
		dims[i] = strconv.Itoa(n) + ","
	}
	header := fmt.Sprintf("{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }", strings.Join(dims, " "))
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	data := []byte("\x93NUMPY\x01\x00")
	data = binary.LittleEndian.AppendUint16(data, uint16(len(header)))
	data = append(data, header...)
	for _, v := range a.values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(v)))
	}
	return data
}
