package inference

import (
	"fmt"
	"strconv"
	"strings"
)

// The ways to sample a causal model, Causal.Mode. Without one a job is for the experts of a
// bidirectional model.
const (
	CausalFast     = "causal_fast"     // a few steps for a chunk, at entries of a long schedule
	CausalPretrain = "causal_pretrain" // a whole schedule for a chunk, with guidance
)

// Causal is how a causal model wants to be sampled, which makes a video chunk by chunk. The
// zero value is for models that make it in one go.
type Causal struct {
	Mode  string `json:"infer_mode,omitempty"`
	Chunk int    `json:"chunk_size,omitempty"` // latent frames of a chunk
	// TimestepsIndex are the entries of the schedule of 1000 at which CausalFast takes its
	// steps, such as "0,250,500,750".
	TimestepsIndex string `json:"timesteps_index,omitempty"`
	// Window is how many latent frames a chunk looks at, its own among them; 0 or less for
	// all. Sink is how many of them are the video's first.
	Window int `json:"local_attn_size,omitempty"`
	Sink   int `json:"sink_size,omitempty"`
	// MaxAttention is how many tokens of the window a chunk looks at, the latest; 0 for all.
	MaxAttention int `json:"max_attention_size,omitempty"`
	// WordsGuide is how far a walk's cross-attention goes from its old words to its new ones in
	// the first chunks after they changed, 1 being the new ones, for models that are slow to take
	// them up; 0 for 1.
	WordsGuide float64 `json:"words_guide_scale,omitempty"`
}

// Steps returns the entries that TimestepsIndex names.
func (c Causal) Steps() ([]int, error) {
	var list []int
	for word := range strings.SplitSeq(c.TimestepsIndex, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n < 0 || n >= scheduleSteps || len(list) > 0 && n <= list[len(list)-1] {
			return nil, &SettingError{Setting: "timesteps_index", Mistake: Unusable, Found: fmt.Sprintf("%q", c.TimestepsIndex),
				Want: fmt.Sprintf("rising whole numbers from 0 to %d, such as 0,250,500,750", scheduleSteps-1)}
		}
		list = append(list, n)
	}
	return list, nil
}

// scheduleSteps are the entries of the schedule that TimestepsIndex chooses from.
const scheduleSteps = 1000

// maxChunk is the longest chunk, in latent frames; maxCausalFrames the longest causal video.
const (
	maxChunk        = 64
	maxCausalLatent = 1 << 16
)

// MaxFrames is the length of the longest video of a job: a bidirectional model has positions
// for no more, a causal one no such bound.
func (j Job) MaxFrames() int {
	if j.Causal.Mode != "" {
		return Wan.Frames(maxCausalLatent)
	}
	return Wan.MaxFrames()
}

// window is a number of latent frames, or -1 for all.
func window() value {
	v := whole(-1, maxCausalLatent, func(j *Job) *int { return &j.Causal.Window })
	v.check = func(j Job) *SettingError {
		if c := j.Causal; c.Window > 0 && c.Window < c.Chunk+c.Sink {
			return &SettingError{Mistake: Unusable, Found: strconv.Itoa(c.Window),
				Want: fmt.Sprintf("-1, or at least %d: the %d latent frames of a chunk and the %d of the sink, or a chunk would overwrite what it has to see", c.Chunk+c.Sink, c.Chunk, c.Sink)}
		}
		return nil
	}
	return v
}

// timesteps is a list of entries of the schedule.
func timesteps() value {
	v := words(func(j *Job) *string { return &j.Causal.TimestepsIndex })
	v.check = func(j Job) *SettingError {
		if j.Causal.Mode != CausalFast {
			return nil
		}
		if _, err := j.Causal.Steps(); err != nil {
			return err.(*SettingError)
		}
		return nil
	}
	return v
}
