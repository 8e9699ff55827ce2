package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strconv"
)

// Types of a piece (sentencepiece_model.proto, ModelProto.SentencePiece.Type).
const (
	typeUnknown     = 2
	typeControl     = 3
	typeUserDefined = 4
)

// modelTypeUnigram is TrainerSpec.ModelType.UNIGRAM.
const modelTypeUnigram = 1

// spiece is what a SentencePiece model says; the numbers of the fields are those
// of sentencepiece_model.proto.
type spiece struct {
	pieces []piece
	types  []uint64

	// trainer_spec
	modelType          uint64
	byteFallback       bool
	whitespaceAsSuffix bool
	eosPiece           string

	// normalizer_spec
	charsmap              []byte
	addDummyPrefix        bool
	removeExtraWhitespace bool
	escapeWhitespace      bool
}

func readSpiece(data []byte) (*spiece, error) {
	m := &spiece{
		modelType: modelTypeUnigram, eosPiece: "</s>",
		addDummyPrefix: true, removeExtraWhitespace: true, escapeWhitespace: true,
	}
	return m, eachField(data, func(f field) error {
		switch f.number {
		case 1:
			return m.readPiece(f.bytes)
		case 2:
			return m.readTrainer(f.bytes)
		case 3:
			return m.readNormalizer(f.bytes)
		}
		return nil
	})
}

func (m *spiece) readPiece(message []byte) error {
	p, kind := piece{}, uint64(1)
	err := eachField(message, func(f field) error {
		switch f.number {
		case 1:
			p.text = string(f.bytes)
		case 2:
			p.score = convertedScore(f.float32())
		case 3:
			kind = f.varint
		}
		return nil
	})
	m.pieces, m.types = append(m.pieces, p), append(m.types, kind)
	return err
}

// convertedScore returns the score that the reference has after a conversion of
// the model to tokenizer.json: it went through text once.
func convertedScore(score float32) float64 {
	if f := float64(score); math.IsNaN(f) || math.IsInf(f, 0) {
		return f
	}
	return parseScore(strconv.AppendFloat(nil, float64(score), 'f', -1, 64))
}

func (m *spiece) readTrainer(message []byte) error {
	return eachField(message, func(f field) error {
		switch f.number {
		case 3:
			m.modelType = f.varint
		case 24:
			m.whitespaceAsSuffix = f.bool()
		case 35:
			m.byteFallback = f.bool()
		case 47:
			m.eosPiece = string(f.bytes)
		}
		return nil
	})
}

func (m *spiece) readNormalizer(message []byte) error {
	return eachField(message, func(f field) error {
		switch f.number {
		case 2:
			m.charsmap = f.bytes
		case 3:
			m.addDummyPrefix = f.bool()
		case 4:
			m.removeExtraWhitespace = f.bool()
		case 5:
			m.escapeWhitespace = f.bool()
		}
		return nil
	})
}

// supported returns an error that names the first setting that is not known here.
func (m *spiece) supported() error {
	switch {
	case len(m.pieces) == 0:
		return fmt.Errorf("pieces: found none, expected a vocabulary")
	case m.modelType != modelTypeUnigram:
		return fmt.Errorf("trainer_spec.model_type: found %d, expected UNIGRAM (%d)", m.modelType, modelTypeUnigram)
	case m.whitespaceAsSuffix:
		return fmt.Errorf("trainer_spec.treat_whitespace_as_suffix: found true, expected false")
	case !m.removeExtraWhitespace:
		return fmt.Errorf("normalizer_spec.remove_extra_whitespaces: found false, expected true")
	case !m.escapeWhitespace:
		return fmt.Errorf("normalizer_spec.escape_whitespaces: found false, expected true")
	}
	return nil
}

// parseWithConfig reads a spiece.model as the reference converts it for its fast
// tokenizers, and the tokens that the tokenizer_config.json in dir adds.
func parseWithConfig(data []byte, dir string) (*Tokenizer, error) {
	const name = "tokenizer_config.json"
	config, err := readFile(filepath.Join(dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var more []addedToken
	if err == nil {
		if more, err = configTokens(config); err != nil {
			return nil, fmt.Errorf("%s beside it: %w", name, err)
		}
	}
	return parseSpiece(data, more)
}

// configTokens reads the added_tokens_decoder of a tokenizer_config.json.
func configTokens(data []byte) ([]addedToken, error) {
	var config struct {
		Tokens map[int32]addedToken `json:"added_tokens_decoder"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return nil, err
	}
	var tokens []addedToken
	for _, id := range slices.Sorted(maps.Keys(config.Tokens)) {
		t := config.Tokens[id]
		t.ID = id
		tokens = append(tokens, t)
	}
	return tokens, nil
}

// parseSpiece reads a SentencePiece model. Control and user-defined pieces and the
// unknown token are added tokens, and more tokens beside them.
func parseSpiece(data []byte, more []addedToken) (*Tokenizer, error) {
	m, err := readSpiece(data)
	if err != nil {
		return nil, err
	}
	if err := m.supported(); err != nil {
		return nil, err
	}
	var added []addedToken
	unknown, eos := -1, -1
	for i, p := range m.pieces {
		switch m.types[i] {
		case typeUnknown:
			unknown = i
			added = append(added, addedToken{ID: int32(i), Content: p.text})
		case typeControl, typeUserDefined:
			added = append(added, addedToken{ID: int32(i), Content: p.text})
		}
		if p.text == m.eosPiece {
			eos = i
		}
	}
	if unknown < 0 {
		return nil, fmt.Errorf("pieces: found no unknown token, expected one of type UNKNOWN")
	}
	if eos < 0 {
		return nil, fmt.Errorf("trainer_spec.eos_piece: found %q, expected one of the pieces", m.eosPiece)
	}

	t := &Tokenizer{MaxLen: DefaultMaxLen, suffix: []int32{int32(eos)}}
	if t.model, err = newUnigram(m.pieces, unknown, m.byteFallback); err != nil {
		return nil, fmt.Errorf("pieces: %w", err)
	}
	if t.normalize, err = m.normalizer(); err != nil {
		return nil, err
	}
	prepend := "never"
	if m.addDummyPrefix {
		prepend = "always"
	}
	t.words = metaspace{mark: wordMark, prepend: prepend, split: true}.words
	return t, t.setAdded(append(added, more...))
}

func (m *spiece) normalizer() (normalizer, error) {
	steps := []normalizer{trimRight, joinSpaces()}
	if len(m.charsmap) > 0 {
		c, err := parseCharsmap(m.charsmap)
		if err != nil {
			return nil, fmt.Errorf("normalizer_spec.%w", err)
		}
		steps = append([]normalizer{c.normalize}, steps...)
	}
	return sequence(steps), nil
}
