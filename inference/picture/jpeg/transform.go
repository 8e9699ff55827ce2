package jpeg

// Factors of the transform, in units of 1/8192. Source: Loeffler, Ligtenberg and Moschytz,
// Practical Fast 1-D DCT Algorithms with 11 Multiplications (1989), figure 1; the order of
// operations and the roundings are those of libjpeg's accurate integer transform.
const (
	f0298, f0390, f0541, f0765 = 2446, 3196, 4433, 6270
	f0899, f1175, f1501, f1847 = 7373, 9633, 12299, 15137
	f1961, f2053, f2562, f3072 = 16069, 16819, 20995, 25172

	unit = 13
	kept = 2 // more bits than samples have between the passes
)

// transform turns the coefficients of block x, y into its samples.
func (c *component) transform(b *[64]int16, x, y int) {
	var w [64]int32
	constant := true
	for k, v := range b {
		if v != 0 {
			w[zigzag[k]] = int32(v) * int32(c.quant[k])
			constant = constant && k == 0
		}
	}
	stride := 8 * c.stride
	out := c.samples[8*(y*stride+x):]
	if constant {
		v := clamp((w[0]<<kept+1<<(kept+2))>>(kept+3) + 128)
		for r := range 8 {
			row := out[r*stride:][:8]
			for i := range row {
				row[i] = v
			}
		}
		return
	}
	for i := range 8 {
		column := [8]int32{w[i], w[8+i], w[16+i], w[24+i], w[32+i], w[40+i], w[48+i], w[56+i]}
		inverse(&column, unit-kept)
		for j, v := range column {
			w[8*j+i] = v
		}
	}
	for i := range 8 {
		line := (*[8]int32)(w[8*i:])
		inverse(line, unit+kept+3)
		row := out[i*stride:][:8]
		for j, v := range line {
			row[j] = clamp(v + 128)
		}
	}
}

// inverse transforms eight values and divides them by 2^shift, rounded.
func inverse(v *[8]int32, shift uint) {
	z := (v[2] + v[6]) * f0541
	e2, e3 := z-v[6]*f1847, z+v[2]*f0765
	e0, e1 := (v[0]+v[4])<<unit, (v[0]-v[4])<<unit
	round := int32(1) << (shift - 1)
	a0, a3, a1, a2 := e0+e3+round, e0-e3+round, e1+e2+round, e1-e2+round

	o0, o1, o2, o3 := v[7], v[5], v[3], v[1]
	z1, z2, z3, z4 := -(o0+o3)*f0899, -(o1+o2)*f2562, o0+o2, o1+o3
	z5 := (z3 + z4) * f1175
	z3, z4 = z5-z3*f1961, z5-z4*f0390
	o0 = o0*f0298 + z1 + z3
	o1 = o1*f2053 + z2 + z4
	o2 = o2*f3072 + z2 + z3
	o3 = o3*f1501 + z1 + z4

	v[0], v[7] = (a0+o3)>>shift, (a0-o3)>>shift
	v[1], v[6] = (a1+o2)>>shift, (a1-o2)>>shift
	v[2], v[5] = (a2+o1)>>shift, (a2-o1)>>shift
	v[3], v[4] = (a3+o0)>>shift, (a3-o0)>>shift
}
