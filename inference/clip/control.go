package clip

// Control is what a model is told besides picture and text. It does not change.
type Control interface {
	// EffectiveFrames returns how many frames a video of the requested 4n+1 frames gets.
	EffectiveFrames(requested int) int
	// Channels returns the number of channels of the conditioning: a model takes the
	// control whose number it has.
	Channels() int
	// Conditioning returns what the model reads for a video of frames pictures of height x
	// width pixels: float32 [Channels(), f, height/8, width/8] with f latent frames.
	Conditioning(frames, height, width int) []float32
}

// OpenControl opens the control that a folder holds.
func OpenControl(dir string) (Control, error) { return OpenPath(dir) }
