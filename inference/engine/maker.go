package engine

import (
	"context"

	"gimbal/inference"
	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/noise"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// maker makes the chunks of a causal video one after the other: it tells the model what a
// chunk is about, takes its steps, and has the model remember what came of them. How long the
// video is, where its cameras come from and what becomes of its latents is up to its client.
type maker struct {
	*run
	session *wan.Session
	cache   *wan.Cache

	contexts int       // prompts that the model is told
	x, y     []float32 // of the chunk: latent, and mask and picture
	work     [denoise.Buffers][]float32
}

// prepareChunks makes what all chunks share.
func (m *maker) prepareChunks(ctx context.Context, prompts [][]float32) error {
	m.contexts = len(prompts)
	n := m.chunkLatent(m.p.vae.Channels())
	for _, b := range []*[]float32{&m.x, &m.work[0], &m.work[1], &m.work[2]} {
		*b = device.Floats(m.p.dev, n)
	}
	m.y = device.Floats(m.p.dev, n+m.chunkLatent(m.p.vae.StrideT()))
	solver, err := m.chunks.solver(m.job, nil)
	if err != nil {
		return err
	}
	m.p.dev.Hold(4 * int64(solver.Kept()*n))
	err = m.phase("prepare "+weights.Causal, 1, func() error {
		model := m.p.experts[weights.Causal]
		m.cache = m.chunks.cache(solver.Timesteps())
		in := wan.Input{
			F: m.chunks.Chunk, H: m.clip.LatentHeight, W: m.clip.LatentWidth, Camera: m.camera && model.CameraChannels > 0,
			Reuse: m.p.Reuse, AttentionType: attentionDTypes[m.job.AttentionDType], Cache: m.cache,
			Contexts: m.told(m.prompts, prompts),
		}
		m.session, err = model.NewSession(ctx, in)
		return err
	})
	m.p.collect()
	return err
}

// told returns the contexts of prompts, whose states may be fewer.
func (m *maker) told(ids [2][]int32, states [][]float32) (list []wan.Context) {
	for i, s := range states {
		list = append(list, wan.Context{Tokens: len(ids[i]), States: s})
	}
	return list
}

// chunkLatent returns the number of values of a chunk of so many channels.
func (m *maker) chunkLatent(channels int) int {
	return channels * m.chunks.Chunk * m.clip.LatentHeight * m.clip.LatentWidth
}

func (m *maker) plane() int { return m.clip.LatentHeight * m.clip.LatentWidth }

// mask writes the picture's mask of chunk k and returns where the picture's latent goes; nil
// on a dry device.
func (m *maker) mask(k int) []float32 {
	if m.y == nil {
		return nil
	}
	n := m.chunkLatent(m.p.vae.StrideT())
	clear(m.y[:n])
	if k == 0 {
		for c := range m.p.vae.StrideT() {
			for i := range m.plane() {
				m.y[c*m.chunks.Chunk*m.plane()+i] = 1
			}
		}
	}
	return m.y[n:]
}

// tell begins chunk k, or begins it again, or, with a depth, begins to recall so many blocks of
// it: y is what the model is told of the picture, and rays makes what it is told of the control.
func (m *maker) tell(ctx context.Context, k, depth int, rays func(channels int) []float32) error {
	model := m.p.experts[weights.Causal]
	var told []float32
	if m.camera && model.CameraChannels > 0 {
		held := 4*int64(m.chunkLatent(model.CameraChannels)) + 3*4*int64(m.clip.Width*m.clip.Height)
		m.p.dev.Hold(held)
		defer m.p.dev.Hold(-held)
		if !m.planning() {
			told = rays(model.CameraChannels)
		}
	}
	switch {
	case depth > 0:
		return m.session.Recall(ctx, k, depth, m.y, told)
	case m.session.AtChunk() == k:
		return m.session.Again(ctx, m.y, told)
	}
	m.session.Seek(k) // chunks of which nothing is known any more were left out
	return m.session.Chunk(ctx, m.y, told)
}

// sample takes the steps of chunk k, whose noise is in x, times of which are the same. after
// is as in denoise.Loop, and told of how many steps it is.
func (m *maker) sample(ctx context.Context, k, times int, draw func([]float32), after func(step denoise.Step, clean []float32, times int) error) error {
	solver, err := m.chunks.solver(m.job, draw)
	if err != nil {
		return err
	}
	loop := denoise.Loop{
		Solver: solver, Guidance: m.guidance, Dry: m.planning(),
		Expert: func(bool) string { return weights.Causal },
		Model: func(_ context.Context, step denoise.Step) (denoise.Model, error) {
			return checked{m.session, k*m.chunks.steps + step.Index + 1, weights.Causal}, nil
		},
		Phase: func(step denoise.Step, equal int, work func() error) error {
			return m.phase("sample "+step.Expert, equal*times, work)
		},
		After: func(step denoise.Step, clean []float32) error {
			return after(step, clean, times*(solver.Next()-step.Index))
		},
	}
	return loop.Run(ctx, m.x, m.work)
}

// remember runs the clean forwards of the chunk, one for each prompt; times chunks have the
// same.
func (m *maker) remember(ctx context.Context, times int) error {
	return m.phase("sample "+weights.Causal, times*m.contexts, func() error {
		for text := range m.contexts {
			if err := m.session.Remember(ctx, m.x, text); err != nil || m.planning() {
				return err
			}
		}
		return nil
	})
}

func (m *maker) close() {
	if m.session != nil {
		m.session.Close()
	}
}

// chunkNoise returns the generator of the noise of chunk k of a job of ChunkNoise. It draws
// the chunk's latent first, and then the noise of its steps.
func chunkNoise(job inference.Job, k int) noise.Generator {
	const golden = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio: seeds far apart
	return noise.New(job.NoiseRNG, job.Seed^uint64(k)*golden)
}
