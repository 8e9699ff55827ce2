package picture

import (
	"strings"
	"testing"

	"gimbal/inference/picture/picturetest"
)

// FuzzColours holds what is made of ICC profiles and code points to levels, whatever they
// say.
func FuzzColours(f *testing.F) {
	for _, c := range picturetest.Cases(f) {
		data := c.Data(f)
		if kind, err := sniff(data); err == nil && c.Right != nil && len(data) > 40 {
			if n := kind.notes(data); n.colours.icc != nil || strings.HasPrefix(c.Name, "cicp") {
				f.Add(n.colours.icc, n.colours.cicp, 0.31, 1/2.2)
			}
		}
	}
	f.Fuzz(func(t *testing.T, icc, cicp []byte, x, gamma float64) {
		chromas := append([]float64{x}, bt709[1:]...)
		for _, n := range []notes{{colours: colours{icc: icc}}, {colours: colours{cicp: cicp}}, {colours: colours{gamma: gamma, chromas: chromas}}} {
			if transform := n.transform(); transform != nil {
				for v := range 5 {
					levels(transform(float64(v)/4, 0.5, 1-float64(v)/4))
				}
			}
		}
	})
}
