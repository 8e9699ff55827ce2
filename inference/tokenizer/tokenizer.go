package tokenizer

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// DefaultMaxLen is the number of ids that UMT5's conditioning holds.
const DefaultMaxLen = 512

// maxFileSize bounds what Open reads: ten times the largest vocabulary known.
const maxFileSize = 256 << 20

// Tokenizer turns texts into ids of a vocabulary.
type Tokenizer struct {
	// MaxLen is the most ids that Encode returns, DefaultMaxLen after Open. It is
	// not to be changed while Encode runs.
	MaxLen int

	added           matcher // found in the text as it is
	addedNormalized matcher // found after normalize
	normalize       normalizer
	words           pretokenizer
	model           *unigram
	prefix, suffix  []int32 // special tokens round every text, such as </s>
}

// Open reads the tokenizer in dir: tokenizer.json if there is one, or else
// spiece.model (with the added tokens of tokenizer_config.json, if that is
// there). The error names the file and the field that is wrong.
func Open(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, "tokenizer.json")
	parse := parseJSON
	data, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(dir, "spiece.model")
		parse = func(data []byte) (*Tokenizer, error) { return parseWithConfig(data, dir) }
		data, err = readFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("tokenizer: %s: found neither tokenizer.json nor spiece.model: %w", dir, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %s: %w", path, err)
	}
	return t, nil
}

// FromSpiece reads a SentencePiece model that is in another file, at path.
func FromSpiece(path string, model []byte) (*Tokenizer, error) {
	t, err := parseSpiece(bytes.Clone(model), nil) // some of it is kept
	if err != nil {
		return nil, fmt.Errorf("tokenizer: in %s: %w", path, err)
	}
	return t, nil
}

// Size returns the number of pieces in the vocabulary.
func (t *Tokenizer) Size() int { return len(t.model.scores) }

// anyCase returns the path of the file that is called so but for the case of its letters:
// some disks know upper case only.
func anyCase(path string) string {
	if _, err := os.Lstat(path); err == nil {
		return path
	}
	entries, _ := os.ReadDir(filepath.Dir(path))
	for _, e := range entries {
		if strings.EqualFold(e.Name(), filepath.Base(path)) {
			return filepath.Join(filepath.Dir(path), e.Name())
		}
	}
	return path
}

// readFile reads a file of a size that a vocabulary can have.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(anyCase(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFileSize {
		return nil, fmt.Errorf("%s: found %d bytes, expected at most %d", path, info.Size(), maxFileSize)
	}
	data := make([]byte, info.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// Encode returns the ids of Clean(text) with the special tokens that the file
// puts round it (the end token), at most MaxLen: a longer text loses its end, the
// special tokens stay.
func (t *Tokenizer) Encode(text string) []int32 {
	ids := t.Tokenize(Clean(text))
	ids = ids[:min(len(ids), max(0, t.MaxLen-len(t.prefix)-len(t.suffix)))]
	out := make([]int32, 0, len(t.prefix)+len(ids)+len(t.suffix))
	out = append(out, t.prefix...)
	out = append(out, ids...)
	return append(out, t.suffix...)
}

// Count returns how many ids Encode would return if MaxLen had no bound.
func (t *Tokenizer) Count(text string) int {
	return len(t.prefix) + len(t.Tokenize(Clean(text))) + len(t.suffix)
}

// Tokenize returns the ids of text as it stands: neither cleaned nor cut, and
// without special tokens round it. Bytes that are not UTF-8 are read as U+FFFD.
func (t *Tokenizer) Tokenize(text string) []int32 {
	var ids []int32
	for _, raw := range t.added.split(strings.ToValidUTF8(text, "\ufffd")) {
		if raw.id >= 0 {
			ids = append(ids, raw.id)
			continue
		}
		for _, part := range t.addedNormalized.split(t.normalize(raw.text)) {
			if part.id >= 0 {
				ids = append(ids, part.id)
				continue
			}
			for _, w := range t.words(word{part.text, raw.at == 0 && part.at == 0}) {
				ids = t.model.split(ids, w.text)
			}
		}
	}
	return ids
}

// setAdded says which tokens are found before the vocabulary is asked. An id of
// the vocabulary goes before the one that the file gives.
func (t *Tokenizer) setAdded(tokens []addedToken) error {
	var raw, normalized []addedToken
	for i, a := range tokens {
		if id := t.model.pieces.find(a.Content); id >= 0 {
			a.ID = id
		}
		if a.ID < 0 {
			return fmt.Errorf("added_tokens.%d.id: found %d, expected a token id", i, a.ID)
		}
		if a.Normalized {
			a.Content = t.normalize(a.Content)
			normalized = append(normalized, a)
		} else {
			raw = append(raw, a)
		}
	}
	t.added, t.addedNormalized = newMatcher(raw), newMatcher(normalized)
	return nil
}
