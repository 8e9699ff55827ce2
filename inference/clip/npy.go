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

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// maxFile bounds the bytes of a file, half a million float64 poses, and maxHeader those of
// an array's header, which numpy bounds by ten thousand.
const (
	maxFile   = 64 << 20
	maxPoses  = maxFile / 128
	maxHeader = 1 << 16
)

// array is a numpy array of numbers, row-major.
type array struct {
	shape  []int
	values []float64
}

// readNPY reads a file of numbers.
func readNPY(file string) (array, error) {
	data, err := readSmall(file)
	if err != nil {
		return array{}, err
	}
	a, err := parseNPY(data)
	if err != nil {
		return array{}, fmt.Errorf("%s: %w", file, err)
	}
	return a, nil
}

// readSmall reads a file of at most maxFile bytes. The error names it.
func readSmall(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		if target, link := os.Readlink(file); link == nil {
			return nil, fmt.Errorf("%s: found a link to %s, which is not there", file, target)
		}
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: found a folder or device, expected a file", file)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s: found %d bytes, expected at most %d", file, info.Size(), maxFile)
	}
	return os.ReadFile(file)
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
	size, read, err := number(string(descr[1]))
	if err != nil {
		return array{}, err
	}
	shape, count, err := parseShape(string(dims[1]), len(data)/size)
	if err != nil {
		return array{}, err
	}
	a := array{shape: shape, values: make([]float64, count)}
	for i := range a.values {
		a.values[i] = read(data[size*i:])
	}
	if string(order[1]) == "True" {
		a.values = fromFortran(a.values, shape)
	}
	return a, nil
}

// number returns the bytes of a number of a numpy type, such as "<f4", and how it is read.
func number(descr string) (size int, read func([]byte) float64, err error) {
	var order binary.ByteOrder = binary.LittleEndian
	kind := descr
	if kind != "" && strings.ContainsRune("<>=|", rune(kind[0])) {
		if kind[0] == '>' {
			order = binary.BigEndian
		}
		kind = kind[1:]
	}
	switch kind {
	case "f2":
		return 2, func(b []byte) float64 { return half(order.Uint16(b)) }, nil
	case "f4":
		return 4, func(b []byte) float64 { return float64(math.Float32frombits(order.Uint32(b))) }, nil
	case "f8":
		return 8, func(b []byte) float64 { return math.Float64frombits(order.Uint64(b)) }, nil
	case "i1":
		return 1, func(b []byte) float64 { return float64(int8(b[0])) }, nil
	case "u1", "b1":
		return 1, func(b []byte) float64 { return float64(b[0]) }, nil
	case "i2":
		return 2, func(b []byte) float64 { return float64(int16(order.Uint16(b))) }, nil
	case "u2":
		return 2, func(b []byte) float64 { return float64(order.Uint16(b)) }, nil
	case "i4":
		return 4, func(b []byte) float64 { return float64(int32(order.Uint32(b))) }, nil
	case "u4":
		return 4, func(b []byte) float64 { return float64(order.Uint32(b)) }, nil
	case "i8":
		return 8, func(b []byte) float64 { return float64(int64(order.Uint64(b))) }, nil
	case "u8":
		return 8, func(b []byte) float64 { return float64(order.Uint64(b)) }, nil
	}
	return 0, nil, fmt.Errorf("found values of type %q, expected floats, integers or booleans", descr)
}

// half widens a float16.
func half(bits uint16) float64 {
	var v [1]float32
	weights.Widen(v[:], []byte{byte(bits), byte(bits >> 8)}, device.F16)
	return float64(v[0])
}

// splitNPY checks the start of an .npy file and parts its header from its values.
func splitNPY(data []byte) (header, values []byte, err error) {
	const magic = "\x93NUMPY"
	if len(data) < 12 || !bytes.HasPrefix(data, []byte(magic)) {
		if what, want := weights.Sniff(data); what != "" {
			return nil, nil, fmt.Errorf("not an .npy file: found %s, expected %s", what, want)
		}
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
