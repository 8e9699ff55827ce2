package inference

import (
	"image"
	"time"
)

// Event is something that a Pipeline reports while it works: one of the types
// below. Events of one call come in order, from one goroutine at a time.
type Event interface {
	// Kind is the event's name in logs and in JSON, such as "step".
	Kind() string
}

// Loading reports that a part of the checkpoint was opened.
type Loading struct {
	Part  string `json:"part"`  // such as "high_noise_model"
	Bytes int64  `json:"bytes"` // size of the part
	Done  int64  `json:"done"`  // bytes of all parts so far
	Total int64  `json:"total"` // bytes of all parts
}

// Quantizing reports how far the making of an expert's quantised weights is.
type Quantizing struct {
	Part  string `json:"part"`  // such as "high_noise_model"
	Quant string `json:"quant"` // such as "nf4"
	Done  int64  `json:"done"`  // bytes of the weights as they were
	Total int64  `json:"total"`
}

// Quantized reports where an expert's quantised weights are, just made or not.
type Quantized struct {
	Part  string `json:"part"`
	Quant string `json:"quant"`
	File  string `json:"file"` // or folder
	Bytes int64  `json:"bytes"`
}

// Notice is something that the user should know and that is no error.
type Notice struct {
	About NoticeAbout `json:"about"`
	Text  string      `json:"text"` // in English
}

// NoticeAbout says what a Notice is about.
type NoticeAbout string

// What there is to notice.
const (
	NoticePrompt   NoticeAbout = "prompt"   // the model does not read all of it
	NoticeFrames   NoticeAbout = "frames"   // fewer than asked for
	NoticeDecoder  NoticeAbout = "decoder"  // the small one cannot be used
	NoticeCamera   NoticeAbout = "camera"   // the control is not quite what it seems
	NoticeReloads  NoticeAbout = "reloads"  // weights do not stay in memory
	NoticeResumed  NoticeAbout = "resumed"  // what is done once more
	NoticeDevice   NoticeAbout = "device"   // the run began on another one, or the system stopped its work
	NoticeExpert   NoticeAbout = "expert"   // one does the steps of both
	NoticeTensors  NoticeAbout = "tensors"  // some of the checkpoint are not used
	NoticeLoRA     NoticeAbout = "lora"     // not all of it is of this model
	NoticeGuidance NoticeAbout = "guidance" // which scale is whose
	NoticeCache    NoticeAbout = "cache"    // what it goes by is not quite of this run
)

// Planned reports what the job will take.
type Planned struct {
	Plan    Plan     `json:"plan"`
	Choices []Choice `json:"choices,omitempty"` // settings that were chosen for the user
}

// Waiting reports that a server has the run, and how many videos it makes before.
type Waiting struct {
	Before int    `json:"before"`
	RunDir string `json:"run_dir"` // from which the run goes on, for Resume
}

// Connection reports that the server that makes the video cannot be reached, or can be again.
// The video goes on there meanwhile.
type Connection struct {
	Server string `json:"server"` // its address
	Away   bool   `json:"away"`
	Why    string `json:"why,omitempty"` // it is away
}

// Prepared reports what the job comes to, before any long work.
type Prepared struct {
	Width       int    `json:"width"`
	Height      int    `json:"height"`
	Frames      int    `json:"frames"`
	LatentShape [4]int `json:"latent_shape"`
	RunDir      string `json:"run_dir"` // where the run's state is kept, for Resume
	FirstStep   int    `json:"first_step"`
	Steps       int    `json:"steps"`
}

// Preparing reports how far the device is with making and timing the kernels that suit it
// best, beside the work; of what it knows of so far.
type Preparing struct {
	Done    int     `json:"done"`
	Total   int     `json:"total"`
	Seconds float64 `json:"seconds"` // since that began
}

// TextEncoded reports that the prompts were encoded; of a run on a server, nothing more is known.
type TextEncoded struct {
	Tokens         int     `json:"tokens"`
	NegativeTokens int     `json:"negative_tokens"`
	Seconds        float64 `json:"seconds"`
}

// PictureEncoded reports that the starting picture was encoded, likewise.
type PictureEncoded struct {
	Seconds float64 `json:"seconds"`
}

// Step reports a finished step.
type Step struct {
	Index     int           `json:"index"` // 1 for the first step
	Total     int           `json:"total"`
	Expert    string        `json:"expert"` // "high_noise_model", "low_noise_model" or "causal_model"
	Timestep  float64       `json:"timestep"`
	Passes    int           `json:"passes"` // of the expert
	Seconds   float64       `json:"seconds"`
	Elapsed   time.Duration `json:"elapsed_ns"`
	Remaining time.Duration `json:"remaining_ns"`
	// Preview shows what the model expects the video to be, one small picture for
	// each latent frame; of a causal model, for those so far.
	Preview []image.Image `json:"-"`
}

// Decoding reports how many frames of the video are decoded and written.
type Decoding struct {
	Frames int `json:"frames"`
	Total  int `json:"total"`
}

// Chunk reports that a causal model finished a part of the video, whose frames are written.
type Chunk struct {
	Index  int `json:"index"` // 1 for the first chunk
	Total  int `json:"total"`
	Frames int `json:"frames"` // of the video so far

	PictureSeconds float64 `json:"picture_seconds"` // of encoding the picture's part, but for that of the first chunk
	DecodeSeconds  float64 `json:"decode_seconds"`
	// Picture is the last frame so far; nil where frames are written later.
	Picture image.Image `json:"-"`
}

// Frame reports that a frame of the video is decoded and written.
type Frame struct {
	Index   int         `json:"index"` // 1 for the first frame
	Total   int         `json:"total"`
	Picture image.Image `json:"-"`
}

// Saved reports the files of the finished video.
type Saved struct {
	Video        string  `json:"video"`
	ContactSheet string  `json:"contact_sheet"`
	Sidecar      string  `json:"sidecar"`
	Seconds      float64 `json:"seconds"` // of the whole call
}

// Kind implements Event.
func (Loading) Kind() string { return "loading" }

// Kind implements Event.
func (Quantizing) Kind() string { return "quantizing" }

// Kind implements Event.
func (Quantized) Kind() string { return "quantized" }

// Kind implements Event.
func (Notice) Kind() string { return "notice" }

// Kind implements Event.
func (Planned) Kind() string { return "planned" }

// Kind implements Event.
func (Waiting) Kind() string { return "waiting" }

// Kind implements Event.
func (Connection) Kind() string { return "connection" }

// Kind implements Event.
func (Prepared) Kind() string { return "prepared" }

// Kind implements Event.
func (Preparing) Kind() string { return "preparing" }

// Kind implements Event.
func (TextEncoded) Kind() string { return "text_encoded" }

// Kind implements Event.
func (PictureEncoded) Kind() string { return "picture_encoded" }

// Kind implements Event.
func (Step) Kind() string { return "step" }

// Kind implements Event.
func (Decoding) Kind() string { return "decoding" }

// Kind implements Event.
func (Chunk) Kind() string { return "chunk" }

// Kind implements Event.
func (Frame) Kind() string { return "frame" }

// Kind implements Event.
func (Saved) Kind() string { return "saved" }
