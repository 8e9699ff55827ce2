package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/service/jobs"
)

// report tells the store how far a run is, in the background: the engine does not wait for
// the network, and of steps in quick succession only the last is told.
type report struct {
	w     *Worker
	claim *jobs.Claim
	dir   string // of snapshots of the run's folder

	mu      sync.Mutex
	next    news
	runDir  string
	changed chan struct{} // holds one when next has something to tell
	done    sync.WaitGroup
}

// news is what is to be told.
type news struct {
	phase    string
	step     inference.Step // the last one; Index 0 for none
	steps    int
	snapshot string // folder with the run's state after the step
	notices  []string
	decoded  int // frames
	size     jobs.Size
	told     bool
}

func newReport(w *Worker, claim *jobs.Claim, dir string) *report {
	r := &report{w: w, claim: claim, dir: dir, changed: make(chan struct{}, 1)}
	r.done.Go(func() {
		for range r.changed {
			r.tell()
		}
	})
	return r
}

// close tells what is left and ends.
func (r *report) close() {
	close(r.changed)
	r.done.Wait()
}

// event takes what the engine reports.
func (r *report) event(e inference.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.next.told = false
	switch e := e.(type) {
	case inference.Notice:
		r.next.notices = append(r.next.notices, e.Text)
	case inference.Prepared:
		r.runDir, r.next.steps = e.RunDir, e.Steps
		r.next.size = jobs.Size{Width: e.Width, Height: e.Height, Frames: e.Frames, LatentFrames: e.LatentShape[1]}
	case inference.Step:
		r.next.step = e
		if err := r.snapshot(e.Index); err != nil {
			r.w.o.Log.Warn("keeping the state of a run", "job", r.claim.Job.ID, "err", err)
		}
	case inference.Decoding:
		r.next.decoded = e.Frames
	case inference.Frame, inference.Saved:
		return // how many there are is told otherwise, and the worker tells the end
	}
	r.next.phase = e.Kind()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// snapshot links the files of the run's folder, which are never written to once they have
// their names. r.mu is held.
func (r *report) snapshot(step int) error {
	old, to := r.next.snapshot, filepath.Join(r.dir, fmt.Sprint(step))
	err := filepath.WalkDir(r.runDir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(r.runDir, path)
		if err != nil {
			return err
		}
		if _, input := r.claim.Job.Inputs[filepath.ToSlash(name)]; input || passing(name) {
			return nil
		}
		if entry.IsDir() {
			return os.MkdirAll(filepath.Join(to, name), 0o700)
		}
		return os.Link(path, filepath.Join(to, name))
	})
	if err != nil {
		return errors.Join(err, os.RemoveAll(to))
	}
	r.next.snapshot = to
	return os.RemoveAll(old) // nobody told of it
}

// passing reports whether a file of a run's folder is none that another worker needs.
func passing(name string) bool {
	return name == "lock" || strings.HasPrefix(name, "previous.") || strings.HasPrefix(name, "next.") || strings.HasPrefix(name, ".") && name != "."
}

// tellTime is how long it may take to tell, after the run's end too: longer than a cluster takes to
// find another server in place of a lost one.
const tellTime = 30 * time.Second

// tell puts the newest state into the store and into the job's record.
func (r *report) tell() {
	r.mu.Lock()
	n := r.next
	r.next.snapshot, r.next.told = "", true
	r.mu.Unlock()
	if n.told {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), tellTime)
	defer cancel()
	state, preview, err := r.put(ctx, n)
	if err == nil {
		err = r.claim.Update(ctx, func(j *jobs.Job) {
			j.Phase, j.Steps, j.Notices, j.Size = n.phase, n.steps, n.notices, n.size
			if state != nil {
				j.State, j.Step = state, n.step.Index
			}
			if preview != nil {
				j.Preview = preview
			}
			j.Remaining, j.Expert, j.Seconds, j.Decoded = n.step.Remaining, n.step.Expert, n.step.Seconds, n.decoded
		})
	}
	if err != nil && !errors.Is(err, jobs.ErrLost) {
		r.w.o.Log.Warn("telling how far a job is", "job", r.claim.Job.ID, "err", err)
	}
}

// put puts the state and the preview of the last step into the store.
func (r *report) put(ctx context.Context, n news) (state, preview jobs.Files, err error) {
	if n.snapshot == "" {
		return nil, nil, nil
	}
	defer os.RemoveAll(n.snapshot)
	state, err = r.w.o.Store.PutFolder(ctx, n.snapshot)
	if err != nil || len(n.step.Preview) == 0 {
		return state, nil, err
	}
	var data bytes.Buffer
	if err := png.Encode(&data, strip(n.step.Preview)); err != nil {
		return state, nil, err
	}
	o, err := r.w.o.Store.Put(ctx, bytes.NewReader(data.Bytes()))
	return state, jobs.Files{Preview: o}, err
}

// strip puts pictures of one size beside each other.
func strip(frames []image.Image) image.Image {
	size := frames[0].Bounds().Size()
	all := image.NewRGBA(image.Rect(0, 0, size.X*len(frames), size.Y))
	for i, f := range frames {
		at := image.Rect(i*size.X, 0, (i+1)*size.X, size.Y)
		draw.Draw(all, at, f, f.Bounds().Min, draw.Src)
	}
	return all
}
