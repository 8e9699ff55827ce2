package weights

import (
	"fmt"
	"path/filepath"
)

// TAEHVSizes are the channels of a small decoder (TAEHV of madebyollin/taehv, with Wan 2.1's
// layers). 0 channels are any number.
type TAEHVSizes struct {
	Channels int               // of a latent
	Levels   [3]TAEHVLevelSize // from the latent's size on, each twice as large as the one before
	Last     int               // channels of a picture before the last convolution
}

// TAEHVLevelSize is the size of a level: of its blocks, and of the layer that makes several
// frames of one.
type TAEHVLevelSize struct{ Channels, Grown int }

// taehvMark is a tensor that every small decoder has, and no VAE.
const taehvMark = "decoder.22.bias"

// IsTAEHV reports whether the names of a store's tensors are those of a small decoder.
func IsTAEHV(s *Store) bool { return s.Has(taehvMark) }

// smallDecoders are what files of small decoders for Wan 2.1 have in their names.
var smallDecoders = []string{"taew2_1", "lightvaew2_1"}

// SmallDecoder returns the first file of a small decoder that lies with the checkpoint, ""
// for none.
func (l *Layout) SmallDecoder() string {
	for _, dir := range l.places {
		f, err := readFolder(dir)
		if err != nil {
			continue
		}
		for _, word := range smallDecoders {
			if found := f.filesWith(word); len(found) > 0 {
				return filepath.Join(dir, found[0])
			}
		}
	}
	return ""
}

// The layers of the decoder as it numbers them.
const (
	taehvFirst  = 1 // convolution of the latent
	taehvLevel  = 3 // the first level; the others follow six apart
	taehvBlocks = 3 // of a level
	taehvGrow   = 4 // from a level's first block on
	taehvNext   = 5
	taehvLast   = 22
)

// TAEHVBlock, TAEHVGrow and TAEHVNext name the layers of a level, counted from 0: its
// blocks, what makes several frames of one, and the convolution to the next level.
func TAEHVBlock(level, block int) string {
	return fmt.Sprintf("decoder.%d.conv", taehvLevel+6*level+block)
}

func TAEHVGrow(level int) string {
	return fmt.Sprintf("decoder.%d.conv", taehvLevel+6*level+taehvGrow)
}

func TAEHVNext(level int) string { return fmt.Sprintf("decoder.%d", taehvLevel+6*level+taehvNext) }

// The names of the first and the last convolution.
var (
	TAEHVFirst = fmt.Sprintf("decoder.%d", taehvFirst)
	TAEHVLast  = fmt.Sprintf("decoder.%d", taehvLast)
)

// ReadTAEHVSizes returns the sizes that the tensors in s have.
func ReadTAEHVSizes(s *Store) (z TAEHVSizes) {
	z.Channels = s.size(TAEHVFirst+".weight", 1)
	for i := range z.Levels {
		z.Levels[i] = TAEHVLevelSize{s.size(TAEHVBlock(i, 0)+".0.weight", 0), s.size(TAEHVGrow(i)+".weight", 0)}
	}
	z.Last = s.size(TAEHVLast+".weight", 1)
	return z
}

// Table lists the decoder's tensors. Files hold an encoder, too, which is not used.
func (z TAEHVSizes) Table() Table {
	var t Table
	t.conv(TAEHVFirst, z.Levels[0].Channels, z.Channels, 3, 3)
	for i, level := range z.Levels {
		n, next := level.Channels, z.Last
		if i+1 < len(z.Levels) {
			next = z.Levels[i+1].Channels
		}
		for b := range taehvBlocks {
			t.conv(TAEHVBlock(i, b)+".0", n, 2*n, 3, 3)
			t.conv(TAEHVBlock(i, b)+".2", n, n, 3, 3)
			t.conv(TAEHVBlock(i, b)+".4", n, n, 3, 3)
		}
		t.add(Conv, TAEHVGrow(i)+".weight", level.Grown, n, 1, 1)
		t.add(Conv, TAEHVNext(i)+".weight", next, n, 3, 3)
	}
	t.conv(TAEHVLast, 3, z.Last, 3, 3)
	return t
}
