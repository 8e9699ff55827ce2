package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
)

// The window of the causal models that their makers recommend, in latent frames, and the chunk
// that is timed: the first one for which frames are forgotten.
const (
	windowFrames, sinkFrames, chunkFrames = 18, 6, 4
	timedChunk                            = 4
	stepsOfChunk                          = 4
)

// chunk goes through a video by a causal model until its window is full. PyTorch compares one
// block; of all blocks a chunk is timed, from its camera to its frames.
func (p *proof) chunk() error {
	for _, f := range p.forms {
		for _, layers := range []int{1, p.dims.Layers} {
			if err := p.chunkOf(f, layers, layers == 1); err != nil {
				return fmt.Errorf("%d blocks, %v: %w", layers, f, err)
			}
		}
	}
	return nil
}

// causalInput is a causal session's, and what its chunks are about.
type causalInput struct {
	wan.Input
	x, y, rays [][]float32 // of each chunk
}

func (p *proof) causalInput(m *wan.Model, cached device.DType) causalInput {
	in := causalInput{Input: wan.Input{
		F: chunkFrames, H: p.height / 8, W: p.width / 8, Camera: true, Reuse: wan.AllReuse, AttentionType: cached,
		Cache: &wan.Cache{Frames: windowFrames, Sink: sinkFrames, Times: []float64{timestep, 0}},
	}}
	words := min(p.words, m.Config.TextLen)
	in.Contexts = []wan.Context{{Tokens: words, States: normals(103, words*m.TextDim)}}
	positions := in.F * in.H * in.W
	for k := range uint64(timedChunk + 1) {
		in.x = append(in.x, normals(301+k, m.Config.OutDim*positions))
		in.y = append(in.y, normals(311+k, (m.Config.InDim-m.Config.OutDim)*positions))
		in.rays = append(in.rays, normals(321+k, m.CameraChannels*positions))
	}
	return in
}

func (p *proof) chunkOf(f form, layers int, keep bool) (err error) {
	e, err := p.load(f, layers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	in := p.causalInput(e.Model, f.compute)
	row := p.row(f, e, inference.Wan.Frames(chunkFrames*(timedChunk+1)), in.F*in.H*in.W/4)
	row.Case = fmt.Sprintf("%d wide, %d blocks, window %d", e.Config.Dim, layers, windowFrames)
	var work inference.Work
	if row.Planned, work, err = p.plannedChunk(e, in); err != nil {
		return err
	}
	s, err := e.NewSession(p.ctx, in.Input)
	if err != nil {
		return err
	}
	defer s.Close()
	out := make([]float32, len(in.x[0]))
	row.Values = map[string]float64{"weight_bytes": float64(e.store.Bytes()), "heads": float64(e.Config.NumHeads)}
	for kind, cost := range work.Kinds {
		word, _, _ := strings.Cut(kind, " ")
		row.Values[word+"_tflop"] += float64(cost.FLOPs) / 1e12
	}
	for k := range timedChunk {
		progress("%s, %v: chunk %d", row.Case, f, k)
		err := s.Chunk(p.ctx, in.y[k], in.rays[k])
		if err == nil && k == 0 { // which chooses variants
			err = s.Velocity(p.ctx, in.x[k], timestep, 0, out)
		}
		if err := errors.Join(err, s.Remember(p.ctx, in.x[k], 0)); err != nil {
			return err
		}
	}
	progress("%s, %v: chunk %d", row.Case, f, timedChunk)
	timed := func(name string, f func() error) error {
		began := time.Now()
		err := f()
		row.Values[name] = time.Since(began).Seconds()
		return err
	}
	x := in.x[timedChunk]
	var hidden []float32
	err = errors.Join(
		timed("camera_seconds", func() error { return s.Chunk(p.ctx, in.y[timedChunk], in.rays[timedChunk]) }),
		s.Velocity(p.ctx, x, timestep, 0, out), // at these sizes for the first time
	)
	if err != nil {
		return err
	}
	began := time.Now()
	err = timed("steps_seconds", func() error {
		for range stepsOfChunk {
			if err := s.Velocity(p.ctx, x, timestep, 0, out); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = timed("clean_seconds", func() error { return s.Remember(p.ctx, x, 0) })
	}
	if err != nil {
		return err
	}
	row.Seconds = time.Since(began).Seconds()
	row.TFLOPS = float64(work.FLOPs()) / row.Seconds / 1e12
	row.Peak = e.dev.Info().Peak
	s.Inspect = func(_ int, read func() ([]float32, error)) (err error) {
		hidden, err = read()
		return err
	}
	if err := s.Velocity(p.ctx, x, timestep, 0, out); err != nil {
		return err
	}
	if _, err := rms(out); err != nil {
		return err
	}
	if keep {
		if err := p.keepChunk(f, e, in, out, hidden); err != nil {
			return err
		}
	} else if row.Values["decode_seconds"], row.Values["decode_tflops"], err = p.decodeChunk(e.dev.Device); err != nil {
		return err
	}
	return p.add(row)
}

// plannedChunk says what the session holds at most, and what work the steps and the clean
// forward of a chunk are in a full window.
func (p *proof) plannedChunk(e *expertOn, in causalInput) (bytes int64, work inference.Work, err error) {
	count := plan.NewDevice(e.dev.Device, false)
	var s *wan.Session
	_, err = count.Phase("prepare", 1, func() error {
		m, err := wan.Load(p.ctx, count, e.store, e.Config)
		if err == nil {
			s, err = m.NewSession(p.ctx, in.Input)
		}
		for range timedChunk { // whose attentions have sizes of their own to choose variants for
			if err == nil {
				err = errors.Join(s.Chunk(p.ctx, nil, nil), s.Remember(p.ctx, nil, 0))
			}
		}
		if err != nil {
			return err
		}
		return s.Chunk(p.ctx, nil, nil)
	})
	if err != nil {
		return 0, work, err
	}
	chunk, err := count.Phase("chunk", 1, func() error {
		for range stepsOfChunk {
			if err := s.Velocity(p.ctx, nil, timestep, 0, nil); err != nil {
				return err
			}
		}
		return s.Remember(p.ctx, nil, 0)
	})
	return count.Info().Peak, chunk.Work, err
}

// keepChunk keeps what PyTorch needs to do the same.
func (p *proof) keepChunk(f form, e *expertOn, in causalInput, velocity, hidden []float32) error {
	all := func(parts [][]float32) (values []float32, shape []int) {
		for _, part := range parts {
			values = append(values, part...)
		}
		return values, []int{len(parts), len(parts[0]) / (in.F * in.H * in.W), in.F, in.H, in.W}
	}
	x, xs := all(in.x)
	y, ys := all(in.y)
	rays, rs := all(in.rays)
	compute := strings.ToLower(f.compute.String())
	return errors.Join(
		p.keep("chunk-input.safetensors", tensor("x", x, xs...), tensor("y", y, ys...), tensor("plucker", rays, rs...),
			tensor("context", in.Contexts[0].States, in.Contexts[0].Tokens, e.TextDim)),
		p.keep(fmt.Sprintf("chunk-output-%s-%s.safetensors", f.weights, compute),
			tensor("velocity", velocity, e.Config.OutDim, in.F, in.H, in.W), tensor("hidden", hidden, len(hidden)/e.Config.Dim, e.Config.Dim)))
}

// decodeChunk decodes chunks, of which the second counts, and returns its seconds and rate.
func (p *proof) decodeChunk(dev device.Device) (seconds, tflops float64, err error) {
	store, err := p.stored("vae.safetensors", p.dims.VAESizes().Table(), device.F32)
	if err != nil {
		return 0, 0, err
	}
	defer store.Close()
	work := func(dev device.Device) error {
		v, err := vae.Load(p.ctx, dev, store, vae.WanStatistics())
		if err != nil {
			return err
		}
		defer v.Close()
		h, w := p.height/v.Stride(), p.width/v.Stride()
		d := v.NewDecoder(1)
		defer d.Close()
		count, dry := dev.(*plan.Device)
		for k := range 2 {
			var latent []float32
			if !dry {
				latent = normals(331, v.Channels()*chunkFrames*h*w)
			}
			one := func() error {
				return d.Decode(p.ctx, latent, chunkFrames, h, w, func(_ int, rgb []float32) error {
					_, err := rms(rgb[:min(len(rgb), 1<<16)])
					return err
				})
			}
			began := time.Now()
			if !dry {
				err = one()
			} else {
				_, err = count.Phase(fmt.Sprint("decode ", k), 1, one)
			}
			if err != nil {
				return err
			}
			seconds = time.Since(began).Seconds()
		}
		return nil
	}
	count := plan.NewDevice(dev, false)
	if err := errors.Join(work(count), work(dev)); err != nil {
		return 0, 0, err
	}
	phases := count.Phases()
	return seconds, float64(phases[len(phases)-1].Work.FLOPs()) / seconds / 1e12, nil
}
