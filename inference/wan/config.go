package wan

import (
	"fmt"
	"math"
)

// Config is what an expert's config.json says of its sizes.
type Config struct {
	Dim       int     `json:"dim"`        // channels of the residual stream
	FFNDim    int     `json:"ffn_dim"`    // channels of the feed-forward's hidden layer
	FreqDim   int     `json:"freq_dim"`   // values of the timestep's sinusoid
	InDim     int     `json:"in_dim"`     // channels of the latent and its conditioning together
	OutDim    int     `json:"out_dim"`    // channels of the latent
	NumHeads  int     `json:"num_heads"`  // heads of an attention
	NumLayers int     `json:"num_layers"` // transformer blocks
	TextLen   int     `json:"text_len"`   // tokens of a text context, padding included
	Eps       float64 `json:"eps"`        // of all norms
}

// check returns an error unless the sizes can be a model's.
func (c Config) check() error {
	const most = 1 << 20
	for _, f := range []struct {
		name  string
		value int
	}{
		{"dim", c.Dim}, {"ffn_dim", c.FFNDim}, {"freq_dim", c.FreqDim}, {"in_dim", c.InDim}, {"out_dim", c.OutDim},
		{"num_heads", c.NumHeads}, {"num_layers", c.NumLayers}, {"text_len", c.TextLen},
	} {
		if f.value < 1 || f.value > most {
			return fmt.Errorf("%s: found %d, expected 1 to %d", f.name, f.value, most)
		}
	}
	switch {
	case c.Dim%(2*c.NumHeads) != 0:
		return fmt.Errorf("dim: found %d, expected a multiple of twice num_heads, %d", c.Dim, 2*c.NumHeads)
	case c.FreqDim%2 != 0:
		return fmt.Errorf("freq_dim: found %d, expected an even number", c.FreqDim)
	case c.InDim < c.OutDim:
		return fmt.Errorf("in_dim: found %d, expected at least out_dim, %d", c.InDim, c.OutDim)
	case !(c.Eps > 0) || math.IsInf(c.Eps, 1):
		return fmt.Errorf("eps: found %g, expected a positive number", c.Eps)
	}
	return nil
}
