package tokenizer

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// charsmap is SentencePiece's compiled normalisation: a Darts double-array trie
// from strings to offsets in text, where the replacement ends with a NUL.
type charsmap struct {
	units []uint32
	text  string
}

// parseCharsmap reads a precompiled_charsmap: the size of the trie in bytes, the
// trie, the texts; little-endian.
func parseCharsmap(data []byte) (*charsmap, error) {
	if len(data) < 4 {
		return nil, fmt.Errorf("precompiled_charsmap: found %d bytes, expected at least 4", len(data))
	}
	size := binary.LittleEndian.Uint32(data)
	data = data[4:]
	if size == 0 || size%4 != 0 || uint64(size) > uint64(len(data)) {
		return nil, fmt.Errorf("precompiled_charsmap: found a trie of %d bytes, expected a multiple of 4 up to %d", size, len(data))
	}
	c := &charsmap{units: make([]uint32, size/4), text: string(data[size:])}
	for i := range c.units {
		c.units[i] = binary.LittleEndian.Uint32(data[4*i:])
	}
	if !utf8.ValidString(c.text) {
		return nil, fmt.Errorf("precompiled_charsmap: the replacements are not UTF-8")
	}
	return c, nil
}

// replacement returns what stands for the shortest key that s starts with. (The
// reference's tokenizers library takes the shortest; SentencePiece itself takes
// the longest.)
//
// A unit holds its label in bits 0-7 (and 31, set in values), whether a value
// follows in bit 8, and the offset of its children in bits 10-30, to be shifted
// by another 8 if bit 9 is set.
func (c *charsmap) replacement(s string) (string, bool) {
	offset := func(unit uint32) uint32 { return unit >> 10 << (unit & (1 << 9) >> 6) }
	node := offset(c.units[0])
	for i := range len(s) {
		node ^= uint32(s[i])
		if s[i] == 0 || uint64(node) >= uint64(len(c.units)) {
			return "", false
		}
		unit := c.units[node]
		if unit&0x800000ff != uint32(s[i]) {
			return "", false
		}
		node ^= offset(unit)
		if unit>>8&1 == 0 {
			continue
		}
		if uint64(node) >= uint64(len(c.units)) {
			return "", false
		}
		at := c.units[node] & 0x7fffffff
		if uint64(at) >= uint64(len(c.text)) {
			return "", false
		}
		text, _, _ := strings.Cut(c.text[at:], "\x00")
		return text, true
	}
	return "", false
}

// normalize replaces short grapheme clusters, and else characters.
func (c *charsmap) normalize(s string) string {
	var out strings.Builder
	state := -1
	for s != "" {
		var cluster string
		cluster, s, _, state = uniseg.FirstGraphemeClusterInString(s, state)
		if len(cluster) < 6 {
			if r, ok := c.replacement(cluster); ok {
				out.WriteString(r)
				continue
			}
		}
		for i, r := range cluster {
			char := cluster[i : i+utf8.RuneLen(r)]
			if r, ok := c.replacement(char); ok {
				char = r
			}
			out.WriteString(char)
		}
	}
	return out.String()
}
