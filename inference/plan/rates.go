package plan

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"gimbal/inference"
	"gimbal/inference/device"
)

// Rates say how fast a device works, as measured on it.
type Rates struct {
	// FLOPs a second, by kind of operation: "linear bf16", "attention f32", "conv".
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
func (r Rates) Known() bool { return len(r.Kinds) > 0 && r.Bandwidth > 0 }

// The ranges of estimates: from rates alone, and for a phase that real runs have
// corrected.
const (
	lowGuess, highGuess = 0.7, 1.6
	lowKnown, highKnown = 0.85, 1.2
)

// Of returns the time that work takes in a phase.
func (r Rates) Of(phase string, w inference.Work) inference.Estimate {
	if !r.Known() {
		return inference.Estimate{}
	}
	seconds := float64(w.Submissions) * r.Submission
	for kind, c := range w.Kinds {
		rate := r.of(kind)
		if kind == Memory || rate == 0 {
			seconds += float64(c.Bytes) / r.Bandwidth
		} else {
			seconds += float64(c.FLOPs) / rate
		}
	}
	low, high := lowGuess, highGuess
	if c := r.Corrections[phase]; c > 0 {
		seconds *= c
		low, high = lowKnown, highKnown
	}
	return inference.Estimate{Low: duration(low * seconds), Likely: duration(seconds), High: duration(high * seconds)}
}

// of returns the rate of a kind of work; of products with weights in a format that was not
// measured, that of the slowest that was.
func (r Rates) of(kind string) float64 {
	rate, known := r.Kinds[kind]
	if known || !strings.HasPrefix(kind, linearKind) {
		return rate
	}
	for other, its := range r.Kinds {
		if strings.HasPrefix(other, linearKind) && its > 0 && (rate == 0 || its < rate) {
			rate = its
		}
	}
	return rate
}

// linearKind begins the kinds of products with weights.
const linearKind = "linear "

func duration(seconds float64) time.Duration {
	return time.Duration(min(seconds*float64(time.Second), math.MaxInt64/4))
}

// Estimate fills in the times of a plan's phases and of the whole.
func (r Rates) Estimate(p *inference.Plan) {
	p.Time = inference.Estimate{}
	for i := range p.Phases {
		phase := &p.Phases[i]
		phase.Time = r.Of(phase.Kind(), phase.Work)
		p.Time.Low += phase.Time.Low
		p.Time.Likely += phase.Time.Likely
		p.Time.High += phase.Time.High
	}
}

// enough is the least time, in seconds, of work that tells something of longer work.
const enough = 1

// Learn returns r with the correction of a phase moved towards a run that took
// actual seconds where r says likely. Work that took no time to speak of is left out.
func (r Rates) Learn(phase string, likely, actual float64) Rates {
	if !(likely > enough) || !(actual > 0) {
		return r
	}
	old := r.Corrections[phase]
	ratio := actual / likely
	if old > 0 {
		ratio = old * math.Sqrt(ratio) // likely has the old correction in it
	}
	corrections := map[string]float64{phase: min(max(ratio, 1e-3), 1e3)}
	for name, c := range r.Corrections {
		if name != phase {
			corrections[name] = c
		}
	}
	r.Corrections = corrections
	return r
}

// ReadRates returns what was measured on dev before, by this build; the zero Rates
// if nothing was. They are kept in folder, or for "" in the user's cache folder.
func ReadRates(folder string, dev device.Device) Rates {
	path, err := ratesFile(folder, dev)
	if err != nil {
		return Rates{}
	}
	text, err := os.ReadFile(path)
	var r Rates
	if err != nil || json.Unmarshal(text, &r) != nil || !r.Known() {
		return Rates{}
	}
	return r
}

// Write keeps r for ReadRates.
func (r Rates) Write(folder string, dev device.Device) error {
	path, err := ratesFile(folder, dev)
	if err != nil {
		return fmt.Errorf("plan: keeping the device's rates: %w", err)
	}
	text, err := json.MarshalIndent(r, "", "\t")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = renameio.WriteFile(path, text, 0o644)
	}
	if err != nil {
		return fmt.Errorf("plan: keeping the device's rates: %w", err)
	}
	return nil
}

// ratesFile names the file of dev's rates: other builds have other kernels.
func ratesFile(folder string, dev device.Device) (string, error) {
	if folder == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		folder = filepath.Join(cache, "Gimbal", "rates")
	}
	build := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		build = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				build += s.Value
			}
		}
	}
	key := sha256.Sum256([]byte(dev.Info().Name + "\n" + build))
	return filepath.Join(folder, fmt.Sprintf("%x.json", key[:8])), nil
}
