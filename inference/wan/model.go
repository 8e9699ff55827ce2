package wan

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// The tensors that tell the patch's size and whether there is a camera branch.
const (
	patchWeight  = "patch_embedding.weight"
	cameraWeight = "patch_embedding_wancamctrl.weight"
)

// Model is one expert with its weights on a device. Its fields are not to be set.
type Model struct {
	Config Config

	// What config.json does not say, from the shapes of the weights.
	TextDim        int    // channels of a text context
	Patch          [3]int // latent frames, rows and columns per token
	CameraChannels int    // Plücker channels of a latent position; 0 without a camera branch

	dev    device.Device
	loader *weights.Loader
	bytes  int64 // of the checkpoint
	eps    float32
	w      modelWeights
}

// Load puts the weights of an expert on dev. Large ones are mapped, not copied, so
// store must stay open until Close. The error names every tensor that is missing
// or misshapen. A checkpoint without a camera branch loads; NewSession then
// refuses a camera path.
func Load(ctx context.Context, dev device.Device, store *weights.Store, cfg Config) (*Model, error) {
	if err := checkConfig(cfg); err != nil {
		return nil, fmt.Errorf("wan: config of %s: %w", store.Path(), err)
	}
	m := &Model{
		Config: cfg,
		dev:    dev,
		loader: weights.NewLoader(dev, store),
		bytes:  store.Bytes(),
		eps:    float32(cfg.Eps),
	}
	if err := m.load(ctx, store); err != nil {
		m.Close()
		return nil, fmt.Errorf("wan: load %s: %w", store.Path(), err)
	}
	return m, nil
}

func (m *Model) load(ctx context.Context, store *weights.Store) error {
	patch, badPatch := patchOf(store)
	patchSize := patch[0] * patch[1] * patch[2]
	w, err := loader{m.loader}.weights(ctx, m.Config, patchSize, store.Has(cameraWeight))
	if err != nil {
		return err
	}
	if err := errors.Join(badPatch, m.loader.Err(), checkLayers(store, m.Config.NumLayers)); err != nil {
		return err
	}
	if in := w.camera.Weight.In; in%patchSize != 0 {
		return misshapen(store, cameraWeight, fmt.Sprintf("rows of %d", in), fmt.Sprintf("a multiple of the patch's size, %d", patchSize))
	}
	m.w = w
	m.Patch = patch
	m.TextDim = w.text0.Weight.In
	m.CameraChannels = w.camera.Weight.In / patchSize
	return nil
}

// Close gives the weights' buffers back. Sessions must be closed before.
func (m *Model) Close() { m.loader.Release() }

// patchOf reads the patch's size; zeros if there is no such tensor.
func patchOf(store *weights.Store) (patch [3]int, err error) {
	if !store.Has(patchWeight) {
		return patch, nil
	}
	t, err := store.Tensor(patchWeight)
	if err != nil {
		return patch, err
	}
	if len(t.Shape) != 5 || t.Bytes() == 0 {
		return patch, misshapen(store, patchWeight, fmt.Sprint(t.Shape), "[dim in_dim frames rows columns]")
	}
	return [3]int(t.Shape[2:]), nil
}

// checkLayers returns an error if store has more blocks than layers.
func checkLayers(store *weights.Store, layers int) error {
	next := fmt.Sprintf("blocks.%d.modulation", layers)
	if !store.Has(next) {
		return nil
	}
	return &weights.Error{
		Path: store.Path(), Field: "num_layers of its config.json",
		Found: fmt.Sprint(layers), Want: fmt.Sprintf("more, for there is a tensor %q", next),
	}
}

func misshapen(store *weights.Store, name, found, want string) error {
	return &weights.Error{Path: store.Path(), Field: fmt.Sprintf("tensor %q shape", name), Found: found, Want: want}
}
