package weights_test

import (
	"archive/zip"
	"bytes"
	"io"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestReferenceCheckpoint opens the reference checkpoint and reads every tensor.
func TestReferenceCheckpoint(t *testing.T) {
	dir := golden.Checkpoint(t)
	parts, err := weights.Inspect(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range parts {
		if p.Err != nil {
			t.Errorf("%s: %v", p.Name, p.Err)
		}
	}
	l, err := weights.OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if len(l.Experts) != 2 {
		t.Errorf("%d experts", len(l.Experts))
	}
	for name, e := range l.Experts {
		readAll(t, e.Store, device.BF16)
		modulation, err := e.Store.Tensor("blocks.0.modulation")
		if err != nil || modulation.Shape[len(modulation.Shape)-1] != e.Config.Dim {
			t.Errorf("%s: modulation %v with dim %d, %v", name, modulation.Shape, e.Config.Dim, err)
		}
	}
	readAll(t, l.Text, device.BF16)
	readAll(t, l.VAE, device.F32)
}

// readAll checks that the tensors are of one type, finite and not all zero.
func readAll(t *testing.T, s *weights.Store, dtype device.DType) {
	t.Helper()
	var sum float64
	for _, name := range s.Names() {
		x, err := s.Tensor(name)
		if err != nil {
			t.Error(err)
			continue
		}
		values, err := x.Float32s()
		if err != nil || x.DType != dtype {
			t.Errorf("%s: %v, %v", name, x.DType, err)
		}
		for _, v := range values {
			sum += math.Abs(float64(v))
		}
	}
	if !(sum > 0) || math.IsInf(sum, 0) {
		t.Errorf("%s: sum of magnitudes %v", s.Path(), sum)
	}
}

// TestReferenceArchives compares every tensor of the torch archives, which torch
// stored whole and in order, with the member that package zip reads.
func TestReferenceArchives(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(golden.Checkpoint(t), "*.pth"))
	if err != nil || len(files) == 0 {
		t.Fatalf("archives %v, %v", files, err)
	}
	for _, path := range files {
		z, err := zip.OpenReader(path)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		members := make(map[string]bool)
		for _, f := range z.File {
			if !strings.Contains(f.Name, "/data/") {
				continue
			}
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			members[string(data)] = true
		}
		s, err := weights.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, name := range s.Names() {
			x, err := s.Tensor(name)
			if err != nil || !members[string(x.Data)] {
				t.Errorf("%s: %s is no member, %v", path, name, err)
			}
		}
	}
}

// TestRewrite writes the reference VAE as safetensors and reads it back.
func TestRewrite(t *testing.T) {
	l, err := weights.OpenLayout(golden.Checkpoint(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var sources []weights.Source
	for _, name := range l.VAE.Names() {
		x, err := l.VAE.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, x.Source())
	}
	path := filepath.Join(t.TempDir(), "vae.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		t.Fatal(err)
	}
	s, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range l.VAE.Names() {
		want, _ := l.VAE.Tensor(name)
		got, err := s.Tensor(name)
		if err != nil || !bytes.Equal(got.Data, want.Data) || got.DType != want.DType {
			t.Errorf("%s: %v of %d bytes, %v", name, got.DType, len(got.Data), err)
		}
	}
}
