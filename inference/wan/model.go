package wan

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// Model is one expert with its weights on a device. Its fields are not to be set.
type Model struct {
	weights.WanSizes

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
	sizes, bad := weights.ReadWanSizes(store, cfg)
	m := &Model{
		WanSizes: sizes,
		dev:      dev,
		loader:   weights.NewLoader(dev, store, sizes.Table()),
		bytes:    store.Bytes(),
		eps:      float32(cfg.Eps),
	}
	w, err := loader{m.loader}.weights(ctx, sizes)
	if err == nil {
		err = errors.Join(bad, m.loader.Err())
	}
	if err != nil {
		m.Close()
		return nil, fmt.Errorf("wan: %w", err)
	}
	m.w = w
	return m, nil
}

// Close gives the weights' buffers back. Sessions must be closed before.
func (m *Model) Close() { m.loader.Release() }
