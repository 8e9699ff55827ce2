package weights

import "fmt"

// UMT5Sizes are the sizes of a text encoder. 0 is any size.
type UMT5Sizes struct {
	Vocab, Dim     int // tokens, and channels of each
	AttnDim        int // channels of all heads together
	FFNDim         int // channels of the feed-forward's hidden layer
	Buckets, Heads int // of the attention's position embedding
	Layers         int
}

// The tensors that tell sizes.
const (
	umt5Embedding = "token_embedding.weight"
	umt5Query     = "blocks.0.attn.q.weight"
	umt5Gate      = "blocks.0.ffn.gate.0.weight"
	umt5Position  = "blocks.0.pos_embedding.embedding.weight"
)

// ReadUMT5Sizes returns the sizes that the tensors in s have. Those of tensors that are
// not there are 0.
func ReadUMT5Sizes(s *Store) (UMT5Sizes, error) {
	layers, err := s.blocks()
	return UMT5Sizes{
		Vocab: s.size(umt5Embedding, 0), Dim: s.size(umt5Embedding, 1),
		AttnDim: s.size(umt5Query, 0), FFNDim: s.size(umt5Gate, 0),
		Buckets: s.size(umt5Position, 0), Heads: s.size(umt5Position, 1),
		Layers: layers,
	}, err
}

// Table lists a text encoder's tensors.
func (z UMT5Sizes) Table() Table {
	var t Table
	t.add(Embedding, umt5Embedding, z.Vocab, z.Dim)
	t.add(Norm, "norm.weight", z.Dim)
	for i := range z.Layers {
		name := fmt.Sprintf("blocks.%d.", i)
		t.add(Norm, name+"norm1.weight", z.Dim)
		for _, layer := range []string{"q", "k", "v"} {
			t.matrix(asStored, name+"attn."+layer, z.AttnDim, z.Dim)
		}
		t.matrix(asStored, name+"attn.o", z.Dim, z.AttnDim)
		t.add(Norm, name+"norm2.weight", z.Dim)
		t.matrix(asStored, name+"ffn.gate.0", z.FFNDim, z.Dim)
		t.matrix(asStored, name+"ffn.fc1", z.FFNDim, z.Dim)
		t.matrix(asStored, name+"ffn.fc2", z.Dim, z.FFNDim)
		t.add(Embedding, name+"pos_embedding.embedding.weight", z.Buckets, z.Heads)
	}
	return t
}
