package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/device/profile"
	"gimbal/inference/output"
	"gimbal/metalkit"
)

// timedDevice is a device with a profile and what it is compared with.
type timedDevice struct {
	*profile.Device
	peak profile.Peak
}

// newProfile times dev.
func newProfile(ctx context.Context, dev device.Device) (*timedDevice, error) {
	peak, err := peakOf(ctx, dev)
	if err != nil {
		return nil, fmt.Errorf("profile: %w", err)
	}
	return &timedDevice{Device: profile.New(dev), peak: peak}, nil
}

// peakOf returns the peak of a device: that of its chip, or else what it does in a short
// measurement.
func peakOf(ctx context.Context, dev device.Device) (profile.Peak, error) {
	name := dev.Info().Name
	if chip, ok := metalkit.FindChip(name); ok {
		source := name + " with its largest GPU"
		if s := chip.Speedup(); s > 1 {
			source += fmt.Sprintf(", without its Neural Accelerators, by which matmul2d may do %g times as much", s)
		}
		return profile.Peak{FLOPS: chip.FLOPS(), Bandwidth: chip.Bandwidth, Source: source}, nil
	}
	peak, err := profile.Measure(ctx, dev)
	if err != nil {
		return peak, fmt.Errorf("measure the device: %w", err)
	}
	return peak, nil
}

// profileFiles are the trace at path and the table beside it; none for no path.
func profileFiles(path string) []output.File {
	if path == "" {
		return nil
	}
	return []output.File{
		{Setting: "profile", Path: path, Ours: profile.MadeTrace},
		{Setting: "profile", Path: strings.TrimSuffix(path, ".json") + ".txt", Ours: profile.MadeTable},
	}
}

// save writes the trace to path and the table beside it, and to w.
func (d *timedDevice) save(path string, w io.Writer) error {
	files := profileFiles(path)
	if err := output.WriteFile(files[0].Path, d.WriteTrace); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	var table bytes.Buffer
	if err := d.WriteTable(&table, d.peak); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	err := output.WriteFile(files[1].Path, func(w io.Writer) error {
		_, err := w.Write(table.Bytes())
		return err
	})
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	_, err = fmt.Fprintf(w, "%strace: %s\ntable: %s\n", table.Bytes(), files[0].Path, files[1].Path)
	return err
}
