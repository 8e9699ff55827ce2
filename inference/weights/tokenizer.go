package weights

import (
	"encoding/binary"
	"math"
	"slices"
)

// spieceTensor is a text encoder's SentencePiece model, in its own file.
const spieceTensor = "spiece_model"

// Spiece returns the SentencePiece model that a text encoder's file holds: as a tensor, or made
// of the arrays of a GGUF file (tokenizer.ggml, https://github.com/ggml-org/ggml/blob/master/docs/gguf.md).
// nil if there is none, or only one without the table that normalises characters, as old files
// have it.
func (s *Store) Spiece() ([]byte, error) {
	if s.Has(spieceTensor) {
		t, err := s.Tensor(spieceTensor)
		return t.Data, err
	}
	tokens, scores, types := s.gguf["tokenizer.ggml.tokens"].strings(), s.gguf["tokenizer.ggml.scores"].floats(), s.gguf["tokenizer.ggml.token_type"].ints()
	charsmap := s.gguf["tokenizer.ggml.precompiled_charsmap"].data
	if len(tokens) == 0 || len(charsmap) == 0 {
		return nil, nil
	}
	if len(scores) != len(tokens) || len(types) != len(tokens) {
		return nil, &Error{s.path, "tokenizer.ggml", plural(len(tokens), "token") + " and " + plural(len(scores), "score") + " of " + plural(len(types), "type"), "as many of each"}
	}
	for n := len(types); n > 0 && types[n-1] == unusedPiece; n-- { // padding up to the embedding's rows
		tokens = tokens[:n-1]
	}
	return spieceOf(tokens, scores, types, charsmap, s.gguf), nil
}

// unusedPiece and bytePiece are types of sentencepiece_model.proto's pieces.
const (
	unusedPiece = 5
	bytePiece   = 6
)

// spieceOf writes a model by the numbers of the fields of sentencepiece_model.proto.
func spieceOf(tokens []string, scores []float32, types []int, charsmap []byte, values map[string]ggufValue) []byte {
	var model, trainer, normalizer message
	trainer.number(3, 1) // model_type: unigram
	for i, token := range tokens {
		var piece message
		piece.bytes(1, []byte(token))
		piece.float(2, scores[i])
		piece.number(3, uint64(types[i]))
		model.bytes(1, piece)
	}
	if slices.Contains(types, bytePiece) {
		trainer.number(35, 1) // byte_fallback
	}
	if eos, ok := values["tokenizer.ggml.eos_token_id"].int(); ok && eos >= 0 && eos < len(tokens) {
		trainer.bytes(47, []byte(tokens[eos]))
	}
	normalizer.bytes(2, charsmap)
	for number, key := range map[int]string{3: "tokenizer.ggml.add_space_prefix", 4: "tokenizer.ggml.remove_extra_whitespaces"} {
		if v, ok := values[key].int(); ok {
			normalizer.number(number, uint64(v))
		}
	}
	model.bytes(2, trainer)
	model.bytes(3, normalizer)
	return model
}

// message is one in the encoding of protocol buffers.
type message []byte

func (m *message) number(field int, v uint64) {
	*m = binary.AppendUvarint(binary.AppendUvarint(*m, uint64(field)<<3), v)
}

func (m *message) bytes(field int, b []byte) {
	*m = append(binary.AppendUvarint(binary.AppendUvarint(*m, uint64(field)<<3|2), uint64(len(b))), b...)
}

func (m *message) float(field int, v float32) {
	*m = binary.LittleEndian.AppendUint32(binary.AppendUvarint(*m, uint64(field)<<3|5), math.Float32bits(v))
}
