package roofline

import "math"

// Dispatch is what the model knows of one dispatch.
type Dispatch struct {
	Groups   int // threadgroups
	Threads  int // of each
	FLOPs    float64
	Matmul2D bool    // at the rate of the Neural Accelerators
	Useful   float64 // the share of what the threads compute that is asked for; 0 for all
	Bytes    int64   // that come from and go to memory
}

// Time returns how long d takes at the chip's peak, of arithmetic at the occupancy or of
// the memory's bandwidth, whichever takes longer. The occupancy is the share of the chip's
// lanes that compute what is asked for: tiles reach beyond the edges of matrices, and the
// last threadgroups do not fill all cores.
func (c Chip) Time(d Dispatch) (seconds, occupancy float64) {
	waves := float64(d.Groups) / float64(c.Resident(d.Threads))
	occupancy = waves / math.Ceil(waves)
	if d.Useful > 0 {
		occupancy *= d.Useful
	}
	rate := c.FLOPS()
	if d.Matmul2D {
		rate *= c.Speedup()
	}
	return max(d.FLOPs/rate/occupancy, float64(d.Bytes)/c.Bandwidth), occupancy
}
