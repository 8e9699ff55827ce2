package weights

import (
	"context"
	"io"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
)

// large writes a file of one tensor of so many bytes and opens it.
func large(tb testing.TB, bytes int) *Store {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "large.safetensors")
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * i)
	}
	err := WriteSafetensors(path, []Source{{Name: "w", DType: device.U8, Shape: []int{bytes}, Write: func(w io.Writer) error {
		for at := 0; at < bytes; at += len(block) {
			if _, err := w.Write(block[:min(len(block), bytes-at)]); err != nil {
				return err
			}
		}
		return nil
	}}}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func TestReadAheadAndLetGo(t *testing.T) {
	s := large(t, 5<<20)
	want, _ := s.Tensor("w")
	sum := func() (n int) {
		for _, b := range want.Data {
			n += int(b)
		}
		return n
	}
	before := sum()
	s.ReadAhead(t.Context())
	s.LetGo()
	if now := sum(); now != before {
		t.Error("the weights changed when they were let go of")
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	s.ReadAhead(cancelled)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s.ReadAhead(t.Context()) // of a closed store: nothing
	s.LetGo()
}
