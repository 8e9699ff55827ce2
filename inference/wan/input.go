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
// memory differ. Camera takes the most memory: 8*dim bytes a token and block.
type Reuse struct {
	Camera         bool `json:"camera"`          // the camera branch, once a session; of the first blocks only where the device's memory is short
	CrossAttention bool `json:"cross_attention"` // the text's projection, keys and values, once a context
	Time           bool `json:"time"`            // one time embedding, not one a token
	Padding        bool `json:"padding"`         // one key for all padding of a text, not one a position
}

// AllReuse computes nothing twice.
var AllReuse = Reuse{Camera: true, CrossAttention: true, Time: true, Padding: true}

// Input is what a session is about: the clip's size and conditioning. Tensors are
// row-major.
type Input struct {
	F, H, W  int         // frames, rows and columns of the latent, multiples of the patch
	Y        []float32   // image conditioning, [in_dim-out_dim, F, H, W]
	Contexts [][]float32 // text contexts, each [n, text dim] for n <= text_len real tokens
	Plucker  []float32   // camera rays, [camera channels, F, H, W]; nil without a camera path
	Reuse    Reuse

	Attention Attention
}

// Size is what decides the memory and the time of an input.
type Size struct {
	F, H, W   int   // as in Input
	Tokens    []int // real tokens of each text context
	Camera    bool  // with a camera path
	Reuse     Reuse
	Attention Attention
}

func (in Input) size(m *Model) Size {
	s := Size{F: in.F, H: in.H, W: in.W, Camera: in.Plucker != nil, Reuse: in.Reuse, Attention: in.Attention}
	for _, c := range in.Contexts {
		s.Tokens = append(s.Tokens, len(c)/m.TextDim)
	}
	return s
}

// Attention says how attentions are computed.
type Attention struct {
	// Chunk is the number of queries of one call; 0 for all. The result is the same
	// but for rounding.
	Chunk int
	// DType is the type of queries, keys and values, F32, F16 or BF16; 0 for F32.
	// Sums are F32 either way.
	DType device.DType
}

// grid returns the latent's size in patches.
func (m *Model) grid(in Size) (grid, error) {
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

// check returns an error unless in fits the model.
func (m *Model) check(in Input) error {
	positions := in.F * in.H * in.W
	if want := (m.Config.InDim - m.Config.OutDim) * positions; len(in.Y) != want {
		return fmt.Errorf("image conditioning: found %d values, expected [%d %d %d %d], %d",
			len(in.Y), m.Config.InDim-m.Config.OutDim, in.F, in.H, in.W, want)
	}
	if in.Attention.Chunk < 0 {
		return fmt.Errorf("attention in chunks of %d queries, expected 0 or more", in.Attention.Chunk)
	}
	switch in.Attention.DType {
	case 0, device.F32, device.F16, device.BF16:
	default:
		return fmt.Errorf("attention in %v, expected F32, F16 or BF16", in.Attention.DType)
	}
	if len(in.Contexts) == 0 {
		return errors.New("text contexts: found none, expected at least one")
	}
	for i, c := range in.Contexts {
		if len(c)%m.TextDim != 0 || len(c) > m.Config.TextLen*m.TextDim {
			return fmt.Errorf("text context %d: found %d values, expected up to %d tokens of %d",
				i, len(c), m.Config.TextLen, m.TextDim)
		}
	}
	if in.Plucker == nil {
		return nil
	}
	if m.CameraChannels == 0 {
		return ErrNoCamera
	}
	if want := m.CameraChannels * positions; len(in.Plucker) != want {
		return fmt.Errorf("camera rays: found %d values, expected [%d %d %d %d], %d",
			len(in.Plucker), m.CameraChannels, in.F, in.H, in.W, want)
	}
	return nil
}
