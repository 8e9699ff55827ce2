package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"unicode/utf8"
)

// parseJSON reads a tokenizer.json of Hugging Face's tokenizers library. Its
// truncation and padding are not used: the caller bounds the length.
func parseJSON(data []byte) (*Tokenizer, error) {
	var file struct {
		AddedTokens   []addedToken    `json:"added_tokens"`
		Normalizer    json.RawMessage `json:"normalizer"`
		PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
		PostProcessor json.RawMessage `json:"post_processor"`
		Model         struct {
			Type         string
			UnkID        *int `json:"unk_id"`
			ByteFallback bool `json:"byte_fallback"`
			Vocab        json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		return nil, fmt.Errorf("found no whole file of JSON (is the download complete?): %w", err)
	}
	if file.Model.Type != "Unigram" {
		return nil, fmt.Errorf("model.type: found %q, expected Unigram", file.Model.Type)
	}
	if file.Model.UnkID == nil {
		return nil, fmt.Errorf("model.unk_id: found none, expected the id of the unknown token")
	}
	pieces, err := parseVocab(file.Model.Vocab)
	if err != nil {
		return nil, err
	}
	t := &Tokenizer{MaxLen: DefaultMaxLen}
	if t.model, err = newUnigram(pieces, *file.Model.UnkID, file.Model.ByteFallback); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if t.normalize, err = parseNormalizer(file.Normalizer); err != nil {
		return nil, err
	}
	if t.words, err = parsePretokenizer(file.PreTokenizer); err != nil {
		return nil, err
	}
	if t.prefix, t.suffix, err = parsePostProcessor(file.PostProcessor); err != nil {
		return nil, err
	}
	return t, t.setAdded(file.AddedTokens)
}

// parsePostProcessor reads which special tokens stand before and after a text.
func parsePostProcessor(text json.RawMessage) (prefix, suffix []int32, err error) {
	if isNull(text) {
		return nil, nil, nil
	}
	var p struct {
		Type   string
		Single []struct {
			Sequence     *struct{ ID string }
			SpecialToken *struct{ ID string }
		}
		SpecialTokens map[string]struct{ IDs []int32 } `json:"special_tokens"`
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, nil, fmt.Errorf("post_processor: %w", err)
	}
	if p.Type != "TemplateProcessing" {
		return nil, nil, fmt.Errorf("post_processor.type: found %q, expected TemplateProcessing", p.Type)
	}
	texts := 0
	for i, part := range p.Single {
		switch {
		case part.Sequence != nil && part.SpecialToken == nil:
			texts++
		case part.SpecialToken != nil && part.Sequence == nil:
			special, ok := p.SpecialTokens[part.SpecialToken.ID]
			if !ok {
				return nil, nil, fmt.Errorf("post_processor.single.%d: found %q, expected one of special_tokens", i, part.SpecialToken.ID)
			}
			if texts == 0 {
				prefix = append(prefix, special.IDs...)
			} else {
				suffix = append(suffix, special.IDs...)
			}
		default:
			return nil, nil, fmt.Errorf("post_processor.single.%d: expected a Sequence or a SpecialToken", i)
		}
	}
	if texts != 1 {
		return nil, nil, fmt.Errorf("post_processor.single: found %d sequences, expected one", texts)
	}
	return prefix, suffix, nil
}

// parseVocab reads [["piece", score], ...]. encoding/json checked the syntax
// already; this only reads it, several times faster than encoding/json does.
func parseVocab(text []byte) ([]piece, error) {
	s := scanner{text}
	if !s.skip('[') {
		return nil, fmt.Errorf("model.vocab: found %.40q, expected a list", text)
	}
	var pieces []piece
	for !s.skip(']') {
		var p piece
		ok := (len(pieces) == 0 || s.skip(',')) && s.skip('[')
		if ok {
			p.text, ok = s.string()
		}
		if ok = ok && s.skip(','); ok {
			p.score, ok = s.number()
		}
		if !ok || !s.skip(']') {
			return nil, fmt.Errorf("model.vocab.%d: found %.40q, expected [\"piece\", score]", len(pieces), s.text)
		}
		pieces = append(pieces, p)
	}
	return pieces, nil
}

// scanner reads tokens from the front of valid JSON.
type scanner struct{ text []byte }

func (s *scanner) skip(c byte) bool {
	s.text = bytes.TrimLeft(s.text, " \t\r\n")
	if len(s.text) == 0 || s.text[0] != c {
		return false
	}
	s.text = s.text[1:]
	return true
}

func (s *scanner) string() (string, bool) {
	if !s.skip('"') {
		return "", false
	}
	end, plain := 0, true
	for ; end < len(s.text) && s.text[end] != '"'; end++ {
		if s.text[end] == '\\' {
			plain = false
			end++
		}
	}
	if end >= len(s.text) {
		return "", false
	}
	quoted := s.text[:end]
	s.text = s.text[end+1:]
	if plain && utf8.Valid(quoted) {
		return string(quoted), true
	}
	var out string
	err := json.Unmarshal([]byte(`"`+string(quoted)+`"`), &out)
	return out, err == nil
}

func (s *scanner) number() (float64, bool) {
	s.text = bytes.TrimLeft(s.text, " \t\r\n")
	end := 0
	for end < len(s.text) && bytes.IndexByte([]byte("+-.0123456789eE"), s.text[end]) >= 0 {
		end++
	}
	number := s.text[:end]
	s.text = s.text[end:]
	return parseScore(number), end > 0
}

// parseScore reads a JSON number as the reference's tokenizers library does
// (serde_json): the digits as an integer, then one multiplication or division by a
// power of ten. That may miss the nearest float64 by a bit, and the bit decides
// between paths of the same pieces in another order.
func parseScore(text []byte) float64 {
	var digits uint64
	exponent, fraction, full := 0, false, false
	negative := len(text) > 0 && text[0] == '-'
	for i, c := range text {
		switch {
		case c == '.':
			fraction = true
		case c >= '0' && c <= '9':
			d := uint64(c - '0')
			full = full || digits > (math.MaxUint64-d)/10
			if !full {
				digits = 10*digits + d
			}
			if !full && fraction {
				exponent--
			} else if full && !fraction {
				exponent++
			}
		case c == 'e' || c == 'E':
			exponent += parseExponent(text[i+1:])
			return scale(digits, exponent, negative)
		}
	}
	return scale(digits, exponent, negative)
}

// parseExponent reads an exponent, bounded to what a score can have.
func parseExponent(text []byte) int {
	n, sign := 0, 1
	for _, c := range text {
		switch {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			n = min(10*n+int(c-'0'), 1000)
		}
	}
	return sign * n
}

func scale(digits uint64, exponent int, negative bool) float64 {
	f := float64(digits)
	if exponent >= 0 {
		f *= math.Pow10(exponent)
	} else {
		f /= math.Pow10(-exponent)
	}
	if negative {
		return -f
	}
	return f
}
