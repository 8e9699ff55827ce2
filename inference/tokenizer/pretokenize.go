package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// wordMark is the character that SentencePiece writes for a space, so that it
// starts every word.
const wordMark = "\u2581"

// word is a part of the text that is split on its own.
type word struct {
	text  string
	first bool // starts where the whole text starts
}

// pretokenizer splits a word further.
type pretokenizer func(word) []word

// metaspace writes mark for spaces and in front, and splits before each mark.
type metaspace struct {
	mark    string
	prepend string // "always", "first" or "never"
	split   bool
}

func (m metaspace) words(w word) []word {
	if w.text == "" {
		return nil
	}
	text := strings.ReplaceAll(w.text, " ", m.mark)
	if (m.prepend == "always" || m.prepend == "first" && w.first) && !strings.HasPrefix(text, m.mark) {
		text = m.mark + text
	}
	if !m.split {
		return []word{{text, w.first}}
	}
	var words []word
	for first := w.first; text != ""; first = false {
		end := len(text)
		if _, width := utf8.DecodeRuneInString(text); width < end {
			if i := strings.Index(text[width:], m.mark); i >= 0 {
				end = width + i
			}
		}
		words = append(words, word{text[:end], first})
		text = text[end:]
	}
	return words
}

// whitespaceSplit splits at white space, which it drops.
func whitespaceSplit(w word) []word {
	var words []word
	for _, text := range strings.Fields(w.text) {
		words = append(words, word{text, w.first && len(words) == 0 && strings.HasPrefix(w.text, text)})
	}
	return words
}

// parsePretokenizer reads the pre_tokenizer of a tokenizer.json.
func parsePretokenizer(text json.RawMessage) (pretokenizer, error) {
	if isNull(text) {
		return func(w word) []word { return []word{w} }, nil
	}
	var p struct {
		Type           string
		Pretokenizers  []json.RawMessage
		Replacement    string
		PrependScheme  *string `json:"prepend_scheme"`
		AddPrefixSpace *bool   `json:"add_prefix_space"`
		Split          *bool
	}
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	switch p.Type {
	case "Sequence":
		return parsePretokenizers(p.Pretokenizers)
	case "WhitespaceSplit":
		return whitespaceSplit, nil
	case "Metaspace":
		m := metaspace{mark: p.Replacement, prepend: "always", split: p.Split == nil || *p.Split}
		if p.PrependScheme != nil {
			m.prepend = *p.PrependScheme
		} else if p.AddPrefixSpace != nil && !*p.AddPrefixSpace {
			m.prepend = "never"
		}
		if m.prepend != "always" && m.prepend != "first" && m.prepend != "never" {
			return nil, fmt.Errorf("pre_tokenizer.prepend_scheme: found %q, expected always, first or never", m.prepend)
		}
		if utf8.RuneCountInString(m.mark) != 1 || unicode.IsSpace([]rune(m.mark)[0]) {
			return nil, fmt.Errorf("pre_tokenizer.replacement: found %q, expected one character, no space", m.mark)
		}
		return m.words, nil
	}
	return nil, fmt.Errorf("pre_tokenizer.type: found %q, expected Sequence, Metaspace or WhitespaceSplit", p.Type)
}

func parsePretokenizers(texts []json.RawMessage) (pretokenizer, error) {
	steps := make([]pretokenizer, len(texts))
	for i, text := range texts {
		var err error
		if steps[i], err = parsePretokenizer(text); err != nil {
			return nil, err
		}
	}
	return func(w word) []word {
		words := []word{w}
		for _, step := range steps {
			var next []word
			for _, w := range words {
				next = append(next, step(w)...)
			}
			words = next
		}
		return words
	}, nil
}
