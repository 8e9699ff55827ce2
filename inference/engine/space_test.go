package inference

import (
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckSpace(t *testing.T) {
	dir := t.TempDir()
	q := prepared{job: Job{Output: filepath.Join(dir, "v.mp4")}, frames: 5, width: 32, height: 32, f: 2, h: 4, w: 4}
	if err := q.checkSpace(16); err != nil {
		t.Error(err)
	}
	q.frames, q.width, q.height = 1<<20, 1<<14, 1<<14 // more than disks hold
	if err := q.checkSpace(16); err == nil || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v, want one that names %s", err, dir)
	}
}
