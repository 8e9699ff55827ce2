package inference

import (
	"fmt"
	"strings"
	"time"

	"gimbal/inference/device"
)

// Plan says what a job takes. All sizes are in bytes.
type Plan struct {
	Device      string `json:"device"` // its name
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Frames      int    `json:"frames"`
	LatentShape [4]int `json:"latent_shape"` // channels, frames, rows, columns
	Tokens      int    `json:"tokens"`       // of the latent in a transformer

	Parts  []Part  `json:"parts"`  // of the checkpoint
	Phases []Phase `json:"phases"` // in the order of work
	Disk   []Disk  `json:"disk"`

	Notices []Notice `json:"notices,omitempty"` // what to know of the model beforehand

	// Limit is what the device may hold, from its working set or its user; 0 if not
	// known. Fits compares it.
	Limit int64 `json:"limit"`
	// Time is the sum of the phases' times; zero if the device's rates are not known.
	Time Estimate `json:"time"`
}

// Part is one part of the checkpoint as it will be used.
type Part struct {
	Name  string `json:"name"`            // such as "high_noise_model"
	Quant string `json:"quant,omitempty"` // how it is kept, such as "nf4"; "" for as in the checkpoint
	Bytes int64  `json:"bytes"`           // of its files, which are mapped, not read whole
}

// Phase is one part of the work.
type Phase struct {
	Name string `json:"name"` // such as "text", "picture", "prepare high_noise_model", "sample low_noise_model", "decode"
	// Times is how often the phase's work is done: guided steps when sampling, with a causal
	// model's clean forwards, else 1.
	Times int `json:"times"`

	Buffers int64 `json:"buffers"` // held on the device at the peak of the phase
	Scratch int64 `json:"scratch"` // what the device holds beside buffers by then
	Host    int64 `json:"host"`    // held by the program at the peak
	Weights int64 `json:"weights"` // of the checkpoint that the phase reads: file cache that the system may drop

	Work Work     `json:"work"` // of all times together
	Time Estimate `json:"time"`
}

// Work is what a phase asks of a device: by kind of operation, "linear bf16" or
// "attention" for example, and in submissions.
type Work struct {
	Kinds       map[string]device.Cost `json:"kinds"`
	Submissions int64                  `json:"submissions"`
}

// FLOPs returns the floating-point operations of all kinds.
func (w Work) FLOPs() (n int64) {
	for _, c := range w.Kinds {
		n += c.FLOPs
	}
	return n
}

// Estimate is a time and the range that it is expected to lie in.
type Estimate struct {
	Low    time.Duration `json:"low_ns"`
	Likely time.Duration `json:"likely_ns"`
	High   time.Duration `json:"high_ns"`
}

// Known reports whether e says anything.
func (e Estimate) Known() bool { return e.High > 0 }

// Disk is what the job writes to one place.
type Disk struct {
	What   string `json:"what"`   // such as "run state", "video", "nf4 weights of high_noise_model"
	Folder string `json:"folder"` // "" if not known yet
	Bytes  int64  `json:"bytes"`
	Stays  bool   `json:"stays"` // false for what is gone when the job is done
}

// Memory returns the most that the phase holds and that the system cannot drop.
func (p Phase) Memory() int64 { return p.Buffers + p.Scratch + p.Host }

// Resident returns the memory of the phase with its weights, which the system
// can drop, but only to read them from disk again.
func (p Phase) Resident() int64 { return p.Memory() + p.Weights }

// Add adds another part of the phase's work.
func (p *Phase) Add(o Phase) {
	if p.Kind() == "sample" {
		p.Times += o.Times
	}
	if o.Memory() > p.Memory() {
		p.Buffers, p.Scratch, p.Host = o.Buffers, o.Scratch, o.Host
	}
	p.Weights = max(p.Weights, o.Weights)
	p.Work.Submissions += o.Work.Submissions
	for kind, c := range o.Work.Kinds {
		p.Work.Kinds[kind] = p.Work.Kinds[kind].Plus(c)
	}
}

// Peak returns the phase that holds the most, weights not counted.
func (p Plan) Peak() Phase { return p.most(Phase.Memory) }

// Largest returns the phase that holds the most, weights counted.
func (p Plan) Largest() Phase { return p.most(Phase.Resident) }

func (p Plan) most(of func(Phase) int64) (most Phase) {
	for _, phase := range p.Phases {
		if of(phase) > of(most) {
			most = phase
		}
	}
	return most
}

// Fit says how a plan's memory compares with the limit.
type Fit int

// The fits.
const (
	Fits    Fit = iota // with all weights of a phase in memory
	Reloads            // only if weights are dropped and read from disk again in every pass
	TooMuch            // not at all: the job would end with device.ErrOutOfMemory
)

// Fit compares the plan's memory with its limit.
func (p Plan) Fit() Fit {
	switch {
	case p.Limit == 0 || p.Largest().Resident() <= p.Limit:
		return Fits
	case p.Peak().Memory() <= p.Limit:
		return Reloads
	}
	return TooMuch
}

// Choice is a setting that differs from what was asked for, and why.
type Choice struct {
	Setting string `json:"setting"` // the flag, such as "quant"
	Value   string `json:"value"`   // such as "int8"
	Why     string `json:"why"`
}

// Kind returns the first word of the phase's name: "sample" for every expert.
func (p Phase) Kind() string {
	kind, _, _ := strings.Cut(p.Name, " ")
	return kind
}

// Size writes a size as people read it, in powers of ten.
func Size(bytes int64) string {
	switch {
	case bytes >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(bytes)/1e9)
	case bytes >= 1e6:
		return fmt.Sprintf("%.1f MB", float64(bytes)/1e6)
	}
	return fmt.Sprintf("%.1f kB", float64(bytes)/1e3)
}

// FLOPs returns the floating-point operations of all phases.
func (p Plan) FLOPs() (n int64) {
	for _, phase := range p.Phases {
		n += phase.Work.FLOPs()
	}
	return n
}
