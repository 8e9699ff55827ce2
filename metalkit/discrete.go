package metalkit

import (
	"context"
	"fmt"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
)

// partBytes is how much is copied to or from a GPU of its own memory between two looks
// at the context.
const partBytes = 64 << 20

// clear fills memory with zeros.
func (d *gpu) clear(m memory, size int64) error {
	if far, ok := d.drv.(driver.Discrete); ok {
		return far.Zero(m.Memory, size)
	}
	clear(m.Host)
	return nil
}

// fill copies src to the beginning of m.
func (d *gpu) fill(ctx context.Context, m memory, src []byte) error {
	far, ok := d.drv.(driver.Discrete)
	if !ok {
		copy(m.Host, src)
		return nil
	}
	return inParts(ctx, len(src), func(first, last int) error { return far.Write(m.Memory, int64(first), src[first:last]) })
}

// Write implements device.Device.
func (d *gpu) Write(ctx context.Context, dst device.Buffer, src []byte) error {
	if _, ok := d.drv.(driver.Discrete); !ok {
		return d.Device.Write(ctx, dst, src)
	}
	b := d.FindWritable(dst)
	if err := sameSize("write", b.Desc(), len(src)); err != nil {
		return err
	}
	if err := d.fill(ctx, b.Mem, src); err != nil {
		return fmt.Errorf("metalkit: write of %q: %w", b.Desc().Label, err)
	}
	return nil
}

// Read implements device.Device.
func (d *gpu) Read(ctx context.Context, dst []byte, src device.Buffer) error {
	far, ok := d.drv.(driver.Discrete)
	if !ok {
		return d.Device.Read(ctx, dst, src)
	}
	b := d.Find(src)
	if err := sameSize("read", b.Desc(), len(dst)); err != nil {
		return err
	}
	err := inParts(ctx, len(dst), func(first, last int) error { return far.Read(dst[first:last], b.Mem.Memory, int64(first)) })
	if err != nil {
		return fmt.Errorf("metalkit: read of %q: %w", b.Desc().Label, err)
	}
	return nil
}

func sameSize(what string, d device.Desc, n int) error {
	if int64(n) != d.Bytes() {
		return fmt.Errorf("metalkit: %s of %q, %d bytes: %d are given", what, d.Label, d.Bytes(), n)
	}
	return nil
}

// inParts calls f with parts of n bytes until ctx ends.
func inParts(ctx context.Context, n int, f func(first, last int) error) error {
	for first := 0; ; first += partBytes {
		if err := ctx.Err(); err != nil {
			return err
		}
		if first >= n {
			return nil
		}
		if err := f(first, min(first+partBytes, n)); err != nil {
			return err
		}
	}
}
