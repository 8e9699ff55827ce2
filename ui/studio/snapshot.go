package studio

import (
	"image"
	"time"

	"gimbal/inference/library"
	"gimbal/inference/plan"
	"gimbal/inference/weights"
)

// Snapshot is the state of the main window at one moment. Nothing in it changes
// afterwards: what it holds may be kept and read from any goroutine, and must not
// be written to.
type Snapshot struct {
	Version  uint64 // grows with every change
	Form     Form
	Model    Model
	Device   Device
	Presets  []Preset
	Recents  []Recent // pictures used before, the newest first
	Run      Run      // the run under way, or the last one
	Queue    []library.Entry
	Stage    Stage
	Library  Library
	Exports  []Export
	Notices  []Notice // the oldest first
	Settings Settings
}

// Busy reports whether a run is under way or waiting, so that quitting asks.
func (s Snapshot) Busy() bool { return s.Run.Active() || len(s.Queue) > 0 }

// Form is the left side of the window.
type Form struct {
	// Revision grows when fields change otherwise than by Edit: a preset, a drop, the
	// dice. A window then sets its entries anew, and leaves them alone otherwise.
	Revision uint64
	Inputs   Inputs
	Problems []Problem // of all fields, errors first
	// Attempted says that Generate was asked for and refused: a window that held
	// back problems of fields never touched shows them now.
	Attempted bool
	Checking  bool // files are being read; problems may follow
	// CanRun says that there is no problem of level Error. Generate may be called all
	// the same: it tells what is missing, and tries again what failed.
	CanRun bool

	Picture        Picture
	Camera         CameraPath
	Tokens         Tokens // of the prompt
	NegativeTokens Tokens
	Frames         int     // that the video will have: fewer where the camera path is shorter
	Seconds        float64 // of video
	Width, Height  int     // pixels of the video; 0 while there is no picture
	Estimate       Estimate

	typed map[Field]string
}

// Text returns what an entry for the field holds: what was typed, right or wrong,
// or else the value as text.
func (f Form) Text(field Field) string {
	if text, ok := f.typed[field]; ok {
		return text
	}
	return f.Inputs.text(field)
}

// Of returns the problems of one field.
func (f Form) Of(field Field) []Problem {
	var found []Problem
	for _, p := range f.Problems {
		if p.Field == field {
			found = append(found, p)
		}
	}
	return found
}

// Tokens counts a prompt's tokens. Limit is 0 while they cannot be counted.
type Tokens struct {
	N     int
	Limit int // how many the model reads
}

// Picture is the chosen picture as it was found.
type Picture struct {
	Path          string
	Checking      bool
	Width, Height int         // pixels; 0 if it cannot be read
	Thumb         image.Image // at most ThumbSize pixels wide and high; nil if there is none
}

// ThumbSize bounds the width and height of thumbnails, in pixels.
const ThumbSize = 256

// Recent is a picture that was used before.
type Recent struct {
	Path  string
	Thumb image.Image // nil while it loads
}

// Point is where the camera is at one latent frame, as the model sees it: relative
// to the first frame, in units of the longest step between two latent frames. Axes
// are x right, y down, z forward of the first frame's camera.
type Point struct {
	X, Y, Z float64
	// Forward is the direction in which the camera looks, of length 1.
	Forward [3]float64
}

// CameraPath is the chosen camera path as the model will see it.
type CameraPath struct {
	Kind      CameraKind
	Path      string // the action folder
	Name      string // of a built-in path
	Checking  bool
	Poses     int     // in the folder; 0 if it cannot be read
	Frames    int     // of a video of the form's frames on this path
	Points    []Point // one a latent frame; for a top view draw X and Z, for a side view Z and Y
	Scale     float64 // length of the longest step, in the path's units
	SpeedLost bool    // the model is not told how long the steps are
	ZoomLost  bool    // the model is told the first intrinsics only
}

// At returns where the camera is at a frame of the video, between the points.
func (c CameraPath) At(frame float64) Point { return interpolate(c.Points, frame) }

// Model is the checkpoint that runs.
type Model struct {
	Demo     bool   // the demo model is used
	Folder   string // the model folder that was chosen; "" for none
	Checking bool
	Whole    bool // every part is there and fits
	// HasCamera says that the model follows camera paths.
	HasCamera bool
	Parts     []Part
	Cached    []weights.Quant // quantised weights that are there already
	Error     string          // why it cannot be used; "" if it can
	Details   string
}

// Part is one part of a checkpoint.
type Part struct {
	Name  string // such as "high_noise_model", "text encoder", "tokenizer" or "VAE"
	Path  string // "" if it is not there
	Bytes int64
	Error string // what is wrong with it, or why it is missed; "" if nothing is
}

// Device is the machine that runs the model.
type Device struct {
	Ready bool   // false while it opens
	Name  string // such as "Apple M3 Ultra"
	Limit int64  // bytes of memory that a run may use; 0 if not known
	Error string
	// Unsupported holds, for each quantisation that this device cannot run, why.
	Unsupported map[weights.Format]string
}

// Estimate is what a run will take on this device.
type Estimate struct {
	Known    bool
	Time     time.Duration // the likely one; 0 if not known
	TimeLow  time.Duration
	TimeHigh time.Duration
	Memory   int64    // bytes at the most that the system cannot drop
	Resident int64    // the same with the weights, which are read again if they are dropped
	Fit      plan.Fit // how that compares with what the device has
	Disk     int64    // bytes written, for good or for a while
	Phases   []PhaseEstimate
	Notices  []string // in English
	Error    string   // why it is not known
}

// PhaseEstimate is the estimate of one phase.
type PhaseEstimate struct {
	Name   string // as plan.Phase has it: "text", "picture", "sample low_noise_model", "decode" and others
	Time   time.Duration
	Memory int64
}

// Preset is a named set of settings.
type Preset struct {
	ID       string // for UsePreset; of the built-in ones "quick", "production", "full" and "demo"
	Name     string // of one's own; for the built-in ones in English
	Builtin  bool
	Values   Values
	Current  bool // the form holds just these values
	Estimate Estimate
}

// Phase says what a run is doing.
type Phase string

// The phases, in their order.
const (
	PhaseNone       Phase = ""           // no run yet
	PhaseStarting   Phase = "starting"   // inputs are kept and the device is opened
	PhaseLoading    Phase = "loading"    // the checkpoint is opened
	PhaseQuantizing Phase = "quantizing" // quantised weights are made
	PhaseText       Phase = "text"       // the prompts are encoded
	PhasePicture    Phase = "picture"    // the picture is encoded
	PhaseSampling   Phase = "sampling"   // the steps
	PhaseDecoding   Phase = "decoding"   // the frames are decoded and written
	PhaseCancelling Phase = "cancelling" // Cancel was asked for
	PhaseFinished   Phase = "finished"   // Entry.State says how
)

// Run is the run under way, or the last one since the start.
type Run struct {
	Entry library.Entry
	Phase Phase

	Part             string // being loaded or quantised
	DoneBytes, Total int64  // of loading or quantising
	Step, Steps      int    // finished, and of all
	FirstStep        int    // 1, or more for a resumed run
	Expert           string // "high_noise_model" or "low_noise_model"
	StepSeconds      float64
	Decoded, Frames  int // of decoding
	Elapsed          time.Duration
	Remaining        time.Duration // -1 while it is not known
	Fraction         float64       // of the whole run, 0 to 1
	Memory           Memory
	Preview          []image.Image // what the video will be, one small picture a latent frame
	Messages         []string      // the engine's notices, in English
	Code             Code          // why it failed; "" if it did not
	Error            string        // the same in English
	Details          string        // to read and to copy
}

// Active reports whether the run is under way.
func (r Run) Active() bool { return r.Phase != PhaseNone && r.Phase != PhaseFinished }

// Memory is what the program uses, in bytes.
type Memory struct {
	Device  int64 // allocated on the device
	Limit   int64 // of the device; 0 if not known
	Process int64 // resident
}

// Stage is the video on the right side of the window.
type Stage struct {
	Entry   library.Entry  // of the video; its ID is "" for none
	Video   *library.Video // nil while it loads and if its frames are gone
	Loading bool
	Camera  CameraPath // the path on which it was made, for the marker that follows playback
}

// Library is the list of runs.
type Library struct {
	Query   string
	Entries []library.Entry // those that match Query, the newest first
	Total   int             // without Query
}

// Export is an export under way.
type Export struct {
	ID    library.ID
	Path  string
	Kind  library.ExportKind
	Done  int
	Total int
}
