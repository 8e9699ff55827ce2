package metalkit

import (
	"context"
	"fmt"

	"gimbal/inference/device"
)

// Checked is one way of running an operation, which SelfCheck compared with the CPU.
type Checked struct {
	Operation string // such as "Linear"
	Variant   string // of it; "" where it has one only
	Wrong     string // by how much it differs, if by too much
	Err       error  // why it was not compared; device.ErrUnsupported where there is nothing small to compare
}

// SelfCheck runs small operations like op, whose buffers need not be dev's, by each of the variants
// that dev has for it, and compares them with Options.Oracle. It fails where dev is no device of this
// package, or was opened without an oracle.
func SelfCheck(ctx context.Context, dev device.Device, op device.Op) (list []Checked, err error) {
	d, ok := dev.(*gpu)
	if !ok || d.oracle.open == nil {
		return nil, fmt.Errorf("metalkit: there are no kernels to check, or no device to compare them with: %w", device.ErrUnsupported)
	}
	names, numbers := []string{""}, []int{-1}
	for i, c := range d.candidates(op) {
		if i == 0 {
			names, numbers = nil, nil
		}
		names, numbers = append(names, c.Name), append(numbers, c.Variant)
	}
	err = d.Submit(ctx, "self-check", func() error {
		for i, v := range numbers {
			c := Checked{Operation: op.Name(), Variant: names[i]}
			_, c.Wrong, c.Err = d.compareTwins(ctx, op, v, 8)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			list = append(list, c)
			if d.lost != nil {
				return d.lost
			}
		}
		return nil
	})
	return list, err
}
