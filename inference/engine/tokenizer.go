package engine

import (
	"os"

	"gimbal/inference/tokenizer"
	"gimbal/inference/weights"
)

// openTokenizer opens a checkpoint's tokenizer: in a folder, or in the text encoder's file.
func openTokenizer(l *weights.Layout) (*tokenizer.Tokenizer, error) {
	if l.TokenizerDir != "" {
		return tokenizer.Open(l.TokenizerDir)
	}
	return tokenizerIn(l.Text)
}

// tokenizerAt opens the tokenizer in a folder, or in a text encoder's file.
func tokenizerAt(path string) (*tokenizer.Tokenizer, error) {
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return tokenizer.Open(path)
	}
	text, err := weights.OpenKind(path, weights.KindText)
	if err != nil {
		return nil, err
	}
	defer text.Close()
	return tokenizerIn(text)
}

func tokenizerIn(text *weights.Store) (*tokenizer.Tokenizer, error) {
	spiece, err := text.Spiece()
	if err != nil {
		return nil, err
	}
	return tokenizer.FromSpiece(text.Path(), spiece)
}
