package jpeg

// A progressive file may end before all bits of its coefficients have come. libjpeg estimates
// those that are missing near DC from the DC of the 25 blocks around, so that the picture
// does not look like tiles, and so does this package.

// estimated is how many coefficients, with DC and in coded order, are estimated at most.
const estimated = 10

// kernel weighs the DC of the blocks around, row by row, in units of 1/256.
type kernel [25]int32

// kernels are used where bits of some AC coefficients came; wideKernels where none came,
// among them one for DC itself.
var (
	kernels = [6]kernel{
		1: {10: -7, 50, 0, -50, 7},
		2: {2: -7, 7: 50, 17: -50, 22: 7},
		3: {2: -1, 7: 13, 12: -24, 17: 13, 22: -1},
		4: {1: -1, 3: 1, 5: -1, 10, 0, -10, 1, 15: 1, -10, 0, 10, -1, 21: 1, 23: -1},
		5: {10: -1, 13, -24, 13, -1},
	}
	wideKernels = [estimated]kernel{
		{-2, -6, -8, -6, -2, -6, 6, 42, 6, -6, -8, 42, 152, 42, -8, -6, 6, 42, 6, -6, -2, -6, -8, -6, -2},
		{-1, -1, 0, 1, 1, -3, 13, 0, -13, 3, -3, 38, 0, -38, 3, -3, 13, 0, -13, 3, -1, -1, 0, 1, 1},
		{-1, -3, -3, -3, -1, -1, 13, 38, 13, -1, 0, 0, 0, 0, 0, 1, -13, -38, -13, 1, 1, 3, 3, 3, 1},
		{2: 1, 6: 2, 7, 2, 11: -5, -14, -5, 16: 2, 7, 2, 22: 1},
		{-1, 0, 0, 0, 1, 6: 9, 0, -9, 16: -9, 0, 9, 20: 1, 0, 0, 0, -1},
		{6: 2, -5, 2, 10: 1, 7, -14, 7, 1, 16: 2, -5, 2},
		{6: 1, 0, -1, 11: 2, 0, -2, 16: 1, 0, -1},
		{6: 1, -3, 1, 16: -1, 3, -1},
		{6: 1, 0, -1, 11: -3, 0, 3, 16: 1, 0, -1},
		{6: 1, 2, 1, 16: -1, -2, -1},
	}
)

// unfinished reports whether a progressive picture has coefficients to estimate.
func (d *decoder) unfinished() bool {
	useful := false
	for _, c := range d.components {
		if c.missing[0] < 0 {
			return false
		}
		for k := range estimated {
			if c.quant[k] == 0 {
				return false
			}
			useful = useful || k > 0 && c.missing[k] != 0
		}
	}
	return useful
}

// smooth returns block x, y with what is missing estimated.
func (c *component) smooth(x, y, down int) [64]int16 {
	around := c.around(x, y, down)
	b := c.coefficients[y*c.stride+x]
	all, first := kernels[:], 1
	if none := [estimated]int8{c.missing[0], -1, -1, -1, -1, -1, -1, -1, -1, -1}; [estimated]int8(c.missing[:]) == none {
		all, first = wideKernels[:], 0
	}
	for k := first; k < len(all); k++ {
		if k > 0 && (c.missing[k] == 0 || b[k] != 0) {
			continue
		}
		sum := int32(0)
		for i, weight := range all[k] {
			sum += weight * around[i]
		}
		v := int64(sum) * int64(c.quant[0])
		q := int64(c.quant[k])
		estimate := (q<<7 + max(v, -v)) / (q << 8)
		if low := c.missing[k]; k > 0 && low > 0 {
			estimate = min(estimate, 1<<low-1) // or it would have come
		}
		if v < 0 {
			estimate = -estimate
		}
		b[k] = int16(estimate)
	}
	return b
}

// around returns the DC of the blocks around x, y, those of the edge standing for those past
// it. The lowest MCUs, of which there are down, may have fewer rows of blocks than others,
// and libjpeg counts the rows above by theirs.
func (c *component) around(x, y, down int) (dc [25]int32) {
	mcu, rows := y/c.v, c.v
	if mcu == down-1 {
		rows = c.high - mcu*c.v
	}
	at := mcu*rows + y%c.v
	above, below := min(2, at), min(2, max(0, rows*down-1-at))
	for i := range dc {
		bx := max(0, min(c.wide-1, x+i%5-2))
		by := y + max(-above, min(below, i/5-2))
		dc[i] = int32(c.coefficients[by*c.stride+bx][0])
	}
	return dc
}
