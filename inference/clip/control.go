package clip

import (
	"gimbal/inference"
)

// The channels of what a model may be told beside picture and text, by which a model says
// what it reads: for each of the 8x8 pixels of a latent pixel, a camera model reads six
// components of a ray, an act model the three of its direction and the keys W, A, S and D.
var (
	CameraChannels = 6 * cells
	ActChannels    = (3 + len(WASD{})) * cells
)

var cells = inference.Wan.Stride * inference.Wan.Stride

// Control steers a clip. It does not change.
type Control interface {
	// EffectiveFrames returns how many frames a video of the requested 4n+1 frames gets.
	EffectiveFrames(requested int) int
	// Check says why the control cannot steer a video of so many frames by a model that
	// reads so many channels; nil if it can.
	Check(channels, frames int) error
	// Conditioning returns what a model of so many channels reads. It panics unless Check
	// is content.
	Conditioning(channels int, v View) []float32
	// Notes are what a person should know of the control in a video of so many frames.
	Notes(frames int) []Note
}

// View is what is looked at of a control.
type View struct {
	Frames        int // of the video, 4n+1: the part of the control that is told
	LatentFrames  int // in which it is told, evenly: (Frames-1)/4+1, or fewer
	Height, Width int // of a picture in pixels, multiples of 8
	From, To      int // the latent frames that are returned
}

// Note is something that a person should know of a control and that is no error.
type Note struct {
	About NoteAbout
	Args  map[string]any
	Text  string // the same in English
}

// NoteAbout says what a Note is about.
type NoteAbout string

// What there is to note, and its Args.
const (
	NoteIntrinsicsGuessed NoteAbout = "intrinsics_guessed" // none were given
	NoteIntrinsicsScaled  NoteAbout = "intrinsics_scaled"  // Width, Height: they were for a picture of this size
	NoteOffCentre         NoteAbout = "off_centre"         // X, Y: seem to be for a picture of another size
	NoteNearestRotations  NoteAbout = "nearest_rotations"  // N, Frame, Error: they were not exact
	NoteScaledRotations   NoteAbout = "scaled_rotations"   // N, Frame, Scale
	NoteGaps              NoteAbout = "gaps"               // N: frames without a pose lie between those around them
	NoteFromKeys          NoteAbout = "from_keys"          // poses are made of keys
	NoteJump              NoteAbout = "jump"               // Frame, Times: a step so many times as long as all others
	NoteSpeedLost         NoteAbout = "speed_lost"         // Scale
	NoteZoomLost          NoteAbout = "zoom_lost"
)

// OpenControl opens the control that a job names: its camera path, its keys, or both. It
// returns nil for none.
func OpenControl(job inference.Job) (Control, error) {
	p, err := OpenJob(job)
	if p == nil {
		return nil, err
	}
	return p, err
}
