package engine

import (
	"errors"
	"path/filepath"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/vae"
)

func TestCheckSpace(t *testing.T) {
	dir := t.TempDir()
	c := &clip.Clip{Frames: 5, LatentFrames: 2, Size: clip.Size{Width: 32, Height: 32, LatentWidth: 4, LatentHeight: 4}}
	r := &run{p: &Pipeline{vae: &vae.VAE{}}, job: inference.Job{Output: filepath.Join(dir, "v.mp4")}, clip: c}
	if err := r.checkSpace(); err != nil {
		t.Error(err)
	}
	c.Frames, c.Width, c.Height = 1<<20, 1<<14, 1<<14 // more than disks hold
	err := r.checkSpace()
	var full *inference.DiskError
	if !errors.As(err, &full) || full.Folder != dir || full.Free >= full.Need {
		t.Errorf("error %v, want a DiskError of %s", err, dir)
	}
}
