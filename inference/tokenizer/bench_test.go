package tokenizer

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// realSize is the number of entries of UMT5's vocabulary.
const realSize = 256384

// largeVocabulary returns made-up pieces of letters of several scripts, of
// lengths as in UMT5's vocabulary.
func largeVocabulary() []piece {
	rng := rand.New(rand.NewPCG(1, 2))
	scripts := [][2]rune{{'a', 26}, {'а', 32}, {'一', 8000}, {'あ', 80}, {'ا', 40}, {'क', 50}}
	pieces := []piece{{"<pad>", 0}, {"</s>", 0}, {"<unk>", 0}, {wordMark, -3}}
	for r := 'a'; r <= 'z'; r++ {
		pieces = append(pieces, piece{string(r), -5})
	}
	for len(pieces) < realSize {
		script := scripts[rng.IntN(len(scripts))]
		var text strings.Builder
		if rng.IntN(2) == 0 {
			text.WriteString(wordMark)
		}
		for range 1 + rng.IntN(9) {
			text.WriteRune(script[0] + rng.Int32N(script[1]))
		}
		pieces = append(pieces, piece{text.String(), -6 - 10*rng.Float64()})
	}
	return pieces
}

// largeDir returns a folder with a tokenizer.json or a spiece.model of real size
// and the golden folder's charsmap.
func largeDir(b *testing.B, name string) string {
	b.Helper()
	dir, pieces := b.TempDir(), largeVocabulary()
	var data []byte
	switch name {
	case "tokenizer.json":
		golden, err := os.ReadFile(filepath.Join(goldenDir(b), name))
		if err != nil {
			b.Fatal(err)
		}
		var doc map[string]json.RawMessage
		if err := json.Unmarshal(golden, &doc); err != nil {
			b.Fatal(err)
		}
		vocab := make([][2]any, len(pieces))
		for i, p := range pieces {
			vocab[i] = [2]any{p.text, p.score}
		}
		model, err := json.Marshal(map[string]any{"type": "Unigram", "unk_id": 2, "byte_fallback": true, "vocab": vocab})
		if err != nil {
			b.Fatal(err)
		}
		doc["model"] = model
		if data, err = json.MarshalIndent(doc, "", "  "); err != nil {
			b.Fatal(err)
		}
	case "spiece.model":
		var m message
		for i, p := range pieces {
			kind := uint64(1)
			if i < 3 {
				kind = []uint64{typeControl, typeControl, typeUnknown}[i]
			}
			m = m.piece(p.text, float32(p.score), kind)
		}
		data = m
	}
	if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
		b.Fatal(err)
	}
	return dir
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"tokenizer.json", "spiece.model"} {
		b.Run(name, func(b *testing.B) {
			dir := largeDir(b, name)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&before)
			var tok *Tokenizer
			for b.Loop() {
				var err error
				if tok, err = Open(dir); err != nil {
					b.Fatal(err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MB-held")
			runtime.KeepAlive(tok)
		})
	}
}

// BenchmarkEncode encodes prompts of 2,000 characters.
func BenchmarkEncode(b *testing.B) {
	tok, err := Open(largeDir(b, "tokenizer.json"))
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{
		"english": "The camera moves slowly along the harbour wall; “quiet” boats rock in green water. ",
		"chinese": "画面突变，色调艳丽，过曝，静态，细节模糊不清，字幕，风格，作品。",
		"russian": "Камера медленно движется вдоль стены гавани — лодки качаются в зелёной воде. ",
	} {
		runes := []rune(strings.Repeat(text, 2000/len([]rune(text))+1))
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				tok.Encode(string(runes[:2000]))
			}
		})
	}
}
