package tokenizer

import (
	"html"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// reference is what Python's html.unescape looks at.
var reference = regexp.MustCompile("&(?:#[0-9]+;?|#[xX][0-9a-fA-F]+;?|[^\t\n\f <&#;]{1,32};?)")

// unescape has the effect of Python's html.unescape. (Go's differs in numeric
// references to characters that HTML does not allow, and in where a name ends.)
func unescape(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	return reference.ReplaceAllStringFunc(s, func(match string) string {
		name := match[1:]
		if name[0] == '#' {
			return numeric(strings.TrimSuffix(name[1:], ";"))
		}
		if text, ok := entity(name); ok {
			return text
		}
		for n := alphanumeric(name); n > 1; n-- {
			if text, ok := entity(name[:n]); ok {
				return text + name[n:]
			}
		}
		return match
	})
}

// numeric returns the text for the digits of a numeric reference, with an x in
// front of hexadecimal ones (HTML, 13.2.5.80 "Numeric character reference end
// state"; what is no character is left out).
func numeric(digits string) string {
	base := 10
	if digits[0] == 'x' || digits[0] == 'X' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		n = math.MaxUint32
	}
	switch {
	case n >= 0x80 && n <= 0x9f:
		return string(windows1252(byte(n)))
	case n == 0, n >= 0xd800 && n <= 0xdfff, n > utf8.MaxRune:
		return "\ufffd"
	case n < 0x09, n == 0x0b, n >= 0x0e && n <= 0x1f, n == 0x7f, n >= 0xfdd0 && n <= 0xfdef, n&0xfffe == 0xfffe:
		return ""
	}
	return string(rune(n))
}

// entity returns the text of a named reference, with or without its semicolon as
// HTML lists it. The table is that of package html, which does not export it: a
// name that is in it comes back as one or two characters and nothing else.
func entity(name string) (string, bool) {
	most, letters := 1, name
	if strings.HasSuffix(name, ";") {
		most, letters = 2, name[:len(name)-1]
	}
	if len(letters) < 2 || alphanumeric(letters) < len(letters) {
		return "", false
	}
	switch name { // listed by HTML, left out by package html
	case "nLt;":
		return "≪\u20d2", true
	case "nGt;":
		return "≫\u20d2", true
	}
	text := html.UnescapeString("&" + name)
	return text, utf8.RuneCountInString(text) <= most
}

// alphanumeric returns how many ASCII letters and digits s starts with.
func alphanumeric(s string) int {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z') {
			return i
		}
	}
	return len(s)
}

// terminated is a reference with a semicolon.
var terminated = regexp.MustCompile(`&#?[0-9A-Za-z]{1,24};`)

// unescapeEntities has the effect of ftfy's unescape_html: it takes references
// that end in a semicolon, and also names of small letters written in capitals,
// which then stand for the capital.
func unescapeEntities(s string) string {
	if !strings.Contains(s, "&") {
		return s
	}
	return terminated.ReplaceAllStringFunc(s, func(match string) string {
		if match[1] == '#' {
			if text := unescape(match); !strings.Contains(text, ";") {
				return text
			}
			return match
		}
		name := match[1:]
		if text, ok := entity(name); ok {
			return text
		}
		lower := strings.ToLower(name)
		if text, ok := entity(lower); ok && strings.ToUpper(name) == name && unescape(match) == match {
			return cases.Upper(language.Und).String(text)
		}
		return match
	})
}
