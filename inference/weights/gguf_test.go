package weights

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
)

// ggufFile builds a GGUF file.
type ggufFile struct {
	version        uint32
	pairs, tensors [][]byte
	data           int // bytes
}

func ggufText(s string) []byte {
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(s))), s...)
}

// pair is a key with a value, which begins with the number of its type.
func ggufPair(key string, kind uint32, value ...byte) []byte {
	return append(binary.LittleEndian.AppendUint32(ggufText(key), kind), value...)
}

func ggufInts(values ...int32) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 5)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(values)))
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	return b
}

// ggufTensor has its dimensions as the file has them, the fastest first.
func ggufTensor(name string, kind uint32, offset uint64, dims ...uint64) []byte {
	b := binary.LittleEndian.AppendUint32(ggufText(name), uint32(len(dims)))
	for _, d := range dims {
		b = binary.LittleEndian.AppendUint64(b, d)
	}
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint32(b, kind), offset)
}

func (f ggufFile) bytes() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(ggufMagic), f.version)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.tensors)))
	b = binary.LittleEndian.AppendUint64(b, uint64(len(f.pairs)))
	b = append(b, slices.Concat(slices.Concat(f.pairs, f.tensors)...)...)
	b = append(b, make([]byte, (32-len(b)%32)%32)...)
	for i := range f.data {
		b = append(b, byte(i))
	}
	return b
}

// someGGUF has tensors out of order, of two types, one with another shape than it is stored in.
func someGGUF() ggufFile {
	return ggufFile{3, [][]byte{
		ggufPair("general.architecture", 8, ggufText("wan")...),
		ggufPair("comfy.gguf.orig_shape.b", 9, ggufInts(2, 1, 64)...),
	}, [][]byte{
		ggufTensor("b", 8, 32, 32, 4), ggufTensor("a", 1, 0, 3, 2), ggufTensor("c", 21, 0, 5),
	}, 32 + 4*34}
}

func TestGGUF(t *testing.T) {
	s, err := Open(tempFile(t, "x.gguf", someGGUF().bytes()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	a, err := s.Tensor("a")
	if err != nil || a.DType != device.F16 || !slices.Equal(a.Shape, []int{2, 3}) || a.Data[0] != 0 {
		t.Errorf("a is %+v, %v", a, err)
	}
	b, err := s.Tensor("b")
	if err != nil || b.DType != device.U8 || !slices.Equal(b.Shape, []int{2, 68}) || b.Data[0] != 32 || !slices.Equal(s.Shape("b"), []int{2, 1, 64}) || s.Format("b") != "q8_0" {
		t.Errorf("b is %+v of %v in %s, %v", b, s.Shape("b"), s.Format("b"), err)
	}
	if _, err := s.Tensor("c"); err == nil || !strings.Contains(err.Error(), "IQ3_S") {
		t.Errorf("c: error %v", err)
	}
}

func TestGGUFErrors(t *testing.T) {
	for name, c := range map[string]struct {
		change func(f *ggufFile)
		want   string
	}{
		"version":      {func(f *ggufFile) { f.version = 1 }, "version: found 1"},
		"big endian":   {func(f *ggufFile) { f.version = 3 << 24 }, "little-endian"},
		"short":        {func(f *ggufFile) { f.data -= 1 }, "is the download complete?"},
		"twice":        {func(f *ggufFile) { f.tensors[1] = ggufTensor("b", 1, 0, 3, 2) }, "a second one"},
		"overlap":      {func(f *ggufFile) { f.tensors[1] = ggufTensor("a", 1, 33, 3, 2) }, `where tensor "b" ends`},
		"rows":         {func(f *ggufFile) { f.tensors[0] = ggufTensor("b", 8, 32, 33, 4) }, "multiple of 32"},
		"huge":         {func(f *ggufFile) { f.tensors[0] = ggufTensor("b", 8, 32, 1<<40, 1<<40) }, "2^63"},
		"far":          {func(f *ggufFile) { f.tensors[0] = ggufTensor("b", 8, 1<<62, 32, 4) }, "bytes of data"},
		"dimensions":   {func(f *ggufFile) { f.tensors[0] = ggufTensor("b", 8, 32, make([]uint64, 9)...) }, "at most 8"},
		"shape":        {func(f *ggufFile) { f.pairs[1] = ggufPair("comfy.gguf.orig_shape.b", 9, ggufInts(2, -1)...) }, "a shape of the 128"},
		"value":        {func(f *ggufFile) { f.pairs[0] = ggufPair("x", 13, 1) }, "a value of type 13"},
		"nested array": {func(f *ggufFile) { f.pairs[0] = ggufPair("x", 9, ggufInts(9)[:12]...); f.pairs[0][13] = 9 }, "no arrays of arrays"},
		"long text":    {func(f *ggufFile) { f.pairs[0] = ggufPair("x", 8, 255, 255, 255, 255, 0, 0, 0, 0) }, "a length of"},
		"split":        {func(f *ggufFile) { f.pairs[0] = ggufPair("split.count", 2, 3, 0) }, "llama-gguf-split"},
		"alignment":    {func(f *ggufFile) { f.pairs[0] = ggufPair("general.alignment", 4, 0, 0, 0, 0) }, "general.alignment"},
	} {
		f := someGGUF()
		c.change(&f)
		if _, err := Open(tempFile(t, "x.gguf", f.bytes())); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	whole := someGGUF().bytes()
	for n := range len(whole) {
		if _, err := Open(tempFile(t, "x.gguf", whole[:max(n, 1)])); err == nil {
			t.Fatalf("the first %d bytes open", n)
		}
	}
}

func FuzzGGUF(f *testing.F) {
	f.Add(someGGUF().bytes())
	empty := someGGUF()
	empty.tensors[1] = ggufTensor("a", 1, 1<<40, 0, 1)
	f.Add(empty.bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &mapping{path: "fuzz", data: data}
		c, err := parseGGUF(file)
		if err != nil {
			return
		}
		readAll(c, file)
		for _, value := range c.gguf {
			value.strings()
			value.floats()
		}
		s := newStore("fuzz", []*mapping{file}, c, "")
		for _, name := range s.Names() {
			if shape := s.Shape(name); len(shape) > 0 && shape[0] < 1<<20 {
				s.Values(name)
			}
		}
	})
}
