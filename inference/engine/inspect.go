package inference

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference/camera"
	"gimbal/inference/device"
	"gimbal/inference/weights"
)

// Inspect writes what the folder dir holds to w, a checkpoint or a camera action
// folder, and returns an error that joins everything that is wrong with it.
// Weights are mapped onto dev to check their shapes, not read.
func Inspect(ctx context.Context, dev device.Device, dir string, w io.Writer) error {
	for _, name := range []string{"poses.npy", "intrinsics.npy", "action.npy"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return inspectCamera(dir, w)
		}
	}
	return inspectCheckpoint(ctx, dev, dir, w)
}

func inspectCamera(dir string, w io.Writer) error {
	path, err := camera.Open(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "camera path %s: %d poses, videos of up to %d frames\n", dir, path.Frames(), path.EffectiveFrames(maxFrames))
	if path.SpeedLost() {
		fmt.Fprintln(w, "the model sees the path scaled so that its largest step has length 1: absolute speed is lost")
	}
	return nil
}

func inspectCheckpoint(ctx context.Context, dev device.Device, dir string, w io.Writer) error {
	parts, err := weights.Inspect(dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "checkpoint %s\n", dir)
	damaged := false
	for _, part := range parts {
		fmt.Fprintln(w, "  "+describe(part))
		damaged = damaged || part.Err != nil
	}
	if damaged {
		var errs []error
		for _, part := range parts {
			errs = append(errs, part.Err)
		}
		return errors.Join(errs...)
	}
	p, err := Load(ctx, Options{Checkpoint: dir, Device: dev}, func(Event) {})
	if err != nil {
		return err
	}
	defer p.Close()
	control := "follows camera paths"
	if !p.HasCamera() {
		control = "has no camera control"
	}
	fmt.Fprintf(w, "  whole: every tensor is there and of the right shape; the model %s\n", control)
	return nil
}

func describe(part weights.Part) string {
	if part.Path == "" {
		return part.Name + ": not there"
	}
	text := fmt.Sprintf("%s: %.1f MB in %s", part.Name, float64(part.Bytes)/1e6, part.Path)
	var types []string
	for _, name := range slices.Sorted(maps.Keys(part.DTypes)) {
		types = append(types, fmt.Sprintf("%d %s", part.DTypes[name], name))
	}
	if len(types) > 0 {
		text += ", tensors: " + strings.Join(types, ", ")
	}
	if c := part.Config; c != nil {
		text += fmt.Sprintf("; %d layers, %d wide, %d heads, feed-forward %d", c.NumLayers, c.Dim, c.NumHeads, c.FFNDim)
	}
	if part.Err != nil {
		text += "; DAMAGED"
	}
	return text
}
