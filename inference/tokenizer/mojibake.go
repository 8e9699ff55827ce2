package tokenizer

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// The functions here have the effect of ftfy's fix_encoding: text that was UTF-8
// and was decoded as something else is decoded again, as long as it looks bad.

// fixEncoding repeats fixEncodingOnce until nothing changes.
func fixEncoding(text string) string {
	for {
		fixed := fixEncodingOnce(text)
		if fixed == text {
			return text
		}
		text = fixed
	}
}

func fixEncodingOnce(text string) string {
	if !isBad(text) {
		return text
	}
	for _, c := range codecs() {
		encoded, ok := c.encode(text)
		if !ok {
			continue
		}
		if !c.keepSpaces {
			encoded = restoreA0(encoded)
		}
		if c.sloppy {
			encoded = lossySequence.ReplaceAllLiteralString(encoded, "\u00ef\u00bf\u00bd") // U+FFFD in UTF-8
		}
		if fixed, ok := decodeUTF8(encoded); ok {
			return fixed
		}
	}
	if fixed := fixEmbedded(text); fixed != text {
		return fixed
	}
	// Latin-1 that was Windows-1252, in the whole text or in a part of it.
	return fixC1(text)
}

// codec encodes text in a single-byte encoding.
type codec struct {
	bytes      map[rune]byte
	sloppy     bool // 0x1a stands for U+FFFD
	keepSpaces bool // a space is never a lost U+00A0
}

// codecs are the encodings to try, in order.
var codecs = sync.OnceValue(func() []codec {
	newCodec := func(m *charmap.Charmap, sloppy bool) codec {
		c := codec{bytes: make(map[rune]byte, 256), sloppy: sloppy}
		for b := range 256 {
			r := m.DecodeByte(byte(b))
			if r == utf8.RuneError {
				r = rune(b) // a hole, which is Latin-1's
			}
			if sloppy && b == 0x1a {
				r = utf8.RuneError
			}
			c.bytes[r] = byte(b)
		}
		return c
	}
	macRoman := newCodec(charmap.Macintosh, false)
	macRoman.keepSpaces = true
	return []codec{
		newCodec(charmap.ISO8859_1, false),
		newCodec(charmap.Windows1252, true),
		newCodec(charmap.Windows1251, true),
		newCodec(charmap.Windows1250, true),
		newCodec(charmap.Windows1253, true),
		newCodec(charmap.Windows1254, true),
		newCodec(charmap.Windows1257, true),
		newCodec(charmap.ISO8859_2, false),
		macRoman,
		newCodec(charmap.CodePage437, false),
	}
})

// encode returns the bytes of text, each as the character of that number, so that
// regular expressions can be used on them.
func (c codec) encode(text string) (string, bool) {
	var out strings.Builder
	for _, r := range text {
		b, ok := c.bytes[r]
		if !ok {
			return "", false
		}
		out.WriteRune(rune(b))
	}
	return out.String(), true
}

// decodeUTF8 decodes bytes given as characters. Besides UTF-8 it takes CESU-8 and
// Java's two bytes for U+0000.
func decodeUTF8(encoded string) (string, bool) {
	raw := make([]byte, 0, len(encoded))
	for _, r := range encoded {
		raw = append(raw, byte(r))
	}
	if utf8.Valid(raw) {
		return string(raw), true
	}
	var out strings.Builder
	for s := string(raw); s != ""; {
		r, size := decodePair(s)
		if size == 0 && (strings.HasPrefix(s, "\xc0\x80") || s == "\xc0\n") { // ftfy takes the latter, too
			r, size = 0, 2
		} else if size == 0 {
			if r, size = utf8.DecodeRuneInString(s); r == utf8.RuneError && size == 1 {
				return "", false
			}
		}
		out.WriteRune(r)
		s = s[size:]
	}
	return out.String(), true
}

// alteredUTF8 finds UTF-8 in which a space stands for the byte 0xa0.
var alteredUTF8 = regexp.MustCompile(strings.Join([]string{
	`[\x{c2}\x{c3}\x{c5}\x{ce}\x{d0}\x{d9}] `,
	`[\x{e2}\x{e3}] [\x{80}-\x{84}\x{86}-\x{9f}\x{a1}-\x{bf}]`,
	`[\x{e0}-\x{e3}][\x{80}-\x{84}\x{86}-\x{9f}\x{a1}-\x{bf}] `,
	`\x{f0} [\x{80}-\x{bf}][\x{80}-\x{bf}]`,
	`\x{f0}[\x{80}-\x{bf}] [\x{80}-\x{bf}]`,
	`\x{f0}[\x{80}-\x{bf}][\x{80}-\x{bf}] `,
}, "|"))

// lossySequence finds UTF-8 of which bytes were lost: 0x1a, or once a "?".
var lossySequence = regexp.MustCompile(strings.Join([]string{
	`[\x{c2}-\x{df}]\x1a`,
	`[\x{c2}-\x{c3}]\?`,
	`\x{ed}[\x{a0}-\x{af}][\x1a?]\x{ed}[\x{b0}-\x{bf}][\x1a?\x{80}-\x{bf}]`,
	`\x{ed}[\x{a0}-\x{af}][\x1a?\x{80}-\x{bf}]\x{ed}[\x{b0}-\x{bf}][\x1a?]`,
	`[\x{e0}-\x{ef}][\x1a?][\x1a\x{80}-\x{bf}]`,
	`[\x{e0}-\x{ef}][\x1a\x{80}-\x{bf}][\x1a?]`,
	`[\x{f0}-\x{f4}][\x1a?][\x1a\x{80}-\x{bf}][\x1a\x{80}-\x{bf}]`,
	`[\x{f0}-\x{f4}][\x1a\x{80}-\x{bf}][\x1a?][\x1a\x{80}-\x{bf}]`,
	`[\x{f0}-\x{f4}][\x1a\x{80}-\x{bf}][\x1a\x{80}-\x{bf}][\x1a?]`,
	`\x1a`,
}, "|"))

// restoreA0 puts back the byte 0xa0 where it became a space. The word "à", which
// is C3 A0, keeps a space after it, but not where a Portuguese word goes on.
func restoreA0(encoded string) string {
	if !alteredUTF8.MatchString(encoded) {
		return encoded
	}
	parts := strings.Split(encoded, "\u00c3 ")
	var out strings.Builder
	out.WriteString(parts[0])
	for _, rest := range parts[1:] {
		out.WriteString("\u00c3")
		if !goesOn(rest) {
			out.WriteString("\u00a0")
		}
		out.WriteString(" " + rest)
	}
	return alteredUTF8.ReplaceAllStringFunc(out.String(), func(match string) string {
		return strings.ReplaceAll(match, " ", "\u00a0")
	})
}

func goesOn(rest string) bool {
	for _, start := range []string{" ", "quele", "quela", "quilo", "s "} {
		if strings.HasPrefix(rest, start) {
			return true
		}
	}
	return false
}

// fixEmbedded fixes the parts of text that look like UTF-8 and look bad. A part
// that is the whole text is left alone.
func fixEmbedded(text string) string {
	runes := []rune(text)
	var out strings.Builder
	for at := 0; at < len(runes); {
		end := utf8Like(runes, at)
		if end == at {
			out.WriteRune(runes[at])
			at++
			continue
		}
		part := string(runes[at:end])
		if end-at < len(runes) && isBad(part) {
			part = fixEncoding(part)
		}
		out.WriteString(part)
		at = end
	}
	return out.String()
}

// utf8Like returns the end of the sequences at offset at that could be UTF-8 read
// in another encoding, or at.
func utf8Like(runes []rune, at int) int {
	class := clues()
	if at > 0 && class[runes[at-1]]&strictContinuation != 0 {
		return at
	}
	for at < len(runes) {
		n := 0
		switch c := class[runes[at]]; {
		case c&firstOf2 != 0:
			n = 2
		case c&firstOf3 != 0:
			n = 3
		case c&firstOf4 != 0:
			n = 4
		}
		if n == 0 || at+n > len(runes) {
			return at
		}
		for _, r := range runes[at+1 : at+n] {
			if class[r]&continuation == 0 {
				return at
			}
		}
		at += n
	}
	return at
}
