package tokenizer

import (
	"encoding/binary"
	"errors"
	"math"
)

// field is one field of a protocol buffer message, in its wire format.
type field struct {
	number uint64
	varint uint64 // wire type 0
	bits32 uint32 // wire type 5
	bytes  []byte // wire type 2
}

func (f field) bool() bool       { return f.varint != 0 }
func (f field) float32() float32 { return math.Float32frombits(f.bits32) }

var errWire = errors.New("found a broken protocol buffer, expected a SentencePiece model")

// eachField calls f for the fields of message in order.
func eachField(message []byte, f func(field) error) error {
	for len(message) > 0 {
		tag, n := binary.Uvarint(message)
		if n <= 0 || tag>>3 == 0 {
			return errWire
		}
		message = message[n:]
		v := field{number: tag >> 3}
		switch tag & 7 {
		case 0:
			if v.varint, n = binary.Uvarint(message); n <= 0 {
				return errWire
			}
		case 1:
			n = 8
		case 2:
			size, head := binary.Uvarint(message)
			if head <= 0 || size > uint64(len(message)-head) {
				return errWire
			}
			n = head + int(size)
			v.bytes = message[head:n]
		case 5:
			if n = 4; len(message) >= n {
				v.bits32 = binary.LittleEndian.Uint32(message)
			}
		default:
			return errWire
		}
		if n > len(message) {
			return errWire
		}
		message = message[n:]
		if err := f(v); err != nil {
			return err
		}
	}
	return nil
}
