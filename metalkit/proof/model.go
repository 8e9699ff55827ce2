package main

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/plan"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// timestep is that of all forwards.
const timestep = 500

// expertOn is an expert on a device.
type expertOn struct {
	*wan.Model
	dev   *bench.Meter
	store *weights.Store
	file  *weights.Store // that store's bytes are of
}

// load puts an expert of so many blocks on a device of its own.
func (p *proof) load(f form, layers int) (*expertOn, error) {
	file, config, err := p.expertStore(f.weights)
	if err != nil {
		return nil, err
	}
	config.NumLayers = layers
	store, err := deepened(file, layers)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	plain, err := p.open(f.compute)
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	dev := &bench.Meter{Device: plain}
	progress("loading %d blocks in %v", layers, f)
	model, err := wan.Load(p.ctx, dev, store, config)
	if err != nil {
		return nil, errors.Join(err, dev.Close(), file.Close())
	}
	return &expertOn{model, dev, store, file}, nil
}

func (e *expertOn) close() error {
	e.Close()
	return errors.Join(e.dev.Close(), e.file.Close())
}

// input returns a clip's conditioning and latent.
func (p *proof) input(m *wan.Model, frames int, reuse wan.Reuse) (in wan.Input, x []float32) {
	in = wan.Input{F: (frames-1)/4 + 1, H: p.height / 8, W: p.width / 8, Camera: true, Reuse: reuse}
	positions := in.F * in.H * in.W
	in.Y = normals(101, (m.Config.InDim-m.Config.OutDim)*positions)
	in.Plucker = normals(102, m.CameraChannels*positions)
	words := min(p.words, m.Config.TextLen)
	in.Contexts = []wan.Context{{Tokens: words, States: normals(103, words*m.TextDim)}}
	return in, normals(104, m.Config.OutDim*positions)
}

// planned says what a session on such an expert holds on dev at most, and what work a
// forward is, without doing it.
func (p *proof) planned(e *expertOn, in wan.Input) (bytes int64, work inference.Work, err error) {
	count := plan.NewDevice(e.dev.Device, false)
	var s *wan.Session
	_, err = count.Phase("prepare", 1, func() error {
		m, err := wan.Load(p.ctx, count, e.store, e.Config)
		if err == nil {
			s, err = m.NewSession(p.ctx, in)
		}
		return err
	})
	if err != nil {
		return 0, work, err
	}
	forward, err := count.Phase("forward", 1, func() error { return s.Velocity(p.ctx, nil, 0, 0, nil) })
	return count.Info().Peak, forward.Work, err
}

// row begins the row of a forward.
func (p *proof) row(f form, e *expertOn, frames, tokens int) Row {
	return Row{
		Case: fmt.Sprintf("%d frames", frames), Weights: f.weights, Compute: strings.ToLower(f.compute.String()),
		Frames: frames, Tokens: tokens, Device: e.dev.Info().Name,
	}
}

// block runs one block with what is before and after it, and keeps inputs and outputs
// for PyTorch.
func (p *proof) block() error {
	for _, frames := range p.frames {
		for _, f := range p.forms {
			if err := p.forward(f, frames, 1, true); err != nil {
				return fmt.Errorf("%d frames, %v: %w", frames, f, err)
			}
		}
	}
	return nil
}

// expert runs whole forwards, and looks at the residual stream behind some blocks.
func (p *proof) expert() error {
	for _, frames := range p.frames {
		for _, f := range p.forms {
			if err := p.forward(f, frames, p.dims.Layers, false); err != nil {
				return fmt.Errorf("%d frames, %v: %w", frames, f, err)
			}
		}
	}
	return nil
}

// forward runs a forward p.runs times. The first one is looked at, which does not count
// in its time, and the last one's time is reported.
func (p *proof) forward(f form, frames, layers int, keep bool) (err error) {
	e, err := p.load(f, layers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.close()) }()
	in, x := p.input(e.Model, frames, wan.AllReuse)
	row := p.row(f, e, frames, in.F*in.H*in.W/4)
	var work inference.Work
	if row.Planned, work, err = p.planned(e, in); err != nil { // before variants are chosen, which takes memory
		return err
	}
	began := time.Now()
	s, err := e.NewSession(p.ctx, in)
	if err != nil {
		return err
	}
	defer s.Close()
	row.Values = map[string]float64{"prepare_seconds": time.Since(began).Seconds(), "weight_bytes": float64(e.store.Bytes()), "heads": float64(e.Config.NumHeads)}
	var hidden []float32
	var looking time.Duration
	every := max(1, layers/4)
	s.Inspect = func(block int, read func() ([]float32, error)) error {
		if block%every != 0 && block != layers-1 {
			return nil
		}
		began := time.Now()
		defer func() { looking += time.Since(began) }()
		if hidden, err = read(); err != nil {
			return err
		}
		size, err := rms(hidden)
		row.Sizes = append(row.Sizes, size)
		return err
	}
	out := make([]float32, len(x))
	for run := range p.runs {
		progress("%s, %v: forward %d", row.Case, f, run+1)
		e.dev.Blocks = 0
		began = time.Now()
		if err := s.Velocity(p.ctx, x, timestep, 0, out); err != nil {
			return err
		}
		row.Seconds = (time.Since(began) - looking).Seconds()
		s.Inspect, looking = nil, 0
	}
	if _, err := rms(out); err != nil {
		return err
	}
	row.Values["block_seconds"] = e.dev.Blocks / float64(layers)
	row.Peak = e.dev.Info().Peak
	row.TFLOPS = float64(work.FLOPs()) / row.Seconds / 1e12
	if keep {
		shape := func(channels int) []int { return []int{channels, in.F, in.H, in.W} }
		err = errors.Join(
			p.keep(fmt.Sprintf("block-input-%d.safetensors", frames),
				tensor("x", x, shape(e.Config.OutDim)...), tensor("y", in.Y, shape(e.Config.InDim-e.Config.OutDim)...),
				tensor("plucker", in.Plucker, shape(e.CameraChannels)...),
				tensor("context", in.Contexts[0].States, in.Contexts[0].Tokens, e.TextDim)),
			p.keep(fmt.Sprintf("block-output-%d-%v.safetensors", frames, f),
				tensor("velocity", out, shape(e.Config.OutDim)...), tensor("hidden", hidden, row.Tokens, e.Config.Dim)))
	}
	return errors.Join(err, p.add(row))
}

// rms returns the root mean square of values, on all cores, and fails for one that is
// not finite.
func rms(values []float32) (float64, error) {
	parts := runtime.GOMAXPROCS(0)
	sums := make([]float64, parts)
	var group sync.WaitGroup
	for i := range parts {
		group.Go(func() {
			sum := 0.0
			for _, v := range values[i*len(values)/parts : (i+1)*len(values)/parts] {
				sum += float64(v) * float64(v)
			}
			sums[i] = sum
		})
	}
	group.Wait()
	total := 0.0
	for _, sum := range sums {
		total += sum
	}
	if math.IsNaN(total) || math.IsInf(total, 0) {
		return 0, errors.New("NaN or infinity")
	}
	return math.Sqrt(total / float64(len(values))), nil
}
