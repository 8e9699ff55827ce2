package driver

import "testing"

func TestHasMatmul2D(t *testing.T) {
	for _, c := range []struct {
		macOS        Version
		architecture string
		want         bool
	}{
		{Version{26, 2}, "applegpu_g17s", true}, {Version{26, 2}, "applegpu_g17g", true}, {Version{27, 0}, "applegpu_g18d", true},
		{Version{26, 1}, "applegpu_g17s", false}, {Version{25, 9}, "applegpu_g17s", false}, {Version{26, 2}, "applegpu_g16s", false},
		{Version{26, 2}, "applegpu_g17p", false}, {Version{26, 2}, "applegpu_g18p", true}, {Version{27, 0}, "applegpu_g13g", false},
		{Version{26, 2}, "", false}, {Version{26, 2}, "applegpu", false}, {Version{26, 2}, "other_17", false}, {Version{}, "applegpu_g17s", false},
		{Version{26, 2}, "applegpu_g99999999999999999999s", false},
	} {
		if got := HasMatmul2D(c.macOS, c.architecture); got != c.want {
			t.Errorf("macOS %v, %q: %v", c.macOS, c.architecture, got)
		}
	}
}
