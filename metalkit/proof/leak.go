package main

import (
	"errors"
	"fmt"

	"gimbal/inference/device"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
)

// leak loads and runs a block and the VAE again and again on one device.
func (p *proof) leak() error {
	f := p.forms[0]
	file, config, err := p.expertStore(f.weights)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder, err := p.stored("vae.safetensors", p.dims.VAESizes().Table(), device.F32)
	if err != nil {
		return err
	}
	defer decoder.Close()
	dev, err := p.open(f.compute)
	if err != nil {
		return err
	}
	defer dev.Close()
	before := dev.Info().Allocated
	row := Row{Case: fmt.Sprintf("%d repeats", p.repeats), Weights: f.weights, Frames: p.frames[0], Device: dev.Info().Name, Values: map[string]float64{}}
	config.NumLayers = 1
	for i := range p.repeats {
		progress("repeat %d", i+1)
		m, err := wan.Load(p.ctx, dev, file, config)
		if err != nil {
			return err
		}
		in, x := p.input(m, p.frames[0], wan.AllReuse)
		s, err := m.NewSession(p.ctx, in)
		if err != nil {
			return err
		}
		err = s.Velocity(p.ctx, x, timestep, 0, x)
		s.Close()
		m.Close()
		v, late := vae.Load(p.ctx, dev, decoder, vae.WanStatistics())
		if err := errors.Join(err, late); err != nil {
			return err
		}
		latent := normals(201, v.Channels()*in.F*in.H*in.W)
		err = v.Decode(p.ctx, latent, in.F, in.H, in.W, vae.DecodeOptions{Chunk: 1}, func(int, []float32) error { return nil })
		v.Close()
		if err != nil {
			return err
		}
		left := dev.Info().Allocated - before
		row.Values["left_bytes"] = max(row.Values["left_bytes"], float64(left))
		row.Sizes = append(row.Sizes, queried(p.ctx, "memory.used")) // MiB, the device's pool included
	}
	row.Peak = dev.Info().Peak
	return p.add(row)
}
