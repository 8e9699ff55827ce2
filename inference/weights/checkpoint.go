package weights

import (
	"os"
	"path/filepath"
)

// Checkpoint says where a checkpoint is and what of it is to be opened.
type Checkpoint struct {
	// Dir is a folder, a file of weights beside which, or in the folders around which, the
	// other parts are looked for, or a PartsFile. "" where Parts names all there is.
	Dir string
	// Parts are taken in place of those in Dir.
	Parts Parts
	// Assets is a folder with a text encoder, a tokenizer and a VAE for a checkpoint that has
	// none: each is looked for in Dir first. Without it they are looked for in the folder
	// around Dir, and in one that lies beside it.
	Assets string
	// Model chooses between the transformers of a checkpoint that has several: CausalFast or
	// CausalPretrain. "" is for the experts, or else what there is.
	Model string
}

// Open opens all parts. One of the experts may be missing, or be there as quantised weights
// only, in a folder such as high_noise_model_bnb_nf4 (bitsandbytes' layout). Without folders of
// these names, parts are told by what is in the files of Dir and the folders in it, such as
// diffusers' or ComfyUI's. The text encoder
// and the VAE may have other names than the original's, if only one *t5* and one *vae* .pth or
// .safetensors file is there. The error joins everything that is wrong.
func (c Checkpoint) Open() (*Layout, error) {
	l, err := openParts(c)
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, p := range l.parts {
		if !p.Other {
			errs = append(errs, p.Err)
		}
	}
	if err := JoinCauses(errs...); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// Inspect says what the checkpoint holds, part by part, and what is wrong with each. It
// fails only if its folder cannot be read.
func (c Checkpoint) Inspect() ([]Part, error) {
	l, err := openParts(c)
	if err != nil {
		return nil, err
	}
	return l.parts, l.Close()
}

// places are the folders in which text encoder, tokenizer and VAE are looked for.
func (c Checkpoint) places() []string {
	if c.Assets != "" {
		return []string{c.Dir, c.Assets}
	}
	if guess := GuessAssets(c.Dir); guess != "" {
		return []string{c.Dir, guess}
	}
	return []string{c.Dir}
}

// GuessAssets returns a folder with the text encoder and the VAE for a checkpoint that has
// neither: the folder around it, or the only one of those beside it; "" if there is none.
func GuessAssets(dir string) string {
	dir, err := filepath.Abs(dir)
	if err != nil || hasAssets(dir, 1) {
		return ""
	}
	around := filepath.Dir(dir)
	if hasAssets(around, len(assetWords)) {
		return around
	}
	beside, err := readFolder(around)
	if err != nil {
		return ""
	}
	guess := ""
	for _, name := range beside.names {
		path := filepath.Join(around, name)
		if info, err := os.Stat(path); err != nil || !info.IsDir() || path == dir || !hasAssets(path, len(assetWords)) {
			continue
		}
		if guess != "" {
			return "" // which one is not for us to say
		}
		guess = path
	}
	return guess
}

// assetWords are in the names of the files of the text encoder and of the VAE.
var assetWords = []string{"t5", "vae"}

// hasAssets reports whether a folder holds at least so many of text encoder and VAE.
func hasAssets(dir string, least int) bool {
	f, err := readFolder(dir)
	if err != nil {
		return false
	}
	for _, word := range assetWords {
		if len(f.filesWith(word)) > 0 {
			least--
		}
	}
	return least <= 0
}
