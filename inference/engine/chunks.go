package engine

import (
	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/denoise"
	"gimbal/inference/noise"
	"gimbal/inference/wan"
)

// chunks is what a causal run knows beside what all runs do: its video is made chunk by
// chunk, from noise to frames.
type chunks struct {
	inference.Causal
	index []int // of the steps of CausalFast; nil for a whole schedule
	steps int   // of a chunk
	total int
	done  int             // finished
	noise noise.Generator // of what is drawn next; nil when planning
}

// newChunks makes the run of a job one of a causal model, whose variant says what the job
// leaves open: the clip is cut to whole chunks.
func (r *run) newChunks(v Variant) error {
	c := r.job.Causal
	if c.Mode == "" {
		c.Mode = v.Recipe.Mode
	}
	if c.Chunk == 0 {
		c.Chunk = v.Recipe.Chunk
	}
	if c.TimestepsIndex == "" {
		c.TimestepsIndex = v.Recipe.TimestepsIndex
	}
	r.chunks = &chunks{Causal: c, steps: r.job.Steps}
	if c.Mode == inference.CausalFast {
		index, err := c.Steps()
		if err != nil {
			return err
		}
		r.chunks.index, r.chunks.steps = index, len(index)
		r.job.Guidance = inference.Guidance{Low: 1, High: 1} // it was distilled into the model, and the reference has none
		r.guidance = denoise.Guidance{Low: 1, High: 1}
	} else if r.job.NegativePrompt == inference.DefaultNegativePrompt {
		r.job.NegativePrompt = inference.CausalNegativePrompt
	}
	r.job.Causal, r.job.Steps = c, r.chunks.steps
	if err := inference.FindSetting("local_attn_size").Check(r.job); err != nil {
		return err
	}
	asked := r.clip.Frames
	if err := r.clip.Round(c.Chunk); err != nil {
		return &inference.SettingError{Setting: "frame_num", Mistake: inference.Unusable, Err: err}
	}
	if r.clip.Frames < asked {
		r.notice(inference.NoticeFrames, "%d frames instead of %d: the model makes %d latent frames at a time", r.clip.Frames, asked, c.Chunk)
	}
	r.chunks.total = r.clip.LatentFrames / c.Chunk
	return nil
}

// stand gives a causal run without a control a camera that stands still: its model was made
// with one.
func (r *run) stand() error {
	if r.clip.Control != nil {
		return nil
	}
	still, err := clip.Builtin("still", r.clip.Frames)
	if err != nil {
		return &inference.SettingError{Setting: "frame_num", Mistake: inference.Unusable, Err: err}
	}
	r.clip.Control, r.camera = still, true
	return nil
}

// solver returns the solver of the next chunk.
func (c *chunks) solver(job inference.Job, draw func([]float32)) (*denoise.Solver, error) {
	if c.index != nil {
		return denoise.NewFewSteps(denoise.FewSteps{Index: c.index, Shift: job.Shift, Noise: draw})
	}
	return newSolver(job)
}

// cache is what the model remembers.
func (c *chunks) cache(times []float64) *wan.Cache {
	frames := c.Chunk * c.total
	k := &wan.Cache{Frames: frames, Times: append(times, 0)}
	if c.Mode == inference.CausalFast {
		k.Attention = c.MaxAttention
		if c.Window > 0 && c.Window < frames {
			k.Frames, k.Sink = c.Window, c.Sink
		}
	}
	return k
}

// from returns the first latent frame of chunk k.
func (c *chunks) from(k int) int { return k * c.Chunk }

// frames returns how many frames chunk k has.
func (c *chunks) frames(k int) int {
	end := inference.Wan.Frames(c.from(k + 1))
	if k == 0 {
		return end
	}
	return end - inference.Wan.Frames(c.from(k))
}
