package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// goldenCase is a text with what the reference's tokenizer makes of it. Cleaned
// may have been made without ftfy.
type goldenCase struct {
	Text, Cleaned string
	IDs           []int32
}

func goldenCases(tb testing.TB) []goldenCase {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join(golden.Dir(tb), "cases", "tokenizer.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var cases []goldenCase
	if err := json.Unmarshal(text, &cases); err != nil {
		tb.Fatal(err)
	}
	if len(cases) == 0 {
		tb.Fatal("no cases")
	}
	return cases
}

func goldenDir(tb testing.TB) string {
	return filepath.Join(golden.Checkpoint(tb), "google", "umt5-xxl")
}

// open returns the tokenizers of the golden folder: the one of tokenizer.json and
// the one of spiece.model, and those in the files of text encoders.
func open(tb testing.TB) map[string]*Tokenizer {
	tb.Helper()
	all := make(map[string]*Tokenizer)
	for _, name := range []string{"tokenizer.json", "spiece.model"} {
		data, err := os.ReadFile(filepath.Join(goldenDir(tb), name))
		if err != nil {
			tb.Fatal(err)
		}
		dir := tb.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			tb.Fatal(err)
		}
		if all[name], err = Open(dir); err != nil {
			tb.Fatal(err)
		}
	}
	for _, c := range golden.FormatCases(tb, "t5_") {
		var scalars struct{ File string }
		c.Scalars(tb, &scalars)
		path, ok := golden.FormatFile(tb, scalars.File)
		if !ok {
			continue
		}
		store, err := weights.OpenKind(path, weights.KindText)
		if err != nil {
			tb.Fatal(err)
		}
		model, err := store.Spiece()
		if err == nil {
			all[c.Name], err = FromSpiece(path, model)
		}
		if err != nil {
			tb.Fatal(err)
		}
		store.Close()
	}
	return all
}

// withSpecials returns ids as Encode does.
func (t *Tokenizer) withSpecials(ids []int32) []int32 {
	ids = ids[:min(len(ids), t.MaxLen-len(t.prefix)-len(t.suffix))]
	return slices.Concat(t.prefix, ids, t.suffix)
}

func TestGolden(t *testing.T) {
	for name, tok := range open(t) {
		for _, c := range goldenCases(t) {
			if got := tok.withSpecials(tok.Tokenize(c.Cleaned)); !slices.Equal(got, c.IDs) {
				t.Errorf("%s: %.60q\n got %v\nwant %v", name, c.Cleaned, got, c.IDs)
			}
			// ftfy's effect may be more than what the normaliser does anyway.
			want := c.IDs
			if tok.normalize(Clean(c.Text)) != tok.normalize(c.Cleaned) {
				want = tok.withSpecials(tok.Tokenize(Clean(c.Text)))
			}
			if got := tok.Encode(c.Text); !slices.Equal(got, want) {
				t.Errorf("%s: Encode(%.60q)\n got %v\nwant %v", name, c.Text, got, want)
			}
			without := strings.Join(strings.Fields(unescape(unescape(c.Text))), " ")
			if with := Clean(c.Text); c.Cleaned != with && c.Cleaned != without {
				t.Errorf("%.60q: got %q with and %q without ftfy, want %q", c.Text, with, without, c.Cleaned)
			}
		}
	}
}
