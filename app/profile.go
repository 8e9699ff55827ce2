package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"gimbal/inference/device"
	"gimbal/inference/device/profile"
	"gimbal/metalkit"
)

// timedDevice is a device with a profile and what it is compared with.
type timedDevice struct {
	*profile.Device
	peak profile.Peak
}

// newProfile times dev. Its peak is that of its chip, or else what it does in a short
// measurement.
func newProfile(ctx context.Context, dev device.Device) (*timedDevice, error) {
	d := &timedDevice{Device: profile.New(dev)}
	name := dev.Info().Name
	if chip, ok := metalkit.FindChip(name); ok {
		d.peak = profile.Peak{FLOPS: chip.FLOPS(), Bandwidth: chip.Bandwidth, Source: name + " with its largest GPU"}
		return d, nil
	}
	var err error
	if d.peak, err = profile.Measure(ctx, dev); err != nil {
		return nil, fmt.Errorf("profile: measure the device: %w", err)
	}
	return d, nil
}

// save writes the trace to path and the table beside it, and to w.
func (d *timedDevice) save(path string, w io.Writer) error {
	trace, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	if err := errors.Join(d.WriteTrace(trace), trace.Close()); err != nil {
		return fmt.Errorf("profile: write %s: %w", path, err)
	}
	var table bytes.Buffer
	if err := d.WriteTable(&table, d.peak); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	beside := strings.TrimSuffix(path, ".json") + ".txt"
	if err := os.WriteFile(beside, table.Bytes(), 0o666); err != nil {
		return fmt.Errorf("profile: %w", err)
	}
	_, err = fmt.Fprintf(w, "%strace: %s\ntable: %s\n", table.Bytes(), path, beside)
	return err
}
