package metalkit

import (
	"fmt"

	"gimbal/inference/device"
)

// Describe implements device.Device.
func (d *gpu) Describe() []device.Property {
	l := d.limits
	accelerators := "no"
	if l.Matmul2D {
		accelerators = "yes, by matmul2d where it is the fastest"
	}
	return append([]device.Property{
		{Name: "system", Value: l.System},
		{Name: "recommended working set", Value: gibibytes(l.WorkingSet)},
		{Name: "largest buffer", Value: gibibytes(l.MaxBuffer)},
		{Name: "threads of a threadgroup", Value: fmt.Sprint(l.MaxThreads)},
		{Name: "threadgroup memory", Value: fmt.Sprintf("%d KiB", l.MaxShared>>10)},
		{Name: "compute types", Value: "BF16, F16, F32"},
		{Name: "Neural Accelerators", Value: accelerators},
	}, d.switchedOff()...)
}

func gibibytes(n int64) string { return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30)) }
