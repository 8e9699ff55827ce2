package main

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// period is how many normal values are drawn before they are repeated: an odd number,
// so that no row of a matrix is like the one above it.
const period = 1<<18 + 1

// normals returns n values, the same for a seed.
func normals(seed uint64, n int) []float32 {
	values := make([]float32, n)
	random := rand.New(rand.NewPCG(seed, 7))
	for i := range values[:min(n, period)] {
		values[i] = float32(random.NormFloat64())
	}
	for done := period; done < n; done *= 2 {
		copy(values[done:], values[:done])
	}
	return values
}

// random returns a tensor of random values of type F32 or BF16.
func random(seed int, s weights.Spec, dtype device.DType) weights.Source {
	return weights.Source{Name: s.Name, DType: dtype, Shape: s.Shape, Write: func(w io.Writer) error {
		left := int(device.Desc{DType: dtype, Shape: s.Shape}.Bytes())
		mean, deviation := s.Normal()
		block := make([]byte, 0, period*4)
		for _, v := range normals(uint64(seed), min(left/dtype.Size(), period)) {
			bits := math.Float32bits(float32(mean + deviation*float64(v)))
			if dtype == device.F32 {
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

// stored opens the file called name of a model of random weights, which it makes first
// if there is none.
func (p *proof) stored(name string, model weights.Table, dtype device.DType) (*weights.Store, error) {
	path := p.file(name)
	if _, err := os.Stat(path); err != nil {
		progress("writing %s", path)
		var list []weights.Source
		for i, spec := range model {
			list = append(list, random(i, spec, dtype))
		}
		if err := weights.WriteTemporary(path+".part", list, nil); err != nil {
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
