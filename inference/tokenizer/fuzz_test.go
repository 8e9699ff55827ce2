package tokenizer

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

// probes are texts for a tokenizer that a fuzz target made.
var probes = []string{"", "the camera  moves\n", "é画面ﬁ\u200b <unk> \xff", strings.Repeat("a", 700)}

func probe(t *testing.T, tok *Tokenizer) {
	t.Helper()
	for _, text := range probes {
		ids := tok.Encode(text)
		if most := max(tok.MaxLen, len(tok.prefix)+len(tok.suffix)); len(ids) > most {
			t.Fatalf("%d ids, want at most %d", len(ids), most)
		}
	}
}

func FuzzTokenizerJSON(f *testing.F) {
	f.Add([]byte(`{"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0], ["\u2581", -1], ["a", -2.5]]},
		"added_tokens": [{"id": 0, "content": "<unk>", "lstrip": true, "rstrip": true, "single_word": true}],
		"normalizer": {"type": "Sequence", "normalizers": [
			{"type": "Precompiled", "precompiled_charsmap": "DAAAAAAEAAD/AAAAAAAAAGEA"},
			{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}]},
		"pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}}`))
	f.Add([]byte(`{"model": {"type": "Unigram", "unk_id": 1, "byte_fallback": true, "vocab": [["<0x61>", 0], ["<unk>", 0], ["the", -2]]},
		"added_tokens": [{"id": 7, "content": "\ufb01", "normalized": true}],
		"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFKC"}, {"type": "Strip", "strip_right": true},
			{"type": "Replace", "pattern": {"String": "a"}, "content": "b"}, {"type": "Prepend", "prepend": "x"}]},
		"pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
			{"type": "Metaspace", "replacement": "_", "add_prefix_space": true, "split": false}]},
		"post_processor": {"type": "TemplateProcessing", "single": [{"Sequence": {"id": "A"}}, {"SpecialToken": {"id": "</s>"}}],
			"special_tokens": {"</s>": {"id": "</s>", "ids": [1]}}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseJSON(data)
		if err == nil {
			probe(t, tok)
		}
	})
}

func FuzzSpiece(f *testing.F) {
	f.Add([]byte(small()))
	f.Add([]byte(small().bytes(3, message(nil).bytes(2, []byte("\x08\x00\x00\x00\x00\x04\x00\x00\x61\x01\x00\x00x\x00")))))
	f.Fuzz(func(t *testing.T, data []byte) {
		tok, err := parseSpiece(data, nil)
		if err == nil {
			probe(t, tok)
		}
	})
}

// FuzzEncode holds that both files of the golden folder give the same ids, all of
// the vocabulary, and that these stand for the normalised text.
func FuzzEncode(f *testing.F) {
	for _, c := range goldenCases(f) {
		f.Add(c.Text)
	}
	for _, c := range cleanTable {
		f.Add(c.in)
	}
	all := open(f)
	fast, slow := all["tokenizer.json"], all["spiece.model"]
	data, err := os.ReadFile(filepath.Join(goldenDir(f), "spiece.model"))
	if err != nil {
		f.Fatal(err)
	}
	model, err := readSpiece(data)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ids := fast.Encode(text)
		if other := slow.Encode(text); !slices.Equal(ids, other) {
			t.Errorf("%q: tokenizer.json gives %v, spiece.model %v", text, ids, other)
		}
		if n := fast.Count(text); len(ids) != min(n, fast.MaxLen) {
			t.Errorf("%q: %d ids, Count %d", text, len(ids), n)
		}
		if last := ids[len(ids)-1]; last != fast.suffix[0] {
			t.Errorf("%q: the last id is %d, not the end token", text, last)
		}
		for _, id := range ids {
			if id < 0 || int(id) >= len(model.pieces) {
				t.Fatalf("%q: id %d of %d", text, id, len(model.pieces))
			}
		}
		// Added tokens and byte tokens that are written out are not told from others.
		if !model.byteFallback || strings.ContainsAny(text, "<＜﹤") {
			return
		}
		if got, want := decode(model, fast.Tokenize(text)), normalizedWords(fast, text); got != want {
			t.Errorf("%q: ids stand for %q, want %q", text, got, want)
		}
	})
}

// decode returns the text that ids stand for.
func decode(model *spiece, ids []int32) string {
	var out strings.Builder
	for _, id := range ids {
		text := model.pieces[id].text
		var b byte
		if _, err := fmt.Sscanf(text, "<0x%02X>", &b); err == nil {
			text = string([]byte{b})
		}
		out.WriteString(text)
	}
	return out.String()
}

func normalizedWords(t *Tokenizer, text string) string {
	var out strings.Builder
	for _, w := range t.words(word{t.normalize(strings.ToValidUTF8(text, "\ufffd")), true}) {
		out.WriteString(w.text)
	}
	return out.String()
}

// FuzzClean holds that the result is UTF-8 with single spaces, and that cleaning
// it again changes nothing where neither entities nor spaces are about: an entity
// loses a layer each time, and joined lines may look like mojibake together.
func FuzzClean(f *testing.F) {
	for _, c := range cleanTable {
		f.Add(c.in)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got := Clean(text)
		if !utf8.ValidString(got) {
			t.Errorf("%q: %q is not UTF-8", text, got)
		}
		if got != strings.Join(strings.Fields(got), " ") {
			t.Errorf("%q: white space in %q", text, got)
		}
		special := func(r rune) bool { return r == '&' || unicode.IsSpace(r) }
		if strings.ContainsFunc(text, special) || strings.ContainsFunc(fixText(text), special) {
			return
		}
		if again := Clean(got); again != got {
			t.Errorf("%q: %q, cleaned again %q", text, got, again)
		}
	})
}
