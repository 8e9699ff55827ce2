package live

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// bareChunks lists the chunks that have no picture.
func (r *rig) bareChunks() (list []int) {
	r.keep.Lock()
	defer r.keep.Unlock()
	for i := range r.rec.chunks {
		if r.rec.chunks[i].thumb == 0 {
			list = append(list, i)
		}
	}
	return list
}

// TestThumbs opens a walk that ended before its last chunks were decoded, and goes back in one
// whose pictures are not done: in the end every chunk has its picture, and it is that of its end.
func TestThumbs(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.picture = time.Second // a chunk is long made before it is decoded
		r := newRig(t, dir, f, true)
		r.Hold(forward)
		r.pass(12 * time.Second)
		r.close()
		if bare := r.bareChunks(); len(bare) < 2 {
			t.Fatalf("chunks without a picture: %v; this tests nothing", bare)
		}

		f = newFake()
		r = newRig(t, dir, f, true)
		r.pass(10 * time.Second)
		if bare := r.bareChunks(); len(bare) > 0 {
			t.Errorf("chunks without a picture, after the walk was opened again: %v", bare)
		}
		f.set(func() { f.takes.picture = time.Second })
		r.Hold(forward)
		r.pass(10 * time.Second)
		r.Go(0) // nobody wants to see what is decoded now
		r.Hold(Input{})
		r.pass(time.Second)
		if bare := r.bareChunks(); len(bare) == 0 {
			t.Error("all chunks have pictures at once; this tests nothing")
		}
		r.pass(5 * time.Minute)
		if bare := r.bareChunks(); len(bare) > 0 {
			t.Errorf("chunks without a picture, after going back: %v", bare)
		}
		r.close()
	})
}

// TestThumbsWait presses a key while a picture for the strip is made: the chunk is made at once,
// and the picture later.
func TestThumbsWait(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, dir, f, true)
		r.Hold(forward)
		r.pass(3 * time.Second)
		f.set(func() { f.takes.picture = time.Hour })
		r.pass(time.Second)
		r.close()
		bare := len(r.bareChunks())
		if bare == 0 {
			t.Fatal("all chunks have pictures; this tests nothing")
		}
		f = newFake()
		f.takes.picture = time.Second
		r = newRig(t, dir, f, true)
		for r.State().Chunk < 0 { // where the walk was is seen first
			r.pass(time.Second)
		}
		r.pass(3 * time.Second)
		made := len(r.State().Way)
		r.Hold(forward)
		r.pass(f.takes.make + f.takes.remember)
		if now := len(r.State().Way); now != made+1 {
			t.Errorf("%d chunks, a chunk's time after a key was pressed; there were %d", now, made)
		}
		r.Hold(Input{})
		r.pass(10 * time.Minute)
		if bare := r.bareChunks(); len(bare) > 0 {
			t.Errorf("chunks without a picture: %v", bare)
		}
		r.close()
	})
}

// TestThumbsHopeless has a chunk that cannot be decoded: the walk goes on without its picture.
func TestThumbsHopeless(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.picture = time.Second
		r := newRig(t, dir, f, true)
		r.Hold(forward)
		r.pass(12 * time.Second)
		r.Go(0)
		r.Hold(Input{})
		r.pass(time.Second)
		r.close()
		bare := r.bareChunks()
		if len(bare) < 2 {
			t.Fatalf("chunks without a picture: %v; this tests nothing", bare)
		}
		f = newFake()
		f.spoiled = map[float32]bool{float32(bare[1]): true}
		r = newRig(t, dir, f, true)
		r.pass(time.Minute)
		want := bare[1:] // those after it cannot be decoded without it
		if st := r.State(); !st.Waiting || !slices.Equal(r.bareChunks(), want) {
			t.Errorf("%+v, chunks without a picture: %v, want %v", st, r.bareChunks(), want)
		}
		r.close()
	})
}
