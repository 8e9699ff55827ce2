package live

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
)

// begun returns the file of a walk of two chunks on two ways.
func begun(t testing.TB) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "walk")
	job := inference.DefaultJob()
	job.Image = picturePath
	r, err := create(dir, Start{Job: job, Chunk: 2, Latent: fakeLatent})
	if err != nil {
		t.Fatal(err)
	}
	prompt, err := r.addPrompt("a hall")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.addChunk(prompt, forward, make([]clip.Pose, 4), make([]float32, fakeLatent)); err != nil {
			t.Fatal(err)
		}
		if err := r.goTo(-1); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.name(1, "left"); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// FuzzLog opens damaged files of walks: they give an error, or a walk all of whose chunks can
// be read.
func FuzzLog(f *testing.F) {
	whole := begun(f)
	f.Add(whole)
	f.Add(whole[:len(whole)-7])
	f.Add(bytes.ReplaceAll(whole, []byte(`"parent":-1`), []byte(`"parent":+1`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, logName), data, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := open(dir, false)
		if err != nil {
			return
		}
		defer r.close()
		for i := range r.chunks {
			if _, err := r.latent(i); err != nil {
				t.Error(err)
			}
			r.path(r.way(i))
			r.thumb(i)
		}
		r.ways()
		r.job()
	})
}

// TestDamaged flips bits: no record of which one was flipped is taken.
func TestDamaged(t *testing.T) {
	whole := begun(t)
	for i := len(logMagic); i < len(whole); i++ {
		data := bytes.Clone(whole)
		data[i] ^= 4
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, logName), data, 0o644); err != nil {
			t.Fatal(err)
		}
		r, err := open(dir, false)
		if err != nil {
			continue
		}
		if r.log.end > int64(i) {
			t.Fatalf("a file with a damaged byte %d is read up to byte %d", i, r.log.end)
		}
		r.close()
	}
}
