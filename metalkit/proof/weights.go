package main

import (
	"fmt"
	"os"
	"strings"

	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// normals returns n values, the same for a seed.
func normals(seed uint64, n int) []float32 { return bench.Normals(seed, n) }

// stored opens the file called name of a model of random weights, which it makes first
// if there is none.
func (p *proof) stored(name string, model weights.Table, dtype device.DType) (*weights.Store, error) {
	path := p.file(name)
	if _, err := os.Stat(path); err != nil {
		progress("writing %s", path)
		if err := weights.WriteTemporary(path+".part", model.Random(p.ctx, dtype), nil); err != nil {
			return nil, err
		}
		if err := os.Rename(path+".part", path); err != nil {
			return nil, err
		}
	}
	return weights.Open(path)
}

// expertStore opens an expert of one block with its weights kept in some way.
func (p *proof) expertStore(kept string) (*weights.Store, weights.WanConfig, error) {
	d := p.dims
	d.Layers = 1
	sizes := d.ExpertSizes()
	name, dtype := "expert-bf16.safetensors", device.BF16
	if kept == "f32" {
		name, dtype = "expert-f32.safetensors", device.F32
	}
	store, err := p.stored(name, sizes.Table(), dtype)
	if err != nil || kept == "f32" || kept == "bf16" {
		return store, sizes.Config, err
	}
	defer store.Close()
	store, err = weights.OpenQuantised(p.ctx, p.work, "expert", store, weights.Quant{Format: weights.Format(kept)}, func(int64, int64) {})
	return store, sizes.Config, err
}

// deepened returns a store of so many blocks, each with the bytes of s's only one.
func deepened(s *weights.Store, layers int) (*weights.Store, error) {
	var all []weights.Tensor
	for _, name := range s.Names() {
		t, err := s.Tensor(name)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
		rest, ok := strings.CutPrefix(name, "blocks.0.")
		for i := 1; ok && i < layers; i++ {
			t.Name = fmt.Sprintf("blocks.%d.%s", i, rest)
			all = append(all, t)
		}
	}
	return weights.OfShapes(s.Path(), all), nil
}

// keep writes tensors of F32 for PyTorch.
func (p *proof) keep(name string, tensors ...weights.Tensor) error {
	var list []weights.Source
	for _, t := range tensors {
		list = append(list, t.Source())
	}
	return weights.WriteTemporary(p.file(name), list, nil)
}

func tensor(name string, values []float32, shape ...int) weights.Tensor {
	return weights.Tensor{Name: name, DType: device.F32, Shape: shape, Data: device.Bytes(values)}
}
