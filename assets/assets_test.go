package assets

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestUnpackDemo(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for range 3 { // programs that start at once
		wg.Go(func() {
			if _, err := UnpackDemo(dir); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	d, err := UnpackDemo(dir)
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Dir(d.Checkpoint)
	if !whole(root) {
		t.Fatal("the demo model is not whole")
	}
	if d.Settings.Frames == 0 || d.Settings.Steps == 0 {
		t.Errorf("settings %+v", d.Settings)
	}
	weights := filepath.Join(d.Checkpoint, "Wan2.1_VAE.pth")
	for name, damage := range map[string]func() error{
		"truncated": func() error { return os.Truncate(weights, 100) },
		"deleted":   func() error { return os.RemoveAll(d.Pictures) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		if whole(root) {
			t.Errorf("%s: it passes for whole", name)
		}
		if _, err := UnpackDemo(dir); err != nil || !whole(root) {
			t.Errorf("%s: not mended: %v", name, err)
		}
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}
