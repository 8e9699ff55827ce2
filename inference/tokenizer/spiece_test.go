package tokenizer

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// message writes protocol buffer fields.
type message []byte

func (m message) bytes(number int, value []byte) message {
	m = binary.AppendUvarint(m, uint64(number)<<3|2)
	m = binary.AppendUvarint(m, uint64(len(value)))
	return append(m, value...)
}

func (m message) varint(number int, value uint64) message {
	return binary.AppendUvarint(binary.AppendUvarint(m, uint64(number)<<3), value)
}

func (m message) piece(text string, score float32, kind uint64) message {
	p := message(nil).bytes(1, []byte(text))
	p = binary.LittleEndian.AppendUint32(append(p, 2<<3|5), math.Float32bits(score))
	return m.bytes(1, p.varint(3, kind))
}

// small is a model without a charsmap.
func small() message {
	return message(nil).
		piece("<pad>", 0, typeControl).
		piece("</s>", 0, typeControl).
		piece("<unk>", 0, typeUnknown).
		piece("▁the", -2, 1).
		piece("▁", -3, 1).
		piece("a", -4, 1).
		piece("[cut]", 0, typeUserDefined).
		bytes(2, message(nil).varint(3, modelTypeUnigram).varint(35, 0))
}

func TestSmallSpiece(t *testing.T) {
	tok, err := parseSpiece(small(), []addedToken{{ID: 40, Content: "<extra_id_0>", RStrip: true}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]int32{
		"":                      {1},
		"the a  a":              {3, 4, 5, 4, 5, 1},
		"xyz the":               {4, 2, 3, 1},
		"a[cut]a":               {4, 5, 6, 4, 5, 1},
		"a</s><extra_id_0>  aa": {4, 5, 1, 40, 4, 5, 5, 1},
	} {
		if got := tok.Encode(text); !slices.Equal(got, want) {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestBadSpiece(t *testing.T) {
	trainer := func(number int, value uint64) message { return small().bytes(2, message(nil).varint(number, value)) }
	normalizer := func(number int, value uint64) message {
		return small().bytes(3, message(nil).varint(number, value))
	}
	for _, test := range []struct {
		data message
		want string
	}{
		{nil, "pieces: found none"},
		{message("not a model"), errWire.Error()},
		{small()[:20], errWire.Error()},
		{message{1<<3 | 3}, errWire.Error()},
		{message(nil).bytes(1, []byte{2<<3 | 5, 0}), errWire.Error()},
		{trainer(3, 2), "trainer_spec.model_type: found 2, expected UNIGRAM (1)"},
		{trainer(24, 1), "treat_whitespace_as_suffix: found true"},
		{normalizer(4, 0), "remove_extra_whitespaces: found false"},
		{normalizer(5, 0), "escape_whitespaces: found false"},
		{small().bytes(2, message(nil).bytes(47, []byte("<eos>"))), `trainer_spec.eos_piece: found "<eos>"`},
		{small().bytes(3, message(nil).bytes(2, []byte{1})), "normalizer_spec.precompiled_charsmap: found 1 bytes"},
		{small().piece("b", float32(math.NaN()), 1), `score of entry 7 ("b"): found NaN`},
		{small().piece("\xff", 0, 1), "text of entry 7"},
		{message(nil).piece("</s>", 0, typeControl), "found no unknown token"},
	} {
		_, err := parseSpiece(test.data, nil)
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.30q: error %v, want one with %q", test.data, err, test.want)
		}
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "found neither tokenizer.json nor spiece.model") {
		t.Errorf("empty folder: %v", err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("spiece.model", string(small()))
	write("tokenizer_config.json", `{"added_tokens_decoder": {"9": {"content": "<x>"}, "0": {"content": "<pad>"}}}`)
	tok, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode("a<x><pad>"), []int32{4, 5, 9, 0, 1}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	write("tokenizer_config.json", `{"added_tokens_decoder": 7}`)
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "tokenizer_config.json beside it") {
		t.Errorf("bad configuration: %v", err)
	}
	write("tokenizer.json", string(readVariants(t).Tokenizer))
	if tok, err = Open(dir); err != nil {
		t.Fatal(err)
	}
	if got, want := tok.Encode("the camera"), []int32{260, 261, 1}; !slices.Equal(got, want) {
		t.Errorf("tokenizer.json does not go first: got %v, want %v", got, want)
	}
	write("tokenizer.json", "{")
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tokenizer.json")) {
		t.Errorf("broken tokenizer.json: %v", err)
	}
	if err := os.Truncate(filepath.Join(dir, "tokenizer.json"), maxFileSize+1); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "expected at most") {
		t.Errorf("huge tokenizer.json: %v", err)
	}
}
