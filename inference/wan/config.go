package wan

import (
	"fmt"

	"gimbal/inference/weights"
)

// Config is what an expert's config.json says of its sizes.
type Config = weights.WanConfig

// checkConfig returns an error unless the sizes go together.
func checkConfig(c Config) error {
	switch {
	case c.Dim%(2*c.NumHeads) != 0:
		return fmt.Errorf("dim: found %d, expected a multiple of twice num_heads, %d", c.Dim, 2*c.NumHeads)
	case c.FreqDim%2 != 0:
		return fmt.Errorf("freq_dim: found %d, expected an even number", c.FreqDim)
	case c.InDim < c.OutDim:
		return fmt.Errorf("in_dim: found %d, expected at least out_dim, %d", c.InDim, c.OutDim)
	}
	return nil
}
