package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/quant"
	"gimbal/inference/shapes"
	"gimbal/inference/weights"
)

// normals returns n values, the same for a seed.
func normals(seed uint64, n int) []float32 { return bench.Normals(seed, n) }

// spread returns mean and deviation of a tensor's values, by which what goes through
// the model keeps its size: a camera's scales multiply up over blocks, and stay small.
func spread(name string, shape []int) (mean, deviation float64) {
	fan := math.Sqrt(float64(device.Desc{Shape: shape[1:]}.Len()))
	switch {
	case strings.HasSuffix(name, "gamma"), strings.Contains(name, "norm") && strings.HasSuffix(name, ".weight"):
		return 1, 0.1
	case strings.HasSuffix(name, "modulation"):
		return 0, 0.1
	case strings.HasSuffix(name, "cam_scale_layer.weight"):
		return 0, 0.02 / fan
	case strings.HasSuffix(name, ".weight"):
		return 0, 1 / fan
	}
	return 0, 0.02
}

// random returns t as a tensor of random values of type F32 or BF16.
func random(seed int, t weights.Tensor) weights.Source {
	return weights.Source{Name: t.Name, DType: t.DType, Shape: t.Shape, Write: func(w io.Writer) error {
		left := int(t.Bytes())
		mean, deviation := spread(t.Name, t.Shape)
		values := normals(uint64(seed), min(left/t.DType.Size(), 1<<18+1)) // an odd number, so that no row is like the one above it
		block := make([]byte, 0, len(values)*4)
		for _, v := range values {
			bits := math.Float32bits(float32(mean + deviation*float64(v)))
			if t.DType == device.F32 {
				block = append(block, byte(bits), byte(bits>>8))
			}
			block = append(block, byte(bits>>16), byte(bits>>24))
		}
		for left > 0 {
			n, err := w.Write(block[:min(left, len(block))])
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	}}
}

// stored opens the file called name of random tensors, which it makes first if there
// is none.
func (p *proof) stored(name string, tensors []weights.Tensor) (*weights.Store, error) {
	path := p.file(name)
	if _, err := os.Stat(path); err != nil {
		progress("writing %s", path)
		var list []weights.Source
		for i, t := range tensors {
			list = append(list, random(i, t))
		}
		if err := weights.WriteTemporary(path+".part", list, nil); err != nil {
			return nil, err
		}
		if err := os.Rename(path+".part", path); err != nil {
			return nil, err
		}
	}
	return weights.OpenSafetensors(path)
}

// expertStore opens an expert of one block with its weights kept in some way.
func (p *proof) expertStore(weights string) (*weights.Store, weights.WanConfig, error) {
	d := p.dims
	d.Layers = 1
	config, tensors := shapes.Expert(d)
	name := "expert-bf16.safetensors"
	if weights == "f32" {
		name = "expert-f32.safetensors"
		for i := range tensors {
			tensors[i].DType = device.F32
		}
	}
	store, err := p.stored(name, tensors)
	if err != nil || weights == "f32" || weights == "bf16" {
		return store, config, err
	}
	defer store.Close()
	store, err = quant.Open(p.ctx, p.work, "expert", store, quant.Options{Kind: quant.Kind(weights)}, func(int64, int64) {})
	return store, config, err
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
