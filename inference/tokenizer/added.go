package tokenizer

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text as it stands, before the
// vocabulary is asked.
type addedToken struct {
	ID         int32
	Content    string
	SingleWord bool `json:"single_word"` // only where no word character touches it
	LStrip     bool // takes the white space before it along
	RStrip     bool // and after it
	Normalized bool // is looked for after normalisation
}

// matcher finds added tokens in a text, from left to right, the longest first.
type matcher struct {
	tokens []addedToken
	trie   *trie
}

func newMatcher(tokens []addedToken) matcher {
	contents := make([]string, len(tokens))
	for i, t := range tokens {
		contents[i] = t.Content
	}
	return matcher{tokens, newTrie(contents)}
}

// segment is a part of a text: an added token, or text without any.
type segment struct {
	id   int32  // -1 for text
	text string // "" for a token
	at   int    // offset in the whole text
}

func (m matcher) split(text string) []segment {
	var parts []segment
	done := 0 // the text before this offset is in parts; white space may be in two tokens
	for at := 0; at < len(text); {
		i, size := m.trie.longest(text[at:])
		if i < 0 {
			at++
			continue
		}
		t, start, end := m.tokens[i], at, at+size
		at = end
		if t.SingleWord && (endsWithWord(text[:start]) || startsWithWord(text[end:])) {
			continue
		}
		if t.LStrip {
			start = max(done, len(strings.TrimRightFunc(text[:start], unicode.IsSpace)))
		}
		if t.RStrip {
			end = len(text) - len(strings.TrimLeftFunc(text[end:], unicode.IsSpace))
		}
		if done < start {
			parts = append(parts, segment{-1, text[done:start], done})
		}
		parts = append(parts, segment{at: start, id: t.ID})
		done = end
	}
	if done < len(text) {
		parts = append(parts, segment{-1, text[done:], done})
	}
	return parts
}

func endsWithWord(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return size > 0 && isWord(r)
}

func startsWithWord(s string) bool {
	r, size := utf8.DecodeRuneInString(s)
	return size > 0 && isWord(r)
}

// isWord reports whether r matches \w (Unicode Technical Standard 18, annex C).
func isWord(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.In(r, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Join_Control, unicode.Other_Alphabetic)
}
