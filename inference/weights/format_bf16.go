package weights

import (
	"context"
	"encoding/binary"
	"slices"

	"gimbal/inference/device"
)

// bf16 makes dense weights of BF16 from wider ones, as the reference does when it loads a
// checkpoint of F32. What it makes is dense.
type bf16 struct{ dense }

func (bf16) name() Format { return BF16 }

func (bf16) detect(*Store, string) bool { return false }

func (bf16) plan(t Tensor, _ Quant) []Tensor {
	return []Tensor{{Name: t.Name, DType: device.BF16, Shape: t.Shape}}
}

func (bf16) encode(ctx context.Context, b *buffers, t Tensor, _ Quant) ([][]byte, error) {
	const piece = 1 << 20 // values between looks at ctx
	b.codes = resize(b.codes, len(t.Data)/2)
	for at := 0; at < len(t.Data); at += 4 * piece {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := min(at+4*piece, len(t.Data))
		encodeBF16(b.codes[at/2:end/2], t.Data[at:end])
	}
	return [][]byte{b.codes}, nil
}

// encodeBF16 rounds F32 to BF16.
func encodeBF16(to, from []byte) {
	for i := 0; i+4 <= len(from); i += 4 {
		binary.LittleEndian.PutUint16(to[i/2:], toBF16(binary.LittleEndian.Uint32(from[i:])))
	}
}

// wide reports whether the store has matrices of F32, which BF16 would round.
func (s *Store) wide() bool {
	return slices.ContainsFunc(s.Shapes(), func(t Tensor) bool { return t.DType == device.F32 && len(t.Shape) == 2 })
}
