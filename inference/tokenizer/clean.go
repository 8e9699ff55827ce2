package tokenizer

import (
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Clean returns text as the reference cleans a prompt: ftfy.fix_text with its
// defaults, html.unescape of Python twice, and runs of white space as one space,
// none at the ends. The result is valid UTF-8.
//
// Of ftfy (version 6.3.1, Robyn Speer, Apache-2.0) everything has its effect:
// HTML entities (where no "<" was seen so far), mojibake, C1 control characters,
// ligatures, character width, quotes, line breaks, surrogates (as invalid UTF-8
// in Go), terminal escapes, control characters and NFC. Three differences are
// left: a line of more than a million characters is not cut up, more than thirty
// combining characters on one letter are broken by a joiner (as the Stream-Safe
// Text Format asks), and a decimal reference of more than 4,300 digits is U+FFFD
// and no error.
func Clean(text string) string {
	return strings.Join(strings.Fields(unescape(unescape(fixText(text)))), " ")
}

// fixText has the effect of ftfy.fix_text on valid and invalid UTF-8.
func fixText(text string) string {
	var out strings.Builder
	entities := true
	for line := range strings.SplitAfterSeq(joinSurrogates(text), "\n") {
		entities = entities && !strings.Contains(line, "<")
		out.WriteString(fixLine(line, entities))
	}
	return out.String()
}

// fixLine repeats all fixes until nothing changes.
func fixLine(text string, entities bool) string {
	for {
		before := text
		if entities {
			text = unescapeEntities(text)
		}
		text = fixEncoding(text)
		text = fixC1(text)
		text = characterFixes().Replace(text)
		text = lineBreaks.Replace(text)
		text = terminalEscape.ReplaceAllLiteralString(text, "")
		text = strings.Map(dropControl, text)
		text = norm.NFC.String(text)
		if text == before {
			return text
		}
	}
}

// characterFixes separates Latin ligatures and digraphs, then gives full-width
// and half-width characters their usual form, then straightens quotes. No
// replacement contains a character that a later one of the three looks for, but
// for the apostrophe of U+0149.
var characterFixes = sync.OnceValue(func() *strings.Replacer {
	pairs := []string{
		"Ĳ", "IJ", "ĳ", "ij", "ŉ", "'n",
		"Ǳ", "DZ", "ǲ", "Dz", "ǳ", "dz", "Ǆ", "DŽ", "ǅ", "Dž", "ǆ", "dž",
		"Ǉ", "LJ", "ǈ", "Lj", "ǉ", "lj", "Ǌ", "NJ", "ǋ", "Nj", "ǌ", "nj",
		"ﬀ", "ff", "ﬁ", "fi", "ﬂ", "fl", "ﬃ", "ffi", "ﬄ", "ffl", "ﬅ", "ſt", "ﬆ", "st",
		"\u3000", " ",
		"ʼ", "'", "‘", "'", "’", "'", "‚", "'", "‛", "'",
		"“", `"`, "”", `"`, "„", `"`, "‟", `"`,
	}
	for r := rune(0xff01); r < 0xfff0; r++ {
		if wide, usual := string(r), norm.NFKC.String(string(r)); wide != usual {
			pairs = append(pairs, wide, usual)
		}
	}
	return strings.NewReplacer(pairs...)
})

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n", "\u0085", "\n")

// terminalEscape is the form of ANSI sequences that set colours and positions.
var terminalEscape = regexp.MustCompile(`\x1b\[[\p{Nd};]*[a-zA-Z]`)

// dropControl drops characters "not suitable for use with markup" (Unicode
// Technical Report 20): ASCII controls but for white space, deprecated and
// annotation controls, byte order marks.
func dropControl(r rune) rune {
	switch {
	case r <= 0x08, r == 0x0b, r >= 0x0e && r <= 0x1f, r == 0x7f,
		r >= 0x206a && r <= 0x206f, r == 0xfeff, r >= 0xfff9 && r <= 0xfffc:
		return -1
	}
	return r
}

// fixC1 reads C1 control characters as Windows-1252, as browsers do.
func fixC1(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 0x80 && r <= 0x9f {
			return windows1252(byte(r))
		}
		return r
	}, text)
}

// windows1252 decodes b, which Latin-1 takes where Windows-1252 has nothing.
func windows1252(b byte) rune {
	if r := charmap.Windows1252.DecodeByte(b); r != utf8.RuneError {
		return r
	}
	return rune(b)
}

// joinSurrogates makes text valid: a pair of surrogates, each encoded on its own,
// becomes the character that it stands for; a lone one and any other byte that is
// not UTF-8 become U+FFFD.
func joinSurrogates(text string) string {
	if utf8.ValidString(text) {
		return text
	}
	var out strings.Builder
	for text != "" {
		r, size := decodePair(text)
		if size == 0 && isSurrogate(text) {
			r, size = utf8.RuneError, 3
		} else if size == 0 {
			r, size = utf8.DecodeRuneInString(text)
		}
		out.WriteRune(r)
		text = text[size:]
	}
	return out.String()
}

// decodePair decodes the two surrogates, three bytes each, that s starts with
// (CESU-8, Unicode Technical Report 26). The size is 0 if s starts otherwise.
func decodePair(s string) (r rune, size int) {
	if len(s) < 6 || !isSurrogate(s) || s[1] > 0xaf || !isSurrogate(s[3:]) || s[4] < 0xb0 {
		return 0, 0
	}
	bits := func(s string) rune { return rune(s[1]&0x0f)<<6 | rune(s[2]&0x3f) }
	return bits(s)<<10 + bits(s[3:]) + 0x10000, 6
}

// isSurrogate reports whether s starts with a surrogate in three bytes.
func isSurrogate(s string) bool {
	return len(s) >= 3 && s[0] == 0xed && s[1] >= 0xa0 && s[1] <= 0xbf && s[2]&0xc0 == 0x80
}
