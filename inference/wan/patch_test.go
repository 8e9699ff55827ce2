package wan

import (
	"slices"
	"testing"
)

func TestPatchify(t *testing.T) {
	g := grid{f: 2, h: 3, w: 2, pt: 2, ph: 3, pw: 4}
	const channels, from = 5, 7
	cols := from + channels*g.patchSize() + 1
	src := make([]float32, channels*g.tokens()*g.patchSize())
	for i := range src {
		src[i] = float32(i + 1)
	}
	dst := make([]float32, g.tokens()*cols)
	g.patchify(dst, cols, from, src, channels)

	want := make([]float32, len(dst))
	back := make([]float32, len(src)) // as the model's head orders them
	each := func(visit func(c, t, y, x, token, p, q, r int)) {
		for c := range channels {
			for t := range g.f * g.pt {
				for y := range g.h * g.ph {
					for x := range g.w * g.pw {
						token := (t/g.pt*g.h+y/g.ph)*g.w + x/g.pw
						visit(c, t, y, x, token, t%g.pt, y%g.ph, x%g.pw)
					}
				}
			}
		}
	}
	at := func(c, t, y, x int) int { return ((c*g.f*g.pt+t)*g.h*g.ph+y)*g.w*g.pw + x }
	each(func(c, t, y, x, token, p, q, r int) {
		want[token*cols+from+((c*g.pt+p)*g.ph+q)*g.pw+r] = src[at(c, t, y, x)]
		back[token*channels*g.patchSize()+((p*g.ph+q)*g.pw+r)*channels+c] = src[at(c, t, y, x)]
	})
	if !slices.Equal(dst, want) {
		t.Error("patchify: values in wrong places")
	}
	got := make([]float32, len(src))
	g.unpatchify(got, back, channels)
	if !slices.Equal(got, src) {
		t.Error("unpatchify: values in wrong places")
	}
}
