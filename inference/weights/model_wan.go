package weights

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// WanSizes are all sizes of an expert: those that its config.json states and those
// that only its tensors' shapes say. 0 is any size.
type WanSizes struct {
	Config         WanConfig
	TextDim        int    // channels of a text context
	Patch          [3]int // latent frames, rows and columns of a token
	Camera         bool   // there is a camera branch
	CameraChannels int    // Plücker channels of a latent position; 0 without a camera branch
}

// The tensors that tell the patch's size and whether there is a camera branch.
const (
	patchWeight  = "patch_embedding.weight"
	cameraWeight = "patch_embedding_wancamctrl.weight"
)

// ReadWanSizes completes the sizes in config by those that the tensors in s have. Sizes
// of tensors that are not there stay 0. The error says what does not go together.
func ReadWanSizes(s *Store, config WanConfig) (WanSizes, error) {
	z := WanSizes{Config: config, TextDim: s.size("text_embedding.0.weight", 1), Camera: s.hasCamera()}
	blocks, err := s.blocks()
	err = errors.Join(err, z.Config.correct(s))
	const field = "num_layers of its config.json"
	switch next := fmt.Sprintf("blocks.%d.modulation", config.NumLayers); {
	case config.NumLayers == 0:
		z.Config.NumLayers = blocks
	case config.NumLayers > s.maxBlocks():
		z.Config.NumLayers = blocks
		err = errors.Join(err, &Error{s.path, field, fmt.Sprint(config.NumLayers), fmt.Sprintf("%d, by its %s", blocks, plural(len(s.names), "tensor"))})
	case s.Has(next):
		err = errors.Join(err, &Error{s.path, field, fmt.Sprint(config.NumLayers), fmt.Sprintf("more, for there is a tensor %q", next)})
	}
	if shape := s.format(patchWeight).shape(s, patchWeight); len(shape) == 5 {
		z.Patch = [3]int(shape[2:])
	}
	if s.Has(patchWeight) && z.PatchSize() == 0 {
		err = errors.Join(err, misshapen(s, patchWeight, "[dim in_dim frames rows columns]"))
	}
	if in, patchSize := s.size(cameraWeight, 1), z.PatchSize(); patchSize > 0 && in%patchSize == 0 {
		z.CameraChannels = in / patchSize
	} else if patchSize > 0 {
		err = errors.Join(err, misshapen(s, cameraWeight, fmt.Sprintf("rows of a multiple of the patch's size, %d", patchSize)))
	}
	return z, err
}

// hasCamera reports whether there is any part of a camera branch: without the rest it is
// damaged, not left out.
func (s *Store) hasCamera() bool {
	return slices.ContainsFunc(s.names, func(name string) bool {
		return name == cameraWeight || strings.HasPrefix(name, "c2ws_hidden_states_layer") || strings.HasPrefix(name, "blocks.") && strings.Contains(name, ".cam_")
	})
}

// correct makes sizes what two tensors say that have them, and returns an error for those
// that were others: one, and not one for each tensor that has another shape than it should.
func (c *WanConfig) correct(s *Store) error {
	const ffn0, ffn2 = "blocks.0.ffn.0.weight", "blocks.0.ffn.2.weight"
	var errs []error
	for _, size := range []struct {
		field       string
		value       *int
		one, other  string
		at, atOther int
	}{
		{"dim", &c.Dim, "time_embedding.0.weight", "head.head.weight", 0, 1},
		{"ffn_dim", &c.FFNDim, ffn0, ffn2, 0, 1},
	} {
		found := s.size(size.one, size.at)
		if *size.value == 0 || found == 0 || found == *size.value || found != s.size(size.other, size.atOther) {
			continue
		}
		errs = append(errs, &Error{s.path, size.field + " of its config.json", fmt.Sprint(*size.value),
			fmt.Sprintf("%d, by its tensors %q and %q (is it another model's?)", found, size.one, size.other)})
		*size.value = found
	}
	return errors.Join(errs...)
}

func misshapen(s *Store, name, want string) error {
	return s.fault(name, "shape", fmt.Sprint(s.format(name).shape(s, name)), want)
}

// PatchSize is how many positions of a latent make a token.
func (z WanSizes) PatchSize() int { return z.Patch[0] * z.Patch[1] * z.Patch[2] }

// Table lists an expert's tensors. The layers that embed the latent and the timestep,
// and the head, are not quantised: they are 0.2 % of the weights, and all that goes
// into the model or comes out of it passes through them.
func (z WanSizes) Table() Table {
	c, dim, patchSize := z.Config, z.Config.Dim, z.PatchSize()
	var t Table
	t.conv("patch_embedding", dim, c.InDim, z.Patch[:]...)
	if z.Camera {
		t.linear(quantised, "patch_embedding_wancamctrl", dim, z.CameraChannels*patchSize)
		t.linear(quantised, "c2ws_hidden_states_layer1", dim, dim)
		t.linear(quantised, "c2ws_hidden_states_layer2", dim, dim)
	}
	t.linear(quantised, "text_embedding.0", dim, z.TextDim)
	t.linear(quantised, "text_embedding.2", dim, dim)
	t.linear(asStored, "time_embedding.0", dim, c.FreqDim)
	t.linear(asStored, "time_embedding.2", dim, dim)
	t.linear(quantised, "time_projection.1", 6*dim, dim)
	t.linear(asStored, "head.head", c.OutDim*patchSize, dim)
	t.add(Modulation, "head.modulation", 1, 2, dim)
	for i := range c.NumLayers {
		t.wanBlock(fmt.Sprintf("blocks.%d.", i), dim, c.FFNDim, z.Camera)
	}
	return t
}

func (t *Table) wanBlock(name string, dim, ffn int, camera bool) {
	for _, attention := range []string{"self_attn.", "cross_attn."} {
		for _, layer := range []string{"q", "k", "v", "o"} {
			t.linear(quantised, name+attention+layer, dim, dim)
		}
		t.add(Norm, name+attention+"norm_q.weight", dim)
		t.add(Norm, name+attention+"norm_k.weight", dim)
	}
	if camera {
		for _, layer := range []string{"cam_injector_layer1", "cam_injector_layer2", "cam_scale_layer", "cam_shift_layer"} {
			t.linear(quantised, name+layer, dim, dim)
		}
	}
	t.add(Norm, name+"norm3.weight", dim)
	t.add(Bias, name+"norm3.bias", dim)
	t.add(Modulation, name+"modulation", 1, 6, dim)
	t.linear(quantised, name+"ffn.0", ffn, dim)
	t.linear(quantised, name+"ffn.2", dim, ffn)
}
