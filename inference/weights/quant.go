package weights

import "fmt"

// Quant says how an expert's linear layers are kept. The zero value is AsStored.
type Quant struct {
	Format Format `json:"kind"`
	// Nested keeps the scales of NF4 in 8 bits (bitsandbytes' double quantisation).
	Nested bool `json:"nested,omitempty"`
}

// Enabled reports whether o asks for quantised weights.
func (o Quant) Enabled() bool { return o.Format != "" && o.Format != AsStored }

// Validate returns an error unless o is one of the choices there are.
func (o Quant) Validate() error {
	switch o.Format {
	case "", AsStored, INT8:
		if o.Nested {
			return fmt.Errorf("double_quant: goes with quant nf4 only")
		}
	case NF4:
	default:
		return fmt.Errorf("quant: %q, want %s, %s or %s", o.Format, AsStored, INT8, NF4)
	}
	return nil
}

// String names o, as files and messages do.
func (o Quant) String() string {
	switch {
	case !o.Enabled():
		return string(AsStored)
	case o.Nested:
		return string(o.Format) + "-double"
	}
	return string(o.Format)
}
