package quant

import (
	"fmt"

	"gimbal/inference/weights"
)

// Kind says how weights are kept.
type Kind string

// The kinds.
const (
	None Kind = "none"       // as in the checkpoint
	NF4  Kind = weights.NF4  // 4 bits, a scale for each block of values
	INT8 Kind = weights.INT8 // 8 bits, a scale for each row
)

// Options says how an expert is quantised. The zero value stands for None.
type Options struct {
	Kind Kind `json:"kind"`
	// Nested keeps the scales of NF4 in 8 bits (bitsandbytes' double quantisation).
	Nested bool `json:"nested,omitempty"`
}

// Enabled reports whether o asks for quantised weights.
func (o Options) Enabled() bool { return o.Kind != "" && o.Kind != None }

// Validate returns an error unless o is one of the choices there are.
func (o Options) Validate() error {
	switch o.Kind {
	case "", None, INT8:
		if o.Nested {
			return fmt.Errorf("double_quant: goes with quant nf4 only")
		}
	case NF4:
	default:
		return fmt.Errorf("quant: %q, want %s, %s or %s", o.Kind, None, INT8, NF4)
	}
	return nil
}

// String names o, as files and messages do.
func (o Options) String() string {
	switch {
	case !o.Enabled():
		return string(None)
	case o.Nested:
		return string(o.Kind) + "-double"
	}
	return string(o.Kind)
}
