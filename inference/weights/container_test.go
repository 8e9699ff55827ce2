package weights

import (
	"slices"
	"testing"
)

// TestContents opens containers whatever their names are.
func TestContents(t *testing.T) {
	torch := torchFile(member{"x/data.pkl", pickle(pairs{"a", view("CharStorage", "0", 0, tuple(3, 4), tuple(4, 1))})}, twelve)
	for name, file := range map[string][]byte{"x.safetensors": torch, "x.bin": torch, "x": one("a"), "x.ckpt": one("a")} {
		s, err := Open(tempFile(t, name, file))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !s.Has("a") {
			t.Errorf("%s holds %v", name, s.Names())
		}
		s.Close()
	}
	for name, field := range map[string]string{"x.pth": "format", "x.PTH": "format", "x.safetensors": "header length", "x": "header length"} {
		path := tempFile(t, name, []byte("\x01either of them"))
		_, err := Open(path)
		checkError(t, err, path, field, "", "")
	}
}

// TestKeys makes sure that names behind a prefix are the original ones, if all have it.
func TestKeys(t *testing.T) {
	for _, c := range []struct{ names, want []string }{
		{[]string{"model.diffusion_model.a", "model.diffusion_model.b.c"}, []string{"a", "b.c"}},
		{[]string{"model.model.a", "model.b"}, []string{"b", "model.a"}},
		{[]string{"model.a", "b"}, []string{"b", "model.a"}},
		{[]string{"models.a"}, []string{"models.a"}},
		{nil, nil},
	} {
		tensors := map[string]*entry{}
		for _, name := range c.names {
			tensors[name] = &entry{stored: name}
		}
		s := newStore("x", nil, contents{tensors: tensors}, "")
		if got := s.Names(); !slices.Equal(got, c.want) {
			t.Errorf("%v are %v, want %v", c.names, got, c.want)
		}
	}
}
