package wan

import (
	"errors"
	"fmt"

	"gimbal/inference/device"
)

// ErrNoCamera says that a camera path was given to a model without a camera branch.
var ErrNoCamera = errors.New("the checkpoint has no camera branch: use one with patch_embedding_wancamctrl, or leave the camera path out")

// Reuse says which results are computed once and kept where the reference
// computes them anew in every forward. The velocity is the same; only time and
// memory differ. Camera takes the most memory: 8*dim bytes per token and block.
type Reuse struct {
	Camera         bool `json:"camera"`          // the camera branch, once a session; of the first blocks only where the device's memory is short
	CrossAttention bool `json:"cross_attention"` // the text's projection, keys and values, once a context
	Time           bool `json:"time"`            // one time embedding, not one per token
	Padding        bool `json:"padding"`         // one key for all padding of a text, not one per position
}

// AllReuse computes nothing twice.
var AllReuse = Reuse{Camera: true, CrossAttention: true, Time: true, Padding: true}

// Input is what a session is about: the clip's size and conditioning. Tensors are
// row-major. On a dry device they may be nil.
type Input struct {
	F, H, W  int       // frames, rows and columns of the latent, multiples of the patch
	Y        []float32 // image conditioning, [in_dim-out_dim, F, H, W]
	Contexts []Context // text contexts, one per pass of a step
	Camera   bool      // with a camera path
	Plucker  []float32 // camera rays, [camera channels, F, H, W]; nil without a camera path
	Reuse    Reuse
	// Residuals keeps what the blocks add, of so many of the contexts from the first on, for
	// Skip: 4*dim bytes per token and context.
	Residuals int
	// Cache makes the session causal: F are the frames of a chunk, and Y and Plucker are left
	// out, for they come with each call of Chunk. nil for a whole video at once.
	Cache *Cache

	// AttentionType is the type of queries, keys and values, F32, F16 or BF16; 0 for F32.
	// Sums are F32 either way.
	AttentionType device.DType
}

// Context is a text as its encoder gives it.
type Context struct {
	Tokens int       // real ones, up to text_len
	States []float32 // [Tokens, text dim]
}

// grid returns the latent's size in patches.
func (m *Model) grid(in Input) (grid, error) {
	size := [3]int{in.F, in.H, in.W}
	var patches [3]int
	for i, name := range []string{"frames", "rows", "columns"} {
		patches[i] = size[i] / m.Patch[i]
		if size[i] < 1 || size[i]%m.Patch[i] != 0 || patches[i] > maxPositions {
			return grid{}, fmt.Errorf("latent of %d %s: expected a multiple of %d up to %d",
				size[i], name, m.Patch[i], m.Patch[i]*maxPositions)
		}
	}
	return grid{patches[0], patches[1], patches[2], m.Patch[0], m.Patch[1], m.Patch[2]}, nil
}

// check returns an error unless in, which has a grid, goes with the model.
func (m *Model) check(in Input) error {
	if in.Cache != nil {
		if err := in.Cache.check(in.F / m.Patch[0]); err != nil {
			return err
		}
		if in.Y != nil || in.Plucker != nil {
			return errors.New("conditioning of a whole video for a causal session, which takes that of a chunk")
		}
	} else if err := m.checkConditioning(in); err != nil {
		return err
	}
	if in.Residuals < 0 || in.Residuals > len(in.Contexts) || in.Residuals > 0 && in.Cache != nil {
		return fmt.Errorf("residuals of %d of %d text contexts, and none in a causal session", in.Residuals, len(in.Contexts))
	}
	switch in.AttentionType {
	case 0, device.F32, device.F16, device.BF16:
	default:
		return fmt.Errorf("attention in %v, expected F32, F16 or BF16", in.AttentionType)
	}
	return m.checkContexts(in.Contexts)
}

func (m *Model) checkContexts(contexts []Context) error {
	if len(contexts) == 0 {
		return errors.New("text contexts: found none, expected at least one")
	}
	for i, c := range contexts {
		if c.Tokens < 0 || c.Tokens > m.Config.TextLen {
			return fmt.Errorf("text context %d: found %d tokens, expected up to %d", i, c.Tokens, m.Config.TextLen)
		}
		if err := m.checkTensor(fmt.Sprintf("text context %d", i), c.States, c.Tokens, m.TextDim); err != nil {
			return err
		}
	}
	return nil
}

// checkConditioning returns an error unless picture and camera rays are of the input's size.
func (m *Model) checkConditioning(in Input) error {
	if err := m.checkTensor("image conditioning", in.Y, m.Config.InDim-m.Config.OutDim, in.F, in.H, in.W); err != nil {
		return err
	}
	if !in.Camera {
		if in.Plucker != nil {
			return errors.New("camera rays without a camera path")
		}
		return nil
	}
	if m.CameraChannels == 0 {
		return ErrNoCamera
	}
	return m.checkTensor("camera rays", in.Plucker, m.CameraChannels, in.F, in.H, in.W)
}

// checkTensor returns an error unless there are as many values as shape asks for, or none
// on a dry device.
func (m *Model) checkTensor(what string, values []float32, shape ...int) error {
	want := device.Desc{Shape: shape}.Len()
	if len(values) == want || values == nil && m.dev.Info().Dry {
		return nil
	}
	return fmt.Errorf("%s: found %d values, expected %v, %d", what, len(values), shape, want)
}
