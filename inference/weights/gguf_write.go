package weights

import (
	"encoding/binary"
	"maps"
	"slices"

	"gimbal/inference/device"
)

// ggufAlign is the multiple at which tensors begin in a GGUF file that does not say otherwise.
const ggufAlign = 32

// written is a tensor to be written: to a GGUF file in a format of it, if it has one.
type written struct {
	Source
	format device.Format
	shape  []int // of its values
}

// size returns the tensor's bytes.
func (t written) size() int64 {
	n, _ := t.bytes()
	return n
}

// kind returns the number of the tensor's type.
func (t written) kind() uint32 {
	for number, known := range ggufTypes {
		if known.format == t.format && (t.format != device.Dense || known.dtype == t.DType) && known.dtype != 0 {
			return number
		}
	}
	panic("weights: no type of GGUF for " + t.DType.String())
}

// padding is how many bytes come behind so many.
func padding(size int64) int { return int((ggufAlign - size%ggufAlign) % ggufAlign) }

// ggufHeader returns what comes before the tensors in a file of version 3, as
// https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes it.
func ggufHeader(kind Kind, tensors []written, texts map[string]string) []byte {
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	number := func(b []byte, key string, v uint32) []byte {
		const u32 = 4
		return le.AppendUint32(le.AppendUint32(text(b, key), u32), v)
	}
	all := map[string]string{"general.architecture": map[Kind]string{KindExpert: "wan", KindText: "t5encoder", KindVAE: "wan-vae"}[kind]}
	maps.Copy(all, texts)

	b := le.AppendUint32([]byte(ggufMagic), 3)
	b = le.AppendUint64(b, uint64(len(tensors)))
	b = le.AppendUint64(b, uint64(len(all)+1))
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b = text(le.AppendUint32(text(b, key), ggufString), all[key])
	}
	b = number(b, "general.quantization_version", 2)
	var offset int64
	for _, t := range tensors {
		b = le.AppendUint32(text(b, t.Name), uint32(len(t.shape)))
		for _, n := range slices.Backward(t.shape) { // the fastest is first in the file
			b = le.AppendUint64(b, uint64(n))
		}
		b = le.AppendUint64(le.AppendUint32(b, t.kind()), uint64(offset))
		offset += t.size() + int64(padding(t.size()))
	}
	return append(b, make([]byte, padding(int64(len(b))))...)
}
