package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
)

// pipeline makes clips of two guided steps, one of each expert, with the camera's
// branch kept and computed anew, and compares what comes out.
func (p *proof) pipeline() error {
	dir, err := p.folder()
	if err != nil {
		return err
	}
	for _, frames := range p.frames {
		path, err := clip.Builtin("orbit-left", frames)
		if err == nil {
			err = path.Write(p.file(fmt.Sprintf("camera-%d", frames)))
		}
		if err != nil {
			return err
		}
		for _, f := range p.forms {
			if err := p.clips(dir, frames, f); err != nil {
				return fmt.Errorf("%d frames, %v: %w", frames, f, err)
			}
		}
	}
	return nil
}

// clips makes the two clips of a length.
func (p *proof) clips(dir string, frames int, f form) error {
	var first []float32
	for _, kept := range []bool{true, false} {
		row, latent, err := p.clip(dir, frames, f, kept)
		if err != nil {
			return err
		}
		if first == nil {
			first = latent
		}
		relative := bench.RelL2(latent, first)
		row.Error = &relative
		if err := p.add(row); err != nil {
			return err
		}
	}
	return nil
}

// clip makes a clip and returns its latent.
func (p *proof) clip(dir string, frames int, f form, kept bool) (row Row, latent []float32, err error) {
	dev, err := p.open(f.compute)
	if err != nil {
		return row, nil, err
	}
	defer func() { err = errors.Join(err, dev.Close()) }()
	kind := inference.QuantNone // the checkpoint's own bf16
	if f.weights == "int8" || f.weights == "nf4" {
		kind = inference.Quant(f.weights)
	} else {
		f.weights = "bf16"
	}
	progress("loading the pipeline")
	pipe, err := engine.Load(p.ctx, dev, dir, kind, func(inference.Event) {})
	if err != nil {
		return row, nil, err
	}
	defer pipe.Close()
	job := p.job(dir, frames)
	pipe.Reuse.Camera = kept
	row = Row{
		Case: "camera kept", Weights: f.weights, Compute: strings.ToLower(f.compute.String()), Frames: frames,
		Device: dev.Info().Name, Values: map[string]float64{},
	}
	if !kept {
		row.Case = "camera anew"
	}
	planned, err := pipe.Plan(p.ctx, job)
	if err != nil {
		return row, nil, err
	}
	for _, phase := range planned.Phases {
		row.Planned = max(row.Planned, phase.Buffers+phase.Scratch)
	}
	_, err = pipe.Generate(p.ctx, job, "", func(e inference.Event) {
		switch e := e.(type) {
		case inference.Step:
			progress("step %d, %s: %.2f s", e.Index, e.Expert, e.Seconds)
			row.Values[e.Expert+"_seconds"] = e.Seconds
			row.Seconds += e.Seconds
		case inference.Saved:
			row.Values["total_seconds"] = e.Seconds
		}
	})
	if err != nil {
		return row, nil, err
	}
	row.Peak = dev.Info().Peak
	tensors, err := bench.ReadTensors(job.DumpFile, "latent")
	latent = tensors["latent"]
	if err == nil {
		_, err = rms(latent)
	}
	return row, latent, err
}

// job is two guided steps, of which the first is the high-noise expert's.
func (p *proof) job(dir string, frames int) inference.Job {
	job := inference.DefaultJob()
	job.Image, job.ActionPath = filepath.Join(dir, "picture.png"), p.file(fmt.Sprintf("camera-%d", frames))
	job.Prompt, job.Frames, job.Steps = "a quiet street by the sea, seen by one who walks", frames, 2
	job.MaxArea = p.height*p.width + 1 // or the rule that finds the sides rounds down to the next smaller ones
	job.Output, job.DumpFile = p.file("clip.mp4"), p.file("clip.safetensors")
	return job
}

// folder makes a checkpoint of two experts, with the same weights, of a VAE, and of the
// text encoder of another checkpoint.
func (p *proof) folder() (string, error) {
	dir := p.file("checkpoint")
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	part := dir + ".part"
	if err := errors.Join(os.RemoveAll(part), os.MkdirAll(part, 0o777), p.link(part)); err != nil {
		return "", err
	}
	text, err := textChannels(p.checkpoint)
	if err != nil {
		return "", err
	}
	d := p.dims
	d.Text = text
	if err := p.expertFolders(part, d.ExpertSizes()); err != nil {
		return "", err
	}
	store, err := p.stored("vae.safetensors", d.VAESizes().Table(), device.F32)
	if err != nil {
		return "", err
	}
	err = errors.Join(store.Close(), os.Link(p.file("vae.safetensors"), filepath.Join(part, "Wan2.1_VAE.safetensors")), p.picture(part))
	return dir, errors.Join(err, os.Rename(part, dir))
}

// expertFolders writes the experts: one file, which both have.
func (p *proof) expertFolders(dir string, sizes weights.WanSizes) error {
	store, err := p.stored("pipeline-expert.safetensors", sizes.Table(), device.BF16)
	if err != nil {
		return err
	}
	errs := []error{err, store.Close()}
	for _, name := range []string{weights.HighNoise, weights.LowNoise} {
		name = filepath.Join(dir, name)
		errs = append(errs, os.Mkdir(name, 0o777), weights.WriteWanConfig(filepath.Join(name, weights.ConfigFile), sizes.Config),
			os.Link(p.file("pipeline-expert.safetensors"), filepath.Join(name, "diffusion_pytorch_model.safetensors")))
	}
	return errors.Join(errs...)
}

// link links text encoder and tokenizer of the other checkpoint into dir.
func (p *proof) link(dir string) error {
	from, err := filepath.Abs(p.checkpoint)
	if err != nil {
		return err
	}
	list, err := os.ReadDir(from)
	for _, entry := range list {
		if name := entry.Name(); name == "google" || strings.Contains(name, "t5") {
			err = errors.Join(err, os.Symlink(filepath.Join(from, name), filepath.Join(dir, name)))
		}
	}
	return err
}

// textChannels returns how many channels the text encoder of a checkpoint has.
func textChannels(dir string) (int, error) {
	layout, err := weights.OpenLayout(dir)
	if err != nil {
		return 0, err
	}
	defer layout.Close()
	sizes, err := weights.ReadUMT5Sizes(layout.Text)
	return sizes.Dim, err
}

// picture writes a picture of the clip's size, of soft colours.
func (p *proof) picture(dir string) error {
	img := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
	for y := range p.height {
		for x := range p.width {
			img.Set(x, y, color.RGBA{uint8(x * 255 / p.width), uint8(y * 255 / p.height), 128, 255})
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, img); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "picture.png"), data.Bytes(), 0o666)
}
