package weights

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference/device"
)

func TestWriteSafetensors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	metadata := map[string]string{"format": "pt", "source": "a \"test\""}
	tensors := []Tensor{
		{"bytes", device.U8, []int{3}, []byte{1, 2, 3}},
		{"half", device.BF16, []int{1, 2}, []byte{4, 5, 6, 7}},
		{"scalar", device.F32, nil, []byte{8, 9, 10, 11}},
		{"empty", device.I64, []int{4, 0}, nil},
		{"f8 <&>", device.F8E4M3, []int{1}, []byte{12}},
	}
	var sources []Source
	for _, x := range tensors {
		sources = append(sources, x.Source())
	}
	if err := WriteSafetensors(path, sources, metadata); err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if len(s.Names()) != len(tensors) || !maps.Equal(s.Metadata(), metadata) {
		t.Errorf("names %q, metadata %v", s.Names(), s.Metadata())
	}
	for _, want := range tensors {
		got, err := s.Tensor(want.Name)
		if err != nil || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("tensor %+v, %v, want %+v", got, err, want)
		}
		if at := s.tensors[want.Name].offset; at%int64(want.DType.Size()) != 0 {
			t.Errorf("tensor %q at byte %d", want.Name, at)
		}
	}
}

func TestWriteErrors(t *testing.T) {
	write := func(data []byte, err error) func(io.Writer) error {
		return func(w io.Writer) error {
			w.Write(data)
			return err
		}
	}
	sentinel := errors.New("source")
	for name, sources := range map[string][]Source{
		"short":    {{"a", device.F32, []int{2}, write(make([]byte, 7), nil)}},
		"long":     {{"a", device.F32, []int{2}, write(make([]byte, 9), nil)}},
		"fails":    {{"a", device.F32, []int{2}, write(make([]byte, 8), sentinel)}},
		"twice":    {{"a", device.U8, nil, write([]byte{1}, nil)}, {"a", device.U8, nil, write([]byte{1}, nil)}},
		"metadata": {{"__metadata__", device.U8, nil, write([]byte{1}, nil)}},
		"negative": {{"a", device.U8, []int{-1, -1}, write([]byte{1}, nil)}},
		"overflow": {{"a", device.F32, []int{math.MaxInt}, write(nil, nil)}},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "x.safetensors")
		if err := os.WriteFile(path, []byte("before"), 0o644); err != nil {
			t.Fatal(err)
		}
		err := WriteSafetensors(path, sources, nil)
		if err == nil || name == "fails" && !errors.Is(err, sentinel) {
			t.Errorf("%s: error %v", name, err)
		}
		if text, _ := os.ReadFile(path); string(text) != "before" {
			t.Errorf("%s: the file was replaced", name)
		}
		if files, _ := os.ReadDir(dir); len(files) != 1 {
			t.Errorf("%s: left behind %v", name, files)
		}
	}
	if err := WriteSafetensors(filepath.Join(t.TempDir(), "none", "x"), nil, nil); err == nil {
		t.Error("writes to a folder that is not there")
	}
}
