package live

import (
	"image"
	"time"
)

// Phase says what a session is at.
type Phase string

// The phases.
const (
	Opening Phase = "opening" // the model is opened, or what it remembers is brought back
	Ready   Phase = "ready"   // it waits for somebody to do something
	Walking Phase = "walking"
	Failed  Phase = "failed" // State.Err says why; what was made is kept
)

// State is what a session is at. What it holds does not change.
type State struct {
	Phase   Phase
	Err     error
	Paused  bool
	Waiting bool // for somebody to do something

	Width, Height int // of pictures
	ChunkFrames   int // pictures of a chunk, of all but the first

	Held   Input // what will act at the next chunk
	Acting Input // what acts in the chunk that is made, or was made last

	Prompt   string // of the next chunk
	Encoding bool   // a newer one is being encoded
	NoPrompt error  // why a newer one cannot be used

	At    int   // chunk that the walk goes on from; -1 for the beginning
	Chunk int   // that is seen; -1 for what the walk begins with
	Way   []int // chunks from the first to the last of the way that the walk is on
	Ways  []Way

	Replayed, Replay int // chunks that were brought back, of how many; 0 for nothing to bring back

	Ahead   float64       // chunks that are made and not seen yet
	FPS     float64       // pictures in a second, lately
	Latency time.Duration // from the last change of the input, or the end of Opening, to the first picture that shows it
	Made    time.Duration // that the last chunk took, without its pictures
	Memory  int64         // bytes
}

// Picture is a picture of the walk when it is to be seen.
type Picture struct {
	Image *image.RGBA
	Chunk int // its number in State.Way's terms; -1 for what the walk begins with
	Index int // in the chunk
	// Latency is that from a change of the input, on the first picture that shows it; else 0.
	Latency time.Duration
}
