package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"

	"gimbal/inference/device"
)

// maxHeader is the limit of the safetensors format on its header.
const maxHeader = 100_000_000

// parseSafetensors reads the header of the format that
// https://github.com/huggingface/safetensors describes: a little-endian uint64 N, N bytes
// of JSON, then the tensors' bytes without gaps.
func parseSafetensors(file *mapping) (contents, error) {
	size := uint64(len(file.data))
	if size < 8 {
		return contents{}, &Error{file.path, "size", plural(size, "byte"), "at least 8"}
	}
	length := binary.LittleEndian.Uint64(file.data)
	if length > maxHeader {
		return contents{}, &Error{file.path, "header length", plural(length, "byte"),
			fmt.Sprintf("at most %d (is it a safetensors file?)", maxHeader)}
	}
	if length > size-8 {
		return contents{}, &Error{file.path, "header length", plural(length, "byte"),
			fmt.Sprintf("at most the %d that follow (is the download complete?)", size-8)}
	}
	start := 8 + int64(length)
	c, err := parseHeader(file, file.data[8:start])
	if err != nil {
		return contents{}, err
	}
	if err := checkRanges(file, c.tensors, int64(size)-start); err != nil {
		return contents{}, err
	}
	for _, e := range c.tensors {
		e.offset += start
	}
	return c, nil
}

// parseHeader reads the JSON object token by token: decoding to a map would let
// a second tensor of the same name replace the first.
func parseHeader(file *mapping, header []byte) (contents, error) {
	c := contents{tensors: make(map[string]*entry)}
	err := eachMember(header, func(name string, decode func(any) error) error {
		if name == "__metadata__" {
			if c.metadata != nil {
				return &Error{file.path, name, "a second one", "one"}
			}
			c.metadata = make(map[string]string)
			if err := decode(&c.metadata); err != nil {
				return &Error{file.path, name, err.Error(), "an object of strings"}
			}
			return nil
		}
		if c.tensors[name] != nil {
			return &Error{file.path, tensorField(name, ""), "a second one of this name", "unique names"}
		}
		e, err := parseTensor(file, name, decode)
		c.tensors[name] = e
		return err
	})
	return c, inField(err, file.path, "header", "a JSON object")
}

// eachMember calls f for every member of the JSON object in text, in order, with
// a function that decodes the member's value and must be called.
func eachMember(text []byte, f func(name string, decode func(any) error) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	if t, err := dec.Token(); err != nil {
		return err
	} else if t != json.Delim('{') {
		return fmt.Errorf("%v at its start", t)
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return err
		}
		if err := f(name.(string), dec.Decode); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if t, err := dec.Token(); err != io.EOF {
		return fmt.Errorf("%v after its end", t)
	}
	return nil
}

// count is a JSON number that is whole and not negative.
type count int64

func (c *count) UnmarshalJSON(text []byte) error {
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("%.40s where a whole number of at least 0 belongs", text)
	}
	*c = count(n)
	return nil
}

func parseTensor(file *mapping, name string, decode func(any) error) (*entry, error) {
	var raw struct {
		DType   string  `json:"dtype"`
		Shape   []count `json:"shape"`
		Offsets []count `json:"data_offsets"`
	}
	if err := decode(&raw); err != nil {
		return nil, &Error{file.path, tensorField(name, ""), err.Error(),
			`{"dtype": string, "shape": [sizes], "data_offsets": [begin, end]}`}
	}
	e := &entry{file: file, stored: raw.DType, shape: make([]int, len(raw.Shape))}
	for i, s := range raw.Shape {
		e.shape[i] = int(s)
	}
	switch {
	case raw.DType == "":
		return nil, &Error{file.path, tensorField(name, "dtype"), "none", "a type such as BF16"}
	case raw.Shape == nil:
		return nil, &Error{file.path, tensorField(name, "shape"), "none", "a list of sizes"}
	case len(raw.Offsets) != 2:
		return nil, &Error{file.path, tensorField(name, "data_offsets"), plural(len(raw.Offsets), "number"), "2"}
	case raw.Offsets[1] < raw.Offsets[0]:
		return nil, &Error{file.path, tensorField(name, "data_offsets"), fmt.Sprint(raw.Offsets), "begin <= end"}
	}
	e.offset = int64(raw.Offsets[0])
	e.size = int64(raw.Offsets[1] - raw.Offsets[0])
	n, ok := elements(e.shape)
	if !ok {
		return nil, &Error{file.path, tensorField(name, "shape"), fmt.Sprint(e.shape), "fewer than 2^63 elements"}
	}
	if e.dtype, ok = device.ParseDType(raw.DType); !ok {
		return e, nil // only whoever asks for this tensor needs the type
	}
	item := int64(e.dtype.Size())
	if e.size%item != 0 || e.size/item != int64(n) {
		return nil, &Error{file.path, tensorField(name, "data_offsets"), fmt.Sprintf("%v, %s", raw.Offsets, plural(e.size, "byte")),
			fmt.Sprintf("%s of %v for shape %v", plural(n, "element"), e.dtype, e.shape)}
	}
	return e, nil
}

// checkRanges checks that the tensors fill the available bytes, each its own.
func checkRanges(file *mapping, tensors map[string]*entry, available int64) error {
	names := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		x, y := tensors[a], tensors[b]
		return cmp.Or(cmp.Compare(x.offset, y.offset), cmp.Compare(x.size, y.size), cmp.Compare(a, b))
	})
	var end int64
	last := "the header"
	for _, name := range names {
		e := tensors[name]
		field := tensorField(name, "data_offsets")
		found := fmt.Sprintf("[%d %d]", e.offset, e.offset+e.size)
		switch {
		case e.offset+e.size > available:
			return &Error{file.path, field, found, fmt.Sprintf("at most the %s that follow the header (is the download complete?)", plural(available, "byte"))}
		case e.offset < end:
			return &Error{file.path, field, found, fmt.Sprintf("a begin of %d, where %s ends (they overlap)", end, last)}
		case e.offset > end:
			return &Error{file.path, field, found, fmt.Sprintf("a begin of %d, where %s ends (no gaps)", end, last)}
		}
		end, last = e.offset+e.size, tensorField(name, "")
	}
	if end < available {
		return &Error{file.path, "size", plural(available-end, "byte") + " after " + last, "the end of the file"}
	}
	return nil
}
