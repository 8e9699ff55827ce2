package queue

import (
	"fmt"
	"image"
	"os"
	"time"

	"gimbal/inference"
	"gimbal/inference/library"
	"gimbal/inference/output"
)

// Make keeps a video that no run makes, such as a walk's, as Add and a run would: make writes
// it where the entry's job says, and its frames to a folder.
func (q *Queue) Make(s library.Settings, dir string, thumb image.Image, make func(e library.Entry, framesDir string) (inference.Saved, error)) (library.Entry, error) {
	e, err := q.begin(s, dir, thumb)
	if err != nil {
		return e, err
	}
	e.State, e.Started = library.Running, time.Now()
	q.keep(e)
	saved, err := make(e, q.o.Library.FramesDir(e.ID))
	e.Finished = time.Now()
	e.Seconds = e.Finished.Sub(e.Started).Seconds()
	if err != nil {
		e.State = library.Failed
		e.Cause, e.Error = explain(err)
		q.o.Log.Error("making a video", "id", e.ID, "err", err)
	} else {
		e.State, e.Video, e.ContactSheet, e.Sidecar = library.Done, saved.Video, saved.ContactSheet, saved.Sidecar
		if v, err := q.o.Library.Video(e.ID); err == nil {
			e.Width, e.Height, e.Frames = v.Width, v.Height, v.Frames
		}
		q.thumbnailOfVideo(e.ID)
	}
	q.keep(e)
	q.tell()
	return e, err
}

// begin gives a video a free name in a folder and an entry of the library with copies of its
// inputs.
func (q *Queue) begin(s library.Settings, dir string, thumb image.Image) (library.Entry, error) {
	q.adding.Lock()
	defer q.adding.Unlock()
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = output.CheckWritable(dir)
	}
	if err != nil {
		return library.Entry{}, &inference.SettingError{Setting: "save_file", Mistake: inference.Unusable, Err: err}
	}
	s.Job.Output = outputPath(dir, s.Job.Prompt, time.Now(), q.o.Library.Search(""))
	e, err := q.o.Library.Create(s)
	if err != nil {
		return e, err
	}
	if err := keepInputs(q.o.Library.Folder(e.ID), s); err != nil {
		e.State, e.Cause, e.Error, e.Finished = library.Failed, library.Other, err.Error(), time.Now()
		q.keep(e)
		q.tell()
		return e, fmt.Errorf("keeping copies of the inputs: %w", err)
	}
	q.thumbnail(e.ID, thumb)
	return e, nil
}
