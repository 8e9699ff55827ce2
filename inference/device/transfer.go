package device

import "context"

// Floats returns n values for the host's side of a transfer. A dry device counts them as
// held, and there are none.
func Floats(dev Device, n int) []float32 {
	dev.Hold(4 * int64(n))
	if dev.Info().Dry {
		return nil
	}
	return make([]float32, n)
}

// Fill writes to the whole of dst, an F32 buffer of dev, the values that fill makes.
func Fill(ctx context.Context, dev Device, dst Buffer, fill func(values []float32)) error {
	n := dst.Desc().Len()
	values := Floats(dev, n)
	defer dev.Hold(-4 * int64(n))
	if values == nil {
		return ctx.Err()
	}
	fill(values)
	return dev.Write(ctx, dst, Bytes(values))
}
