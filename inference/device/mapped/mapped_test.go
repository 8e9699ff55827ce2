package mapped

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// mapFile maps a new file of whole pages of ones, and a bit.
func mapFile(t *testing.T, pages int) (*File, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	data := bytes.Repeat([]byte{1}, pages*os.Getpagesize()+10)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := Map(f, len(data))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, path
}

// TestLost cuts a file while several goroutines read it.
func TestLost(t *testing.T) {
	m, path := mapFile(t, 100)
	other, _ := mapFile(t, 1)
	if err := errors.Join(m.Lost(), Lost()); err != nil || !bytes.Equal(m.Data()[:3], []byte{1, 1, 1}) {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { Touch(m.Data(), os.Getpagesize()) })
	}
	group.Wait()
	lost := (*LostError)(nil)
	if !errors.As(Lost(), &lost) || lost.Path != path || !strings.Contains(lost.Error(), path) || m.Lost() == nil || other.Lost() != nil {
		t.Errorf("lost %v, %v, and of the other file %v", Lost(), m.Lost(), other.Lost())
	}
	if data := m.Data()[200:]; bytes.Count(data, []byte{0}) != len(data) {
		t.Error("what is lost reads as other than zeros")
	}
	Touch(other.Data(), os.Getpagesize())
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(m.Close(), Lost(), other.Lost()); err != nil {
		t.Errorf("after Close: %v", err)
	}
	again, _ := mapFile(t, 1) // in the slot of the lost one
	if Touch(again.Data(), os.Getpagesize()); again.Lost() != nil || again.Data()[0] != 1 {
		t.Errorf("a new file is lost: %v", again.Lost())
	}
}

// TestOtherFaults makes sure that a fault of a mapping that is not from here goes where it
// went before: in Go, to a panic.
func TestOtherFaults(t *testing.T) {
	m, path := mapFile(t, 3)
	if err := os.Truncate(path, 10); err != nil {
		t.Fatal(err)
	}
	forget(m)
	defer func() {
		if recover() == nil || Lost() != nil {
			t.Errorf("no panic, lost %v", Lost())
		}
	}()
	panicOnFault()
	Touch(m.Data(), os.Getpagesize())
}
