package wan

// grid is a latent's size in patches, and the patch.
type grid struct {
	f, h, w    int
	pt, ph, pw int
}

func (g grid) tokens() int { return g.f * g.h * g.w }

// patchSize is the number of latent positions in a patch.
func (g grid) patchSize() int { return g.pt * g.ph * g.pw }

// patchify writes the patches of src, [channels, f*pt, h*ph, w*pw], to columns from,
// from+1, ... of dst, rows of cols values, one row per token. A token's values are
// ordered (channel, t, y, x), as a convolution's filter is. Without src or dst, as on a dry
// device, it does nothing; likewise unpatchify.
func (g grid) patchify(dst []float32, cols, from int, src []float32, channels int) {
	if dst == nil || src == nil {
		return
	}
	width, height := g.w*g.pw, g.h*g.ph
	size := g.patchSize()
	for c := range channels {
		for t := range g.f * g.pt {
			for y := range height {
				line := src[((c*g.f*g.pt+t)*height+y)*width:][:width]
				token := (t/g.pt*g.h + y/g.ph) * g.w
				col := from + c*size + (t%g.pt*g.ph+y%g.ph)*g.pw
				for x := range g.w {
					copy(dst[(token+x)*cols+col:][:g.pw], line[x*g.pw:])
				}
			}
		}
	}
}

// unpatchify writes the tokens src, rows of values ordered (t, y, x, channel), to
// dst, [channels, f*pt, h*ph, w*pw].
func (g grid) unpatchify(dst, src []float32, channels int) {
	if dst == nil || src == nil {
		return
	}
	width, height := g.w*g.pw, g.h*g.ph
	cols := channels * g.patchSize()
	for c := range channels {
		for t := range g.f * g.pt {
			for y := range height {
				line := dst[((c*g.f*g.pt+t)*height+y)*width:][:width]
				token := (t/g.pt*g.h + y/g.ph) * g.w
				pixel := (t%g.pt*g.ph + y%g.ph) * g.pw
				for x := range line {
					line[x] = src[(token+x/g.pw)*cols+(pixel+x%g.pw)*channels+c]
				}
			}
		}
	}
}
