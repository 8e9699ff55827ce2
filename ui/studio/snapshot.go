package studio

import (
	"image"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/library"
	"gimbal/inference/queue"
)

// Snapshot is the state of the main window at one moment. Nothing in it changes
// afterwards: what it holds may be kept and read from any goroutine, and must not
// be written to.
type Snapshot struct {
	Version uint64 // grows with every change
	Form    Form
	Model   Model
	Device  Device
	Server  Server
	Presets []Preset
	Recents []Recent // pictures used before, the newest first
	queue.State
	Stage    Stage
	Library  Library
	Walk     Walk
	Exports  []Export
	Get      Get
	Notices  []Notice // the oldest first
	Settings Settings
}

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
	// CanUndo and CanRedo say that the user's changes can be taken back.
	CanUndo, CanRedo bool

	Picture        Picture
	Camera         CameraPath
	Tokens         engine.Tokens // of the prompt; a limit of 0 while they cannot be counted
	NegativeTokens engine.Tokens
	Frames         int      // that the video will have: fewer where the camera path is shorter
	Seconds        float64  // of video
	Width, Height  int      // pixels of the video; 0 while there is no picture
	FewSteps       int      // that a LoRA is distilled to, where the form's settings are others; 0 for none
	Estimate       Estimate // of one video
	Against        *Wanted  // what the next video is made twice for, to be compared; nil for nothing

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

// Model is the checkpoint that runs.
type Model struct {
	engine.Model
	Demo     bool   // the demo model is used
	Server   string // address of the server that has the model of Folder; "" for this machine
	Folder   string // the model folder that was chosen, or the name of a server's model; "" for none
	Checking bool
	Missing  bool // its folder is not there
	// Assets is the folder, other than the model's own, that its text encoder and VAE are
	// taken from; LacksAssets says that it has none and nothing else is wrong.
	Assets      string
	LacksAssets bool
	Details     string // why it cannot be used; "" if it can
}

// Device is the machine that runs the model.
type Device struct {
	engine.Device
	Ready bool // false while it opens
	Error string
}

// Estimate is what a run will take on this device.
type Estimate struct {
	Known    bool
	Time     inference.Estimate
	Memory   int64         // bytes at the most that the system cannot drop
	Resident int64         // the same with the weights, which are read again if they are dropped
	Fit      inference.Fit // how that compares with what the device has
	Error    string        // why it is not known
}

// Preset is a named set of settings.
type Preset struct {
	ID       string // for UsePreset; of the built-in ones "quick", "production", "full" and "demo"
	Name     string // of one's own; for the built-in ones in English
	Builtin  bool
	Values   inference.Job // without what presets do not hold: picture, path, prompts, seed and outputs
	Current  bool          // the form holds just these values
	Estimate Estimate
}

// Stage is the video on the right side of the window.
type Stage struct {
	Entry   library.Entry  // of the video; its ID is "" for none
	Video   *library.Video // nil while it loads and if its frames are gone
	Loading bool
	Camera  CameraPath // the path on which it was made, for the marker that follows playback
	// Compared are the videos that are shown side by side, the one of Entry first; nil for it alone.
	Compared []Compared
}

// Compared is one of several videos on the stage.
type Compared struct {
	Entry library.Entry
	Video *library.Video // nil while it loads
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
