package plan

import (
	"fmt"
	"slices"
	"strconv"

	"gimbal/inference"
)

// option is a change of settings that saves memory.
type option struct {
	setting, value string
	cost           string // what is lost by it
	apply          func(*inference.Job) bool
}

// options lists them in order of harm: first those that change no number, then those
// that change them a little.
var options = []option{
	{"vae_chunk_size", "1", "the VAE fills a large device less well", func(j *inference.Job) bool {
		applied := j.VAEChunk == 1 && j.VAEChunkThreshold == 0
		j.VAEChunk, j.VAEChunkThreshold = 1, 0
		return !applied
	}},
	{"attention_dtype", "bf16", "the keys and values that are remembered are rounded to 16 bits", func(j *inference.Job) bool {
		applied := j.Causal.Mode == "" || j.AttentionDType == "bf16" || j.AttentionDType == "f16"
		if !applied {
			j.AttentionDType = "bf16"
		}
		return !applied
	}},
	{"quant", "bf16", "weights of F32 are rounded to 16 bits, as the reference reads them", func(j *inference.Job) bool {
		applied := j.Quant != inference.QuantNone
		j.Quant = inference.QuantBF16
		return !applied
	}},
	{"quant", "int8", "weights are rounded to 8 bits", func(j *inference.Job) bool {
		applied := j.Quant != inference.QuantNone && j.Quant != inference.QuantBF16
		j.Quant = inference.QuantINT8
		return !applied
	}},
	{"local_attn_size", strconv.Itoa(window), fmt.Sprintf("a chunk sees %d latent frames, %d of them the video's first", window, sink), func(j *inference.Job) bool {
		applied := j.Causal.Mode != inference.CausalFast || j.Window > 0 || j.Chunk+sink > window
		if !applied {
			j.Window, j.Sink = window, sink
		}
		return !applied
	}},
	{"quant", "nf4", "weights are rounded to 4 bits", func(j *inference.Job) bool {
		applied := j.Quant == inference.QuantNF4 || j.Quant == inference.QuantNF4Double
		j.Quant = inference.QuantNF4
		return !applied
	}},
	tiles(512), tiles(384), tiles(256), tiles(128),
}

// The window of causal models that their makers recommend, in latent frames.
const window, sink = 18, 6

// tiles cuts the VAE's pictures into tiles of a side.
func tiles(side int) option {
	return option{"vae_tile", strconv.Itoa(side), "the VAE sees a part of the picture at a time", func(j *inference.Job) bool {
		previous := j.VAETile
		j.VAETile = side
		return previous == 0 || previous > side
	}}
}

// chooser finds settings that fit.
type chooser struct {
	plan   func(inference.Job) (inference.Plan, error)
	excess func(inference.Plan) int64 // bytes over the limit, of all phases together; 0 for a plan that fits
	from   []option
}

// choose applies options as long as the plan does not fit: it keeps those that help, and
// in the end drops the ones that later ones made needless.
func (c chooser) choose(job inference.Job, p inference.Plan) (inference.Job, inference.Plan, []option, error) {
	start, applied := job, []option{}
	for _, o := range c.from {
		if c.excess(p) == 0 {
			break
		}
		next := job
		if !o.apply(&next) {
			continue
		}
		q, err := c.plan(next)
		if err != nil {
			return job, p, nil, err
		}
		if c.excess(q) < c.excess(p) {
			job, p, applied = next, q, append(applied, o)
		}
	}
	for i := 0; i < len(applied); i++ {
		rest := slices.Delete(slices.Clone(applied), i, i+1)
		less := start
		for _, o := range rest {
			o.apply(&less)
		}
		q, err := c.plan(less)
		if err != nil {
			return job, p, nil, err
		}
		if c.excess(q) <= c.excess(p) {
			job, p, applied = less, q, rest
			i--
		}
	}
	return job, p, applied, nil
}

// overResident is how much the phases are over the limit with their weights, overMemory
// without.
func overResident(p inference.Plan) int64 { return over(p, inference.Phase.Resident) }
func overMemory(p inference.Plan) int64   { return over(p, inference.Phase.Memory) }

func over(p inference.Plan, of func(inference.Phase) int64) (excess int64) {
	for _, phase := range p.Phases {
		if p.Limit > 0 {
			excess += max(0, of(phase)-p.Limit)
		}
	}
	return excess
}

// Fit changes settings of a job, in order of least harm, until it fits with all weights of
// a phase in memory, or none is left: it returns the job with them, its plan, and what
// was chosen and why. Settings that change the numbers, quantisation and the VAE's
// tiles, come last. only names the one setting that may change; "" for all.
func Fit(job inference.Job, only string, plan func(inference.Job) (inference.Plan, error)) (inference.Job, inference.Plan, []inference.Choice, error) {
	first, err := plan(job)
	if err != nil {
		return job, first, nil, err
	}
	c := chooser{plan: plan, excess: overResident, from: slices.DeleteFunc(slices.Clone(options), func(o option) bool {
		return only != "" && o.setting != only || o.setting == "quant" && quantised(job, first) // the checkpoint's own kind stays
	})}
	job, p, applied, err := c.choose(job, first)
	if err != nil {
		return job, p, nil, err
	}
	largest := first.Largest()
	return job, p, choices(applied, func(o option) string {
		return fmt.Sprintf("%s would hold %s with its weights, %s has %s; the price: %s",
			largest.Name, inference.Size(largest.Resident()), first.Device, inference.Size(first.Limit), o.cost)
	}), nil
}

// quantised reports whether the checkpoint itself is.
func quantised(job inference.Job, p inference.Plan) bool {
	return job.Quant == inference.QuantNone && slices.ContainsFunc(p.Parts, func(part inference.Part) bool { return part.Quant != "" })
}

// TooLarge returns a MemoryError for a job, of a video of frames, whose plan does not fit.
// It says which settings would make it fit, but for the quantisation, which a loaded
// model has.
func TooLarge(job inference.Job, frames int, first inference.Plan, plan func(job inference.Job, frames int) (inference.Plan, error)) error {
	c := chooser{
		plan:   func(j inference.Job) (inference.Plan, error) { return plan(j, frames) },
		excess: overMemory,
		from:   slices.DeleteFunc(slices.Clone(options), func(o option) bool { return o.setting == "quant" }),
	}
	job, best, applied, err := c.choose(job, first)
	if err != nil {
		return err
	}
	e := &inference.MemoryError{Plan: first}
	if overMemory(best) > 0 {
		e.Frames, err = fewerFrames(frames, func(n int) (inference.Plan, error) { return plan(job, n) })
		if err != nil {
			return err
		}
	}
	if overMemory(best) == 0 || e.Frames > 0 {
		e.Choices = choices(applied, func(o option) string { return o.cost })
	}
	return e
}

// choices tells of options, but for those that a later one of the same setting replaced.
func choices(applied []option, why func(option) string) (list []inference.Choice) {
	for i, o := range applied {
		if !slices.ContainsFunc(applied[i+1:], func(later option) bool { return later.setting == o.setting }) {
			list = append(list, inference.Choice{Setting: o.setting, Value: o.value, Why: why(o)})
		}
	}
	return list
}

// fewerFrames returns the most frames, 4n+1 and fewer than frames, that fit; 0 if none.
func fewerFrames(frames int, plan func(n int) (inference.Plan, error)) (int, error) {
	g := inference.Wan
	low, high := 0, g.LatentFrames(frames) // latent frames: low fit or are none, high do not
	for high-low > 1 {
		middle := (low + high) / 2
		p, err := plan(g.Frames(middle))
		if err != nil {
			return 0, err
		}
		if overMemory(p) == 0 {
			low = middle
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, nil
	}
	return g.Frames(low), nil
}
