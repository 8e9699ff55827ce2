package queue

import (
	"image"
	"slices"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/library"
)

// Phase says what a run is doing.
type Phase string

// The phases, in their order.
const (
	Idle            Phase = ""           // no run yet
	Starting        Phase = "starting"   // the device is opened
	Waiting         Phase = "waiting"    // on a server, which makes others first
	Loading         Phase = "loading"    // the checkpoint is opened
	Quantizing      Phase = "quantizing" // quantised weights are made
	EncodingText    Phase = "text"
	EncodingPicture Phase = "picture"
	Sampling        Phase = "sampling"
	Decoding        Phase = "decoding" // and writing the video
	Cancelling      Phase = "cancelling"
	Finished        Phase = "finished" // Entry.State says how
)

// Run is a run under way, or one that has ended.
type Run struct {
	Entry library.Entry
	Phase Phase

	Before           int    // how many videos the server makes first, while it is Waiting
	Away             bool   // the server cannot be reached now; the run goes on there
	Part             string // being loaded or quantised
	DoneBytes, Total int64  // of loading or quantising
	Step, Steps      int    // finished, and of all
	FirstStep        int    // 1, or more for a resumed run
	Expert           string // "high_noise_model" or "low_noise_model"
	StepSeconds      float64
	Decoded, Frames  int                 // of decoding
	Preparing        inference.Preparing // of the device, beside the phase
	Elapsed          time.Duration
	Remaining        time.Duration // -1 while it is not known
	Fraction         float64       // of the whole run, 0 to 1
	Memory           Memory
	Frame            image.Image   // of the video, the last that was decoded; nil while there are steps
	Preview          []image.Image // what the video will be, one small picture per latent frame
	Notices          []inference.Notice
	Err              error // why it failed; nil if it did not
}

// Active reports whether the run is under way.
func (r Run) Active() bool { return r.Phase != Idle && r.Phase != Finished }

// Memory is what the program uses, in bytes.
type Memory struct {
	engine.Memory
	Process int64 // resident
}

// clock is what the times of a run are reckoned from.
type clock struct {
	started   time.Time
	step      time.Time     // of the last step
	remaining time.Duration // at that time; -1 if not known
	decoding  time.Time     // when the first frame was there
	plan      inference.Plan
}

// apply takes over what an event says.
func (r *Run) apply(e inference.Event, c *clock, now time.Time) {
	switch e := e.(type) {
	case inference.Loading:
		r.Phase, r.Part, r.DoneBytes, r.Total = Loading, e.Part, e.Done, e.Total
	case inference.Quantizing:
		r.Phase, r.Part, r.DoneBytes, r.Total = Quantizing, e.Part, e.Done, e.Total
	case inference.Planned:
		c.plan = e.Plan
	case inference.Notice:
		r.Notices = append(slices.Clip(r.Notices), e)
	case inference.Waiting:
		r.Phase, r.Before, r.Entry.RunDir, r.Entry.State = Waiting, e.Before, e.RunDir, library.Queued
	case inference.Connection:
		r.Away = e.Away
	case inference.Prepared:
		r.Phase, r.Step, r.Steps, r.FirstStep, r.Frames = EncodingText, e.FirstStep-1, e.Steps, e.FirstStep, e.Frames
		if e.FirstStep > e.Steps {
			r.Phase = Decoding
		}
		r.Entry.Width, r.Entry.Height, r.Entry.Frames, r.Entry.RunDir, r.Entry.State = e.Width, e.Height, e.Frames, e.RunDir, library.Running
	case inference.Preparing:
		r.Preparing = e
	case inference.TextEncoded:
		r.Phase = EncodingPicture
	case inference.PictureEncoded:
		r.Phase = Sampling
	case inference.Step:
		r.Phase, r.Step, r.Steps, r.Expert, r.StepSeconds = Sampling, e.Index, e.Total, e.Expert, e.Seconds
		r.Entry.Steps, r.Preview, r.Frame = e.Index, e.Preview, nil
		c.step, c.remaining = now, e.Remaining
		if e.Index == e.Total {
			r.Phase = Decoding
		}
	case inference.Frame:
		r.Frame = e.Picture
	case inference.Decoding:
		r.Phase, r.Decoded, r.Frames = Decoding, e.Frames, e.Total
		if c.decoding.IsZero() {
			c.decoding = now
		}
		if e.Frames > 1 {
			c.step, c.remaining = now, now.Sub(c.decoding)/time.Duration(e.Frames-1)*time.Duration(e.Total-e.Frames)
		}
	}
}

// The shares of a run's progress bar that lie before its first and after its last step.
const (
	shareBefore = 0.05
	shareAfter  = 0.10
)

// reckon finds elapsed and remaining time and the bar.
func (r *Run) reckon(c clock, now time.Time) {
	r.Elapsed, r.Remaining = now.Sub(c.started), -1
	if r.Away {
		return // who knows
	}
	switch planned := c.plan.Time.Likely; {
	case c.remaining < 0 && planned > 0 && r.Phase != Quantizing:
		r.Remaining = max(0, planned-r.Elapsed)
	case c.remaining >= 0:
		r.Remaining = max(0, c.remaining-now.Sub(c.step))
		if r.Step < r.Steps {
			r.Remaining += c.decode()
		}
	}
	bar := (1 - shareBefore - shareAfter) * float64(r.Step) / float64(max(1, r.Steps))
	switch r.Phase {
	case Starting, Waiting, Loading, Quantizing:
		bar = 0
	case EncodingText, EncodingPicture:
		bar += shareBefore / 2
	default:
		bar += shareBefore + shareAfter*float64(r.Decoded)/float64(max(1, r.Frames))
	}
	r.Fraction = max(r.Fraction, bar)
}

// decode returns how long the decoding will take, 0 if not known.
func (c clock) decode() time.Duration {
	for _, p := range c.plan.Phases {
		if p.Kind() == "decode" {
			return p.Time.Likely
		}
	}
	return 0
}
