package video

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"gimbal/inference/output"
)

// TestSmallDisk fills a real disk: a file system in memory, which only root can mount.
func TestSmallDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=200k"); err != nil {
		t.Skip("cannot mount: ", err)
	}
	defer syscall.Unmount(dir, syscall.MNT_DETACH)
	path := holding(t, dir, "old")

	if err := output.CheckWritable(dir); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	w, err := Create(path, Options{Width: 240, Height: 416, FPS: 16})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 { // about 100 kB each, and room for fewer than 200
		if err := w.WriteFrame(noise(240, 416, rng)); err != nil {
			t.Fatal(err)
		}
	}
	checkFull(t, w.Close(), path)
	checkUntouched(t, path, "old")

	filler := filepath.Join(dir, "filler")
	os.WriteFile(filler, make([]byte, 180<<10), 0o600)
	checkFull(t, output.CheckWritable(dir), dir)
	sheet := NewSheet(1, SheetOptions{})
	sheet.Add(noise(240, 416, rng))
	checkFull(t, sheet.WriteFile(path), path)
	os.Remove(filler)
	checkUntouched(t, path, "old")
	if err := output.CheckWritable(dir); err != nil {
		t.Errorf("with space again: %v", err)
	}
}
