package wan

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/nn"
	"gimbal/inference/weights"
)

// Model is one expert with its weights on a device. Its fields are not to be set.
type Model struct {
	weights.WanSizes

	dev    device.Device
	loader *weights.Loader
	bytes  int64     // of the checkpoint
	narrow nn.Narrow // of LoRAs
	room   nn.Room   // that they need
	eps    float32
	w      modelWeights
}

// Load puts the weights of an expert on dev. Large ones are mapped, not copied, so
// store must stay open until Close. The error names every tensor that is missing
// or misshapen. A checkpoint without a camera branch loads; NewSession then
// refuses a camera path.
func Load(ctx context.Context, dev device.Device, store *weights.Store, cfg Config) (*Model, error) {
	return LoadAdapted(ctx, dev, store, cfg, nil)
}

// LoadAdapted is Load of an expert that LoRAs change, nil for none: those of linear layers
// are products beside the layer's own, so that its weight stays as it is; the others are
// added to what is loaded.
func LoadAdapted(ctx context.Context, dev device.Device, store *weights.Store, cfg Config, a *weights.Adaptation) (*Model, error) {
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
	m.loader.Adapt(a)
	w, err := loader{m.loader, &m.narrow, &m.room}.weights(ctx, sizes)
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
func (m *Model) Close() {
	m.loader.Release()
	if m.narrow.Mat.Buf != nil {
		m.narrow.Mat.Buf.Release()
	}
}

// reserve sees to it that LoRAs have memory for so many rows.
func (m *Model) reserve(rows int) error {
	values := m.room.Values(rows)
	if values <= m.narrow.Mat.Cols {
		return nil
	}
	if m.narrow.Mat.Buf != nil {
		m.narrow.Mat.Buf.Release()
	}
	m.narrow.Mat = device.Mat{}
	buf, err := m.dev.Alloc(device.Desc{Label: "narrow", DType: device.F32, Shape: []int{1, values}})
	if err == nil {
		m.narrow.Mat = device.AsMat(buf)
	}
	return err
}
