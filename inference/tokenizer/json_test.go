package tokenizer

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// edit is a change of a JSON document: the value at a path of keys and indices.
type edit struct {
	At    []any
	Value any
}

// variants is testdata/variants.json.
type variants struct {
	Tokenizer json.RawMessage
	Texts     []string
	Cases     []struct {
		Name  string
		Edits []edit
		IDs   [][]int32
	}
}

func readVariants(tb testing.TB) variants {
	tb.Helper()
	data, err := os.ReadFile("testdata/variants.json")
	var v variants
	if err == nil {
		err = json.Unmarshal(data, &v)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// with returns the tokenizer with edits.
func (v variants) with(tb testing.TB, edits ...edit) []byte {
	tb.Helper()
	var doc any
	if err := json.Unmarshal(v.Tokenizer, &doc); err != nil {
		tb.Fatal(err)
	}
	for _, e := range edits {
		at := doc
		for i, step := range e.At {
			last := i == len(e.At)-1
			switch node := at.(type) {
			case map[string]any:
				if last {
					node[step.(string)] = e.Value
				}
				at = node[step.(string)]
			case []any:
				index := int(step.(float64))
				if last {
					node[index] = e.Value
				}
				at = node[index]
			default:
				tb.Fatalf("no %v in %T", e.At, at)
			}
		}
	}
	data, err := json.Marshal(doc)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

func TestVariants(t *testing.T) {
	v := readVariants(t)
	for _, c := range v.Cases {
		t.Run(c.Name, func(t *testing.T) {
			tok, err := parseJSON(v.with(t, c.Edits...))
			if err != nil {
				t.Fatal(err)
			}
			for i, text := range v.Texts {
				if got := tok.withSpecials(tok.Tokenize(text)); !slices.Equal(got, c.IDs[i]) {
					t.Errorf("%q\n got %v\nwant %v", text, got, c.IDs[i])
				}
			}
		})
	}
}

func TestMaxLen(t *testing.T) {
	v := readVariants(t)
	tok, err := parseJSON(v.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("the ", 600)
	if got := tok.Count(text); got != 601 {
		t.Errorf("Count is %d, want 601", got)
	}
	for _, n := range []int{DefaultMaxLen, 600, 601, 602, 2, 1, 0} {
		tok.MaxLen = n
		got := tok.Encode(text)
		if want := max(1, min(n, 601)); len(got) != want || got[want-1] != tok.suffix[0] {
			t.Errorf("MaxLen %d: %d ids, the last %d; want %d and the end token %d", n, len(got), got[len(got)-1], want, tok.suffix[0])
		}
	}
}

func TestBadJSON(t *testing.T) {
	v := readVariants(t)
	path := func(steps ...any) []any { return steps }
	for _, test := range []struct {
		at    []any
		value any
		want  string
	}{
		{path("model", "type"), "BPE", `model.type: found "BPE", expected Unigram`},
		{path("model", "unk_id"), nil, "model.unk_id: found none"},
		{path("model", "unk_id"), 1 << 20, "unknown token 1048576"},
		{path("model", "unk_id"), -1, "unknown token -1"},
		{path("model", "vocab"), nil, "model.vocab"},
		{path("model", "vocab"), map[string]any{"a": 1}, "model.vocab"},
		{path("model", "vocab", 5.0), []any{"a"}, "model.vocab.5"},
		{path("model", "vocab", 5.0), []any{"a", 1, 2}, "model.vocab.5"},
		{path("model", "vocab", 5.0), []any{1, "a"}, "model.vocab.5"},
		{path("model", "vocab", 5.0), "a", "model.vocab.5"},
		{path("model", "vocab", 5.0), []any{"a", json.RawMessage("1e999")}, "entry 5"},
		{path("normalizer"), map[string]any{"type": "BertNormalizer"}, `normalizer.type: found "BertNormalizer"`},
		{path("normalizer"), map[string]any{"type": "Precompiled", "precompiled_charsmap": "!"}, "precompiled_charsmap"},
		{path("normalizer"), map[string]any{"type": "Precompiled", "precompiled_charsmap": "/////w=="}, "precompiled_charsmap: found a trie of 4294967295 bytes"},
		{path("normalizer"), map[string]any{"type": "Replace", "content": ""}, "normalizer.pattern: found none"},
		{path("normalizer"), map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": `\s+`}}, `normalizer.pattern.Regex`},
		{path("normalizer"), map[string]any{"type": "Replace", "pattern": map[string]any{"Regex": "("}}, `normalizer.pattern.Regex: found "("`},
		{path("pre_tokenizer"), map[string]any{"type": "ByteLevel"}, `pre_tokenizer.type: found "ByteLevel"`},
		{path("pre_tokenizer", "prepend_scheme"), "sometimes", `found "sometimes"`},
		{path("pre_tokenizer", "replacement"), "", "pre_tokenizer.replacement"},
		{path("post_processor"), map[string]any{"type": "RobertaProcessing"}, `found "RobertaProcessing"`},
		{path("post_processor", "single"), []any{}, "found 0 sequences"},
		{path("post_processor", "special_tokens"), nil, `found "</s>"`},
		{path("post_processor", "single", 0.0), map[string]any{}, "post_processor.single.0"},
		{path("added_tokens", 0.0), map[string]any{"id": -7, "content": "x y"}, "added_tokens.0.id: found -7"},
		{path("added_tokens"), "none", "added_tokens"},
	} {
		_, err := parseJSON(v.with(t, edit{test.at, test.value}))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v = %v: error %v, want one with %q", test.at, test.value, err, test.want)
		}
	}
	for n := range len(v.Tokenizer) {
		if n%97 == 0 {
			if _, err := parseJSON(v.Tokenizer[:n]); err == nil {
				t.Errorf("cut to %d bytes: no error", n)
			}
		}
	}
}

// Results of serde_json 1.0 without its float_roundtrip feature, by its algorithm.
func TestParseScore(t *testing.T) {
	for _, c := range []struct {
		text string
		want float64
	}{
		{"0", 0}, {"-0.0", 0}, {"12", 12}, {"-2.5e0", -2.5}, {"-1E-2", -0.01}, {"1e+3", 1000}, {"0.1", 0.1},
		{"-10.375481605529785", -10.375481605529783},
		{"-12345678901234567890123e-22", -1.2345678901234567},
		{"18446744073709551616", 18446744073709551610},
		{"0.00000000000000012345678901234567890123", 1.2345678901234567e-16},
	} {
		if got := parseScore([]byte(c.text)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.text, got, c.want)
		}
	}
	for _, text := range []string{"1e400", "-1e99999999999999999999"} {
		if got := parseScore([]byte(text)); fmt.Sprint(got) != "+Inf" && fmt.Sprint(got) != "-Inf" {
			t.Errorf("%s: got %v, want infinity", text, got)
		}
	}
}
