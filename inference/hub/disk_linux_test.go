package hub

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/output"
)

// TestDiskFills has the disk fill on the way: what came stays, the error says what to do, and
// with room again the fetch goes on without anything coming twice.
func TestDiskFills(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	h := newFakeHub(t)
	h.Slow(1_000_000)
	c := h.client(t, func(o *Options) { o.Parallel = 2 })
	o, err := c.Offer(t.Context(), Model{Sources: []Source{{Repo: repo}}}, "")
	if err != nil {
		t.Fatal(err)
	}
	dir, filler := filepath.Join(disk, "model"), filepath.Join(disk, "filler")
	filled := false
	err = c.Fetch(t.Context(), o, dir, func(p Progress) { // after the check of the room another program takes it
		if !filled && p.Came > 300_000 {
			filled = true
			if err := os.WriteFile(filler, make([]byte, 1_100_000), 0o644); err != nil {
				t.Error(err)
			}
		}
	})
	if !output.Full(err) || !strings.Contains(err.Error(), "free some space") {
		t.Fatalf("on a disk that fills: %v", err)
	}
	if err := c.Fetch(t.Context(), o, dir, quiet); !output.Full(err) {
		t.Errorf("while it is full: %v", err)
	}
	before := h.Served()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if err := c.Fetch(t.Context(), o, dir, quiet); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	t.Logf("%d of %d bytes came before it was full, the rest in %v", before, o.Bytes(), time.Since(begun))
	h.check(t, dir)
	if most := o.Bytes() + 3*2*c.o.Chunk; h.Served() > most { // at most the requests under way come twice
		t.Errorf("%d bytes came for %d, want at most %d", h.Served(), o.Bytes(), most)
	}
}
