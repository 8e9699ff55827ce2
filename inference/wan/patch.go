package wan

// grid is a latent's size in patches, and the patch.
type grid struct {
	f, h, w    int
	pt, ph, pw int
}

func (g grid) tokens() int { return g.f * g.h * g.w }

// volume is the number of latent positions in a patch.
func (g grid) volume() int { return g.pt * g.ph * g.pw }

// patchify writes the patches of src, [channels, f*pt, h*ph, w*pw], to columns from,
// from+1, ... of dst, rows of cols values, one row a token. A token's values are
// ordered (channel, t, y, x), as a convolution's filter is.
func (g grid) patchify(dst []float32, cols, from int, src []float32, channels int) {
	width, height := g.w*g.pw, g.h*g.ph
	volume := g.volume()
	for c := range channels {
		for t := range g.f * g.pt {
			for y := range height {
				line := src[((c*g.f*g.pt+t)*height+y)*width:][:width]
				token := (t/g.pt*g.h + y/g.ph) * g.w
				col := from + c*volume + (t%g.pt*g.ph+y%g.ph)*g.pw
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
	width, height := g.w*g.pw, g.h*g.ph
	cols := channels * g.volume()
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
