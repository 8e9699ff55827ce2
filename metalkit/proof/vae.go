package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// vae decodes clips in chunks of every size, and keeps the first chunk's video for
// PyTorch. The first form's type is computed in.
func (p *proof) vae() error {
	store, err := p.stored("vae.safetensors", p.dims.VAESizes().Table(), device.F32)
	if err != nil {
		return err
	}
	defer store.Close()
	for _, frames := range p.frames {
		var first [32]byte
		for i, chunk := range p.chunks {
			row, sum, err := p.decode(store, frames, chunk, i == 0)
			if err != nil {
				return fmt.Errorf("%d frames in chunks of %d: %w", frames, chunk, err)
			}
			if i == 0 {
				first = sum
			}
			row.Values["same_bits"] = 0
			if sum == first {
				row.Values["same_bits"] = 1
			}
			if err := p.add(row); err != nil {
				return err
			}
		}
	}
	return nil
}

// decode decodes a clip p.runs times, the first of which chooses variants, and returns
// the hash of its pixels.
func (p *proof) decode(store *weights.Store, frames, chunk int, keep bool) (row Row, sum [32]byte, err error) {
	dev, err := p.open(p.forms[0].compute)
	if err != nil {
		return row, sum, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	v, err := vae.Load(p.ctx, dev, store, vae.WanStatistics())
	if err != nil {
		return row, sum, err
	}
	defer v.Close()
	f, h, w := (frames-1)/v.StrideT()+1, p.height/v.Stride(), p.width/v.Stride()
	latent := normals(201, v.Channels()*f*h*w)
	video := make([]float32, 0, 3*frames*p.height*p.width)
	row = Row{Case: fmt.Sprintf("chunk %d", chunk), Compute: p.forms[0].compute.String(), Frames: frames, Device: dev.Info().Name}
	for range p.runs {
		progress("vae: %d frames in chunks of %d", frames, chunk)
		video = video[:0]
		began := time.Now()
		if err := v.Decode(p.ctx, latent, f, h, w, vae.DecodeOptions{Chunk: chunk}, func(_ int, rgb []float32) error {
			video = append(video, rgb...)
			return nil
		}); err != nil {
			return row, sum, err
		}
		row.Seconds = time.Since(began).Seconds()
	}
	if _, err := rms(video); err != nil || len(video) != cap(video) {
		return row, sum, fmt.Errorf("%d values, want %d: %w", len(video), cap(video), err)
	}
	sum = sha256.Sum256(device.Bytes(video))
	count := plan.NewDevice(dev, false)
	phase, err := count.Phase("decode", 1, func() error {
		dry, err := vae.Load(p.ctx, count, store, vae.WanStatistics())
		if err != nil {
			return err
		}
		return dry.Decode(p.ctx, nil, f, h, w, vae.DecodeOptions{Chunk: chunk}, func(int, []float32) error { return nil })
	})
	if err != nil {
		return row, sum, err
	}
	row.Peak, row.Planned = dev.Info().Peak, count.Info().Peak
	row.TFLOPS = float64(phase.Work.FLOPs()) / row.Seconds / 1e12
	row.Values = map[string]float64{}
	if keep {
		err = p.keep(fmt.Sprintf("vae-%d.safetensors", frames),
			tensor("latent", latent, v.Channels(), f, h, w), tensor("video", video, frames, 3, p.height, p.width))
	}
	return row, sum, err
}
