package bench

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference/clip"
	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// folder is a temporary folder with a checkpoint and with what goes into and comes out
// of runs. Files of another checkpoint are linked, so that quantised weights which
// runs make stay in here.
type folder struct {
	path       string
	checkpoint string // the folder of it
}

// folder makes the folder for a benchmark; the caller removes it.
func (o Options) folder(ctx context.Context) (*folder, error) {
	path, err := os.MkdirTemp(o.Temp, "gimbal-bench-*")
	if err != nil {
		return nil, err
	}
	f := &folder{path, filepath.Join(path, "checkpoint")}
	if err := f.fill(ctx, o); err != nil {
		return nil, errors.Join(err, f.remove())
	}
	return f, nil
}

func (f *folder) remove() error { return os.RemoveAll(f.path) }

func (f *folder) fill(ctx context.Context, o Options) error {
	own := func(string) bool { return false } // what is not linked
	if o.Dims != nil {
		own = func(name string) bool {
			name = strings.ToLower(name)
			return strings.Contains(name, "noise_model") || strings.Contains(name, "vae")
		}
	}
	if err := errors.Join(f.link(o.Checkpoint, own), f.camera(o.frames())); err != nil || o.Dims == nil {
		return err
	}
	o.Progress("writing random weights: " + o.Dims.String())
	text, err := textDim(o.Checkpoint)
	if err != nil {
		return err
	}
	if err := f.expert(ctx, *o.Dims, text); err != nil {
		return err
	}
	if err := f.vae(ctx, *o.Dims); err != nil {
		return err
	}
	return f.picture(*o.Dims)
}

// link links the files of the checkpoint in dir, but for cached weights and own ones.
func (f *folder) link(dir string, own func(name string) bool) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		to := filepath.Join(f.checkpoint, rel)
		switch {
		case entry.Name() == weights.CacheDir || rel != "." && own(rel):
			if entry.IsDir() {
				return fs.SkipDir
			}
			return nil
		case entry.IsDir():
			return os.Mkdir(to, 0o755)
		}
		return os.Symlink(path, to)
	})
}

// textDim returns the channels of the contexts that the checkpoint's experts read.
func textDim(dir string) (int, error) {
	layout, err := weights.OpenLayout(dir)
	if err != nil {
		return 0, err
	}
	defer layout.Close()
	for _, e := range layout.Experts {
		sizes, err := weights.ReadWanSizes(e.Store, e.Config)
		if err != nil {
			return 0, err
		}
		return sizes.TextDim, nil
	}
	panic("bench: a checkpoint without experts opens")
}

func (f *folder) expert(ctx context.Context, d Dims, text int) error {
	dir := filepath.Join(f.checkpoint, weights.LowNoise)
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	sizes := weights.Dims{Dim: d.Dim, FFN: d.FFN, Heads: d.Heads, Layers: d.Layers, Text: text}.ExpertSizes()
	if err := weights.WriteWanConfig(filepath.Join(dir, weights.ConfigFile), sizes.Config); err != nil {
		return err
	}
	return weights.WriteTemporary(filepath.Join(dir, "diffusion_pytorch_model.safetensors"), sizes.Table().Random(ctx, device.BF16), nil)
}

// vaeFile is the synthetic VAE.
const vaeFile = "Wan2.1_VAE.safetensors"

func (f *folder) vae(ctx context.Context, d Dims) error {
	table := weights.Dims{VAE: d.VAE}.VAESizes().Table()
	return weights.WriteTemporary(filepath.Join(f.checkpoint, vaeFile), table.Random(ctx, device.F32), nil)
}

// picturePath is what runs on random weights start from, cameraPath a path for runs that
// have none of their own.
func (f *folder) picturePath() string { return filepath.Join(f.path, "picture.png") }
func (f *folder) cameraPath() string  { return filepath.Join(f.path, "camera") }

// picture writes a picture of the clip's size, of soft colours.
func (f *folder) picture(d Dims) error {
	img := image.NewRGBA(image.Rect(0, 0, d.Width, d.Height))
	for y := range d.Height {
		for x := range d.Width {
			img.Set(x, y, color.RGBA{uint8(x * 255 / d.Width), uint8(y * 255 / d.Height), uint8((x*y/64)%256/2 + 64), 255})
		}
	}
	var data bytes.Buffer
	if err := png.Encode(&data, img); err != nil {
		return err
	}
	return os.WriteFile(f.picturePath(), data.Bytes(), 0o644)
}

// camera writes a path that moves ahead and to the right, a pose for each frame.
func (f *folder) camera(frames int) error {
	poses := make([]clip.Pose, frames)
	for i := range poses {
		t := float64(i) / 16
		poses[i] = clip.Pose{{1, 0, 0, t / 2}, {0, 1, 0, 0}, {0, 0, 1, t}, {0, 0, 0, 1}}
	}
	path, err := clip.NewPath(poses, slices.Repeat([]clip.Intrinsics{{500, 500, 416, 240}}, frames))
	if err != nil {
		return err
	}
	return path.Write(f.cameraPath())
}
