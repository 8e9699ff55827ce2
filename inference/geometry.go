package inference

// Geometry says what a latent stands for: the strides of Wan 2.1's VAE and the patch of
// the transformer.
type Geometry struct {
	FrameStride int // frames of a latent frame, but for the first, which stands for one
	Stride      int // pixels, in both directions, of a latent pixel
	Patch       int // latent pixels, in both directions, of a token
}

// Wan is the geometry of Wan 2.1 and 2.2 and of all that descend from them.
var Wan = Geometry{FrameStride: 4, Stride: 8, Patch: 2}

// maxLatentFrames is what the rotary embedding has positions for.
const maxLatentFrames = 1024

// Frames returns the length of a video of f latent frames.
func (g Geometry) Frames(f int) int { return (f-1)*g.FrameStride + 1 }

// LatentFrames returns the latent frames of a video.
func (g Geometry) LatentFrames(frames int) int { return (frames-1)/g.FrameStride + 1 }

// MaxFrames is the length of the longest video.
func (g Geometry) MaxFrames() int { return g.Frames(maxLatentFrames) }
