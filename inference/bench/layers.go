package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// LayerError is what quantisation does to the product of a layer.
type LayerError struct {
	Layer string  `json:"layer"` // such as "blocks.3.ffn.0"
	Error float64 `json:"error"` // relative L2 of the product with normal values, against the weights as they were
}

// productRows are the rows of the products that are compared: enough for a stable
// figure and for the device to use its product of matrices.
const productRows = 16

// layerErrors compares the layers of quantised, as a device multiplies with them,
// with those of source.
func layerErrors(ctx context.Context, dev device.Device, source, quantised *weights.Store) ([]LayerError, error) {
	var all []LayerError
	for _, t := range quantised.Shapes() {
		layer, ok := strings.CutSuffix(t.Name, ".weight")
		if !ok || quantised.Format(t.Name) == weights.Dense {
			continue
		}
		want, err := product(ctx, dev, source, t.Name)
		if err != nil {
			return nil, err
		}
		got, err := product(ctx, dev, quantised, t.Name)
		if err != nil {
			return nil, err
		}
		if len(got) != len(want) {
			return nil, fmt.Errorf("%s: %s is of another shape than in %s", quantised.Path(), t.Name, source.Path())
		}
		all = append(all, LayerError{layer, RelL2(got, want)})
	}
	return all, nil
}

// product multiplies normal values, always the same, with a layer of store.
func product(ctx context.Context, dev device.Device, store *weights.Store, name string) ([]float32, error) {
	loader := weights.NewLoader(dev, store, nil)
	defer loader.Release()
	w := loader.Weight(name)
	if err := loader.Err(); err != nil {
		return nil, err
	}
	random := rand.New(rand.NewPCG(1, uint64(w.In)))
	values := make([]float32, productRows*w.In)
	for i := range values {
		values[i] = float32(random.NormFloat64())
	}
	x, err := dev.Alloc(device.Desc{Label: "x", DType: device.F32, Shape: []int{productRows, w.In}})
	if err != nil {
		return nil, err
	}
	defer x.Release()
	y, err := dev.Alloc(device.Desc{Label: "y", DType: device.F32, Shape: []int{productRows, w.Out}})
	if err != nil {
		return nil, err
	}
	defer y.Release()
	if err := dev.Write(ctx, x, device.Bytes(values)); err != nil {
		return nil, err
	}
	err = dev.Do(ctx, name, func(e device.Encoder) {
		e.Record(device.Linear{X: device.AsMat(x), W: w, Y: device.AsMat(y)})
	})
	if err != nil {
		return nil, err
	}
	result := make([]float32, productRows*w.Out)
	return result, dev.Read(ctx, device.Bytes(result), y)
}

// kind names a layer without its block's number: blocks.3.ffn.0 is blocks.*.ffn.0.
func (e LayerError) kind() string {
	if rest, ok := strings.CutPrefix(e.Layer, "blocks."); ok {
		if _, layer, ok := strings.Cut(rest, "."); ok {
			return "blocks.*." + layer
		}
	}
	return e.Layer
}
