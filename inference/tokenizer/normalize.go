package tokenizer

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// normalizer changes a text before it is split.
type normalizer func(string) string

// sequence runs normalizers one after the other.
func sequence(all []normalizer) normalizer {
	return func(s string) string {
		for _, n := range all {
			s = n(s)
		}
		return s
	}
}

// trimRight removes white space at the end.
func trimRight(s string) string { return strings.TrimRightFunc(s, unicode.IsSpace) }

// joinSpaces replaces two and more spaces by the SentencePiece word mark.
func joinSpaces() normalizer {
	re := regexp.MustCompile(" {2,}")
	return func(s string) string { return re.ReplaceAllLiteralString(s, wordMark) }
}

// isNull reports whether a part of tokenizer.json is left out.
func isNull(text json.RawMessage) bool { return len(text) == 0 || string(text) == "null" }

// parseNormalizer reads the normalizer of a tokenizer.json.
func parseNormalizer(text json.RawMessage) (normalizer, error) {
	if isNull(text) {
		return sequence(nil), nil
	}
	var n struct {
		Type        string
		Normalizers []json.RawMessage
		Charsmap    string `json:"precompiled_charsmap"`
		StripLeft   bool   `json:"strip_left"`
		StripRight  bool   `json:"strip_right"`
		Pattern     replacePattern
		Content     string
		Prepend     string
	}
	if err := json.Unmarshal(text, &n); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	switch n.Type {
	case "Sequence":
		all := make([]normalizer, len(n.Normalizers))
		for i, text := range n.Normalizers {
			var err error
			if all[i], err = parseNormalizer(text); err != nil {
				return nil, err
			}
		}
		return sequence(all), nil
	case "Precompiled":
		return decodeCharsmap(n.Charsmap)
	case "Strip":
		return strip(n.StripLeft, n.StripRight), nil
	case "Replace":
		return n.Pattern.replace(n.Content)
	case "Prepend":
		return func(s string) string {
			if s == "" {
				return s
			}
			return n.Prepend + s
		}, nil
	case "NFC":
		return norm.NFC.String, nil
	case "NFD":
		return norm.NFD.String, nil
	case "NFKC":
		return norm.NFKC.String, nil
	case "NFKD":
		return norm.NFKD.String, nil
	}
	return nil, fmt.Errorf("normalizer.type: found %q, expected Sequence, Precompiled, Strip, Replace, Prepend, NFC, NFD, NFKC or NFKD", n.Type)
}

func decodeCharsmap(text string) (normalizer, error) {
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("normalizer.precompiled_charsmap: %w", err)
	}
	c, err := parseCharsmap(data)
	if err != nil {
		return nil, fmt.Errorf("normalizer.%w", err)
	}
	return c.normalize, nil
}

func strip(left, right bool) normalizer {
	return func(s string) string {
		if left {
			s = strings.TrimLeftFunc(s, unicode.IsSpace)
		}
		if right {
			s = trimRight(s)
		}
		return s
	}
}

// replacePattern is what a Replace normalizer looks for: one of the two.
type replacePattern struct {
	String *string
	Regex  *string
}

// classEscape finds escapes that mean other characters to Go than to Oniguruma,
// which the reference's tokenizers library matches with.
var classEscape = regexp.MustCompile(`\\[a-zA-Z]|\[\[|&&|\(\?`)

func (p replacePattern) replace(content string) (normalizer, error) {
	if p.String != nil {
		return func(s string) string { return strings.ReplaceAll(s, *p.String, content) }, nil
	}
	if p.Regex == nil {
		return nil, fmt.Errorf("normalizer.pattern: found none, expected String or Regex")
	}
	re, err := regexp.Compile(*p.Regex)
	if err != nil || classEscape.MatchString(*p.Regex) {
		return nil, fmt.Errorf("normalizer.pattern.Regex: found %q, expected a plain regular expression", *p.Regex)
	}
	return func(s string) string { return re.ReplaceAllLiteralString(s, content) }, nil
}
