package inference

import (
	"context"
	"errors"
	"fmt"

	"gimbal/inference/denoise"
	"gimbal/inference/device"
	"gimbal/inference/plan"
	"gimbal/inference/umt5"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// draft makes a plan: it loads a model onto a device that counts, and does with it in
// short what a run does.
type draft struct {
	*parts
	*prepared
	tokens []int // of the prompt and the negative prompt
	camera bool  // with a camera path
	dev    device.Device
	rates  plan.Rates

	count *plan.Device
	model struct {
		text    *umt5.Encoder
		vae     *vae.VAE
		experts map[string]*wan.Model
	}
	phases []plan.Phase
}

// plan makes the plan. A job that the device has no room for is planned without the
// device's limit, so that the plan says how much it lacks.
func (d *draft) plan(ctx context.Context) (plan.Plan, error) {
	err := d.walk(ctx, true)
	if errors.Is(err, device.ErrOutOfMemory) {
		err = d.walk(ctx, false)
	}
	if err != nil {
		return plan.Plan{}, fmt.Errorf("planning: %w", err)
	}
	info := d.dev.Info()
	p := plan.Plan{
		Device: info.Name, Limit: info.WorkingSet,
		Width: d.width, Height: d.height, Frames: d.frames,
		LatentShape: [4]int{d.model.vae.Channels(), d.f, d.h, d.w},
		Phases:      d.phases,
		Disk:        append(d.prepared.disk(d.model.vae.Channels()), d.toMake...),
	}
	p.Parts = append(p.Parts, plan.Part{Name: "text encoder", Bytes: d.text.Bytes()}, plan.Part{Name: "VAE", Bytes: d.vae.Bytes()})
	for _, name := range d.names() {
		part := plan.Part{Name: name, Quant: d.experts[name].Store.Quantised(), Bytes: d.experts[name].Store.Bytes()}
		p.Parts = append(p.Parts, part)
		patch := d.model.experts[name].Patch
		p.Tokens = d.f * d.h * d.w / (patch[0] * patch[1] * patch[2])
	}
	p.Estimate(d.rates)
	return p, nil
}

// names returns the experts' names, the first to run first.
func (d *draft) names() (names []string) {
	for _, name := range []string{weights.HighNoise, weights.LowNoise} {
		if _, ok := d.experts[name]; ok {
			names = append(names, name)
		}
	}
	return names
}

// walk goes through the phases of a run.
func (d *draft) walk(ctx context.Context, strict bool) error {
	d.count, d.phases = plan.NewDevice(d.dev, strict), nil
	if err := d.load(ctx); err != nil {
		return err
	}
	d.f = (d.frames-1)/d.model.vae.StrideT() + 1
	latent := 4 * int64(d.model.vae.Channels()*d.f*d.h*d.w)
	d.count.Hold(programBytes + pieceBytes*int64(d.model.text.Vocab()) + latent)
	if d.picture != nil {
		size := d.picture.Bounds().Size()
		d.count.Hold(4 * int64(size.X*size.Y))
	}
	err := errors.Join(d.phase(ctx, "text", d.encodeText), d.phase(ctx, "picture", d.encodePicture))
	if err != nil {
		return err
	}
	work := (3 + solverLatents(d.job.Solver)) * latent // velocities, preview and solver
	d.count.Hold(work)
	if err := d.sample(ctx); err != nil {
		return err
	}
	d.count.Hold(-3 * latent)
	return d.phase(ctx, "decode", d.decode)
}

// What the program itself holds, as measured: its own tables and stacks, and a piece
// of the tokenizer.
const (
	programBytes = 12 << 20
	pieceBytes   = 150
)

// solverLatents is how many latents a solver keeps.
func solverLatents(solver string) int64 {
	if solver == denoise.DPMPP {
		return 1
	}
	return 3
}

func (d *draft) load(ctx context.Context) (err error) {
	if d.model.text, err = umt5.Load(ctx, d.count, d.text); err != nil {
		return err
	}
	if d.model.vae, err = vae.Load(ctx, d.count, d.vae, d.statistics); err != nil {
		return err
	}
	d.model.experts = map[string]*wan.Model{}
	for _, name := range d.names() {
		if d.model.experts[name], err = wan.Load(ctx, d.count, d.experts[name].Store, d.experts[name].Config); err != nil {
			return err
		}
	}
	for i := range d.tokens {
		for _, m := range d.model.experts {
			d.tokens[i] = min(d.tokens[i], m.Config.TextLen)
		}
	}
	return nil
}

// phase runs a phase, or one of the tiles that it consists of.
func (d *draft) phase(ctx context.Context, name string, f func(ctx context.Context) error) error {
	phase, err := d.count.Phase(name, func() error { return f(ctx) })
	if name == "picture" || name == "decode" {
		phase = phase.Repeated(d.model.vae.Tiles(d.h, d.w, d.job.VAETile))
	}
	d.phases = append(d.phases, phase)
	return err
}

func (d *draft) encodeText(ctx context.Context) error {
	for _, n := range d.tokens {
		if _, err := d.model.text.Encode(ctx, make([]int32, n)); err != nil {
			return err
		}
		d.count.Hold(4 * int64(n*d.model.text.Dim()))
	}
	if d.job.Offload {
		d.model.text.Close()
	}
	return nil
}

func (d *draft) encodePicture(ctx context.Context) error {
	first := 3 * 4 * int64(d.width*d.height)
	d.count.Hold(first)
	defer d.count.Hold(-first)
	_, err := d.model.vae.Encode(ctx, nil, d.frames, d.height, d.width, d.job.VAETile)
	return err
}

// sample goes through the experts as the schedule does.
func (d *draft) sample(ctx context.Context) error {
	legs, err := d.legs()
	if err != nil {
		return err
	}
	var session *wan.Session
	expert := ""
	defer func() {
		if session != nil {
			session.Close()
		}
	}()
	for _, leg := range legs {
		name := leg.expert
		if name != expert {
			if session != nil {
				session.Close()
			}
			expert = name
			err := d.phase(ctx, "prepare "+name, func(ctx context.Context) (err error) {
				session, err = d.session(ctx, name)
				return err
			})
			if err != nil {
				return err
			}
		}
		err := d.phase(ctx, "sample "+name, func(ctx context.Context) error {
			for text := range leg.passes {
				if err := session.Velocity(ctx, nil, 0, text, nil); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		last := &d.phases[len(d.phases)-1]
		*last = last.Repeated(leg.steps)
		last.Times = leg.steps
	}
	return nil
}

// leg is some steps of one expert with as many passes each.
type leg struct {
	expert        string
	passes, steps int
}

// legs returns those of the schedule, in order.
func (d *draft) legs() (legs []leg, err error) {
	solver, err := denoise.New(d.job.Solver, d.job.Steps, d.job.Shift)
	if err != nil {
		return nil, err
	}
	for _, t := range solver.Timesteps() {
		l := leg{expertAt(t, d.job.Boundary, d.model.experts), 2, 0}
		if d.job.scale(t) == 1 {
			l.passes = 1
		}
		if n := len(legs); n == 0 || legs[n-1].expert != l.expert || legs[n-1].passes != l.passes {
			legs = append(legs, l)
		}
		legs[len(legs)-1].steps++
	}
	return legs, nil
}

// session makes the session of an expert.
func (d *draft) session(ctx context.Context, name string) (*wan.Session, error) {
	m, positions := d.model.experts[name], d.f*d.h*d.w
	// The mask, and mask and picture together; the rays of the camera's path.
	held := 4 * int64(positions*(d.model.vae.StrideT()+m.Config.InDim-m.Config.OutDim))
	if d.camera {
		held += 4*int64(positions*m.CameraChannels) + 3*4*int64(d.width*d.height)
	}
	d.count.Hold(held)
	defer d.count.Hold(-held)
	in := wan.Input{F: d.f, H: d.h, W: d.w, Camera: d.camera, Reuse: d.job.Reuse, AttentionType: d.job.attention()}
	for _, n := range d.tokens {
		in.Contexts = append(in.Contexts, wan.Context{Tokens: n})
	}
	return m.NewSession(ctx, in)
}

func (d *draft) decode(ctx context.Context) error {
	pixels := int64(d.width * d.height)
	sheet := int64(min(d.frames, sheetPictures)) * min(pixels, sheetPixels)
	held := videoBytes*pixels + 2*4*sheet // the frame at hand and the encoder's; the contact sheet and its pictures
	if d.job.DumpFile != "" {
		held += int64(d.frames) * 3 * 4 * pixels
	}
	d.count.Hold(held)
	defer d.count.Hold(-held)
	options := vae.DecodeOptions{Chunk: d.job.vaeChunk(d.frames), Tile: d.job.VAETile}
	return d.model.vae.Decode(ctx, nil, d.f, d.h, d.w, options, func(int, []float32) error { return nil })
}

// What the video's files take while they are written: bytes a pixel of a frame, as
// measured, and the pictures of the contact sheet and their pixels.
const (
	videoBytes    = 24
	sheetPictures = 12
	sheetPixels   = 400 * 250
)
