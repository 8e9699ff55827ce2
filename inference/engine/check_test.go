package engine_test

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestPartsOfOtherCheckpoints makes sure that parts which are whole but do not
// belong together are not run.
func TestPartsOfOtherCheckpoints(t *testing.T) {
	for _, c := range []struct {
		name string
		dir  func(t *testing.T) string
		want []string
	}{
		{"tokenizer", otherTokenizer, []string{"tokenizer's pieces", "text encoder"}},
		{"text encoder", otherTextWidth, []string{weights.LowNoise, "text_embedding.0.weight", "text encoder"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := engine.Load(t.Context(), openDevice(t), c.dir(t), inference.QuantNone, func(inference.Event) {})
			if err == nil {
				p.Close()
				t.Fatal("it loads")
			}
			for _, word := range append(c.want, "not of one checkpoint") {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("error %q does not name %q", err, word)
				}
			}
		})
	}
}

// otherTokenizer returns the reference checkpoint with a vocabulary larger than
// the text encoder's.
func otherTokenizer(t *testing.T) string {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "google", "umt5-xxl", "tokenizer.json")
	var settings map[string]any
	if err := json.Unmarshal(read(t, file), &settings); err != nil {
		t.Fatal(err)
	}
	model := settings["model"].(map[string]any)
	vocab := model["vocab"].([]any)
	for i := range 2 * len(vocab) {
		vocab = append(vocab, []any{strings.Repeat("q", 9+i), -20})
	}
	model["vocab"] = vocab
	text, err := json.Marshal(settings)
	if err == nil {
		err = os.WriteFile(file, text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// otherTextWidth returns the reference checkpoint with an expert that reads hidden
// states twice as wide as the text encoder's.
func otherTextWidth(t *testing.T) string {
	return rewrite(t, weights.LowNoise, func(tensor weights.Tensor, source *weights.Source) {
		if tensor.Name == "text_embedding.0.weight" {
			source.Shape = slices.Clone(source.Shape)
			source.Shape[1] *= 2
			source.Write = func(w io.Writer) error {
				_, err := w.Write(tensor.Data)
				_, err2 := w.Write(tensor.Data)
				return errors.Join(err, err2)
			}
		}
	})
}
