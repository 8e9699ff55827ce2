package client

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/output"
	"gimbal/inference/service/api"
	"gimbal/inference/service/jobs"
)

// A run on a server has a folder beside its video, as one at home has, with a file that says
// where it is made: whoever resumes it follows it there, also after this program ended.

// runFile is that file.
const runFile = "server.json"

// remoteRun is what it holds.
type remoteRun struct {
	Server    string  `json:"server"` // its address
	ID        jobs.ID `json:"id"`     // of the video there
	Output    string  `json:"save_file"`
	FramesDir string  `json:"frames_dir,omitempty"`
	dir       string
}

// IsRun reports whether a folder is that of a run on a server, and of which.
func IsRun(dir string) (server string, ok bool) {
	r, err := readRun(dir)
	return r.Server, err == nil
}

func readRun(dir string) (r remoteRun, err error) {
	text, err := os.ReadFile(filepath.Join(dir, runFile))
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("%s is not the folder of a run on a server: %w", dir, err)
	}
	r.dir = dir
	return r, nil
}

func (r remoteRun) write() error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return output.WriteFile(filepath.Join(r.dir, runFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// Attach makes the folder of a run for a video that the server has, as if it had been begun
// here, and returns it for Resume. Of the job, only the files that it writes count.
func (e *Engine) Attach(ctx context.Context, id jobs.ID, job inference.Job) (string, error) {
	v, err := e.Get(ctx, id)
	if err != nil {
		return "", err
	}
	r, err := e.newRun(job)
	if err != nil {
		return "", err
	}
	r.ID = v.ID
	return r.dir, r.write()
}

// newRun makes the folder of a new run.
func (e *Engine) newRun(job inference.Job) (r remoteRun, err error) {
	if err := engine.CheckOutputs(job); err != nil {
		return r, err
	}
	for _, path := range []*string{&job.Output, &job.FramesDir} {
		if *path != "" {
			if *path, err = filepath.Abs(*path); err != nil {
				return r, err
			}
		}
	}
	r = remoteRun{Server: e.url, Output: job.Output, FramesDir: job.FramesDir, dir: engine.Beside(job, ".run")}
	err = os.Mkdir(r.dir, 0o755)
	if errors.Is(err, os.ErrExist) {
		return r, &inference.UnfinishedError{Dir: r.dir, Output: job.Output}
	}
	return r, err
}

// begin has the server begin a run.
func (e *Engine) begin(ctx context.Context, q engine.Request) (r remoteRun, err error) {
	order, err := runOrder(q)
	if err != nil {
		return r, err
	}
	if r, err = e.newRun(q.Job); err != nil {
		return r, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(r.dir))
		}
	}()
	v, err := e.Create(ctx, order)
	if err != nil {
		return r, err
	}
	r.ID = v.ID
	return r, r.write()
}

// goOn finds a run of before.
func (e *Engine) goOn(ctx context.Context, dir string) (r remoteRun, err error) {
	if r, err = readRun(dir); err != nil {
		return r, err
	}
	if r.Server != e.url {
		return r, fmt.Errorf("the run in %s is made on the server %s, not on %s: choose that one", dir, r.Server, e.url)
	}
	v, err := e.Get(ctx, r.ID)
	var known *api.Error
	switch {
	case errors.As(err, &known) && known.Status == http.StatusNotFound:
		return r, errors.Join(&inference.LostRunError{Dir: dir, Err: fmt.Errorf("the server %s has the video no longer", e.Name())}, os.RemoveAll(dir))
	case known != nil:
		return r, err
	case err != nil: // it is away, and Run tells
		return r, nil
	}
	if v.Status == jobs.Cancelled || v.Status == jobs.Failed {
		_, err = e.Resume(ctx, r.ID)
	}
	return r, err
}

// Run implements engine.Engine. The context's end leaves the video to the server, unless its
// cause is engine.ErrCancelled.
func (e *Engine) Run(ctx context.Context, q engine.Request, emit func(inference.Event)) (saved inference.Saved, err error) {
	began := time.Now()
	var r remoteRun
	if q.Resume != "" {
		r, err = e.goOn(ctx, q.Resume)
	} else {
		r, err = e.begin(ctx, q)
	}
	if err != nil {
		return saved, err
	}
	v, err := e.watch(ctx, r, emit)
	switch {
	case ctx.Err() != nil:
		if errors.Is(context.Cause(ctx), engine.ErrCancelled) {
			e.cancel(r.ID)
		}
		return saved, &inference.PausedError{Dir: r.dir, Err: ctx.Err()}
	case err != nil:
		return saved, &inference.PausedError{Dir: r.dir, Err: err}
	case v.Status != jobs.Done:
		return saved, &inference.PausedError{Dir: r.dir, Err: e.failed(v)}
	}
	if saved, err = e.collect(ctx, r); err != nil {
		return saved, &inference.PausedError{Dir: r.dir, Err: err}
	}
	saved.Seconds = time.Since(began).Seconds()
	emit(saved)
	return saved, os.RemoveAll(r.dir)
}

// watch follows a run to its end.
func (e *Engine) watch(ctx context.Context, r remoteRun, emit func(inference.Event)) (api.Video, error) {
	f := &following{e: e, run: r, emit: emit, began: time.Now()}
	emit(inference.Waiting{RunDir: r.dir})
	ctx, stop := context.WithCancel(ctx)
	var asking sync.WaitGroup
	asking.Go(func() { f.askPlace(ctx) })
	defer asking.Wait()
	defer stop()
	return e.Follow(ctx, r.ID, func(v api.Video) { f.video(ctx, v) }, f.away)
}

// following turns what a server says of a video into an engine's events.
type following struct {
	e     *Engine
	run   remoteRun
	began time.Time

	mu   sync.Mutex // held while emit is called
	emit func(inference.Event)
	last api.Video
	gone bool
	text int // how many of the phases before the steps were told
}

// placePace is how often a run that waits asks for its place in the queue.
const placePace = 3 * time.Second

// askPlace tells how many videos are before one that waits, which no event says.
func (f *following) askPlace(ctx context.Context) {
	before := 0
	for {
		v, err := f.e.Get(ctx, f.run.ID)
		f.mu.Lock()
		if err == nil && v.Status == jobs.Queued && v.Position != nil && *v.Position != before && (f.last.ID == "" || f.last.Status == jobs.Queued) {
			before = *v.Position
			f.emit(inference.Waiting{Before: before, RunDir: f.run.dir})
		}
		over := err == nil && v.Status.Final()
		f.mu.Unlock()
		if over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(placePace):
		}
	}
}

func (f *following) away(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone = true
	f.emit(inference.Connection{Server: f.e.Name(), Away: true, Why: err.Error()})
}

// phases are the kinds of events in the order in which they come, before the first step.
var phases = []string{"prepared", "text_encoded", "picture_encoded"}

// video tells what is new of the video.
func (f *following) video(ctx context.Context, v api.Video) {
	var preview inference.Step
	if v.Step > f.last.Step && v.Step <= v.Steps {
		preview = inference.Step{
			Index: v.Step, Total: v.Steps, Expert: v.Expert, Seconds: v.Pace, Elapsed: time.Since(f.began), Remaining: time.Duration(v.Seconds * float64(time.Second)),
		}
		if v.Preview {
			preview.Preview, _ = f.e.Preview(ctx, v) // the next one comes soon
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.gone {
		f.gone = false
		f.emit(inference.Connection{Server: f.e.Name()})
	}
	if v.Status == jobs.Queued && f.last.Status == jobs.Running {
		f.emit(inference.Waiting{RunDir: f.run.dir}) // it lost its worker
	}
	for _, text := range v.Notices[min(len(f.last.Notices), len(v.Notices)):] {
		f.emit(inference.Notice{Text: text})
	}
	if v.Frames > 0 && v.Status == jobs.Running && (f.last.Frames == 0 || f.last.Attempt != v.Attempt) {
		f.text = 1
		f.emit(inference.Prepared{
			Width: v.Width, Height: v.Height, Frames: v.Frames, LatentShape: [4]int{1: v.LatentFrames}, FirstStep: v.Step + 1, Steps: v.Steps, RunDir: f.run.dir,
		})
	}
	f.phases(v, preview.Index > 0)
	if preview.Index > 0 {
		f.emit(preview)
	}
	if v.Decoded > f.last.Decoded {
		f.emit(inference.Decoding{Frames: v.Decoded, Total: v.Frames})
	}
	f.last = v
}

// phases tells of what is done before the steps.
func (f *following) phases(v api.Video, all bool) {
	if f.text == 0 {
		return
	}
	reached := len(phases)
	if !all {
		for reached > 0 && phases[reached-1] != v.Phase {
			reached--
		}
	}
	for ; f.text < reached; f.text++ {
		if phases[f.text] == "text_encoded" {
			f.emit(inference.TextEncoded{})
		} else {
			f.emit(inference.PictureEncoded{})
		}
	}
}

// collect brings what a run made to where its job wants it. A server that goes away meanwhile
// is waited for.
func (e *Engine) collect(ctx context.Context, r remoteRun) (inference.Saved, error) {
	job := inference.Job{Output: r.Output}
	saved := inference.Saved{Video: r.Output, ContactSheet: engine.Beside(job, ".png"), Sidecar: engine.Beside(job, ".json")}
	if r.FramesDir != "" {
		if err := e.patiently(ctx, func() error { return e.frames(ctx, r) }); err != nil {
			return saved, err
		}
	}
	for part, path := range map[string]string{"contact_sheet": saved.ContactSheet, "sidecar": saved.Sidecar, "video": saved.Video} {
		if err := e.patiently(ctx, func() error { return e.Fetch(ctx, r.ID, part, path) }); err != nil {
			return saved, err
		}
	}
	return saved, nil
}

// patiently tries until the server answers.
func (e *Engine) patiently(ctx context.Context, f func() error) error {
	for {
		err := f()
		var known *api.Error
		var file *os.PathError
		var disk *inference.DiskError
		if err == nil || errors.As(err, &known) && known.Status < 500 || errors.As(err, &file) || errors.As(err, &disk) {
			return err
		}
		e.log.Warn("fetching a video; trying again", "server", e.Name(), "err", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(retry):
		}
	}
}

// frames fetches the video's frames as PNG files.
func (e *Engine) frames(ctx context.Context, r remoteRun) error {
	path := filepath.Join(r.dir, "frames.zip")
	if err := e.Fetch(ctx, r.ID, "frames", path); err != nil {
		return err
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		return err
	}
	defer archive.Close()
	if err := os.MkdirAll(r.FramesDir, 0o755); err != nil {
		return err
	}
	for _, file := range archive.File {
		if filepath.Base(file.Name) != file.Name || filepath.Ext(file.Name) != ".png" {
			return fmt.Errorf("the server's frames: a file is called %q", file.Name)
		}
		if err := extract(file, filepath.Join(r.FramesDir, file.Name)); err != nil {
			return err
		}
	}
	return os.Remove(path)
}

// maxFrame is the largest file of a frame: more is no frame.
const maxFrame = 256 << 20

func extract(file *zip.File, path string) error {
	from, err := file.Open()
	if err != nil {
		return err
	}
	defer from.Close()
	return output.WriteFile(path, func(w io.Writer) error {
		n, err := io.Copy(w, io.LimitReader(from, maxFrame+1))
		if err == nil && n > maxFrame {
			err = fmt.Errorf("the server's frames: %s is larger than any", file.Name)
		}
		return err
	})
}
