package queue

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/library"
)

// KeptPicture returns the library's copy of the picture that a run started from.
func (q *Queue) KeptPicture(id library.ID) string {
	return filepath.Join(q.o.Library.Folder(id), engine.KeptPicture)
}

// KeptCamera returns the library's copy of the camera path that a run followed, a folder.
// There is none for a run without a path.
func (q *Queue) KeptCamera(id library.ID) string {
	return filepath.Join(q.o.Library.Folder(id), engine.KeptCamera)
}

// keepInputs copies the inputs of a run to its folder, a built-in camera path too.
func keepInputs(dir string, s library.Settings) error {
	if s.Camera != "" {
		path, err := clip.Builtin(s.Camera, s.Job.Frames)
		if err == nil {
			err = path.Write(filepath.Join(dir, engine.KeptCamera))
		}
		if err != nil {
			return err
		}
	}
	return engine.KeepInputs(dir, s.Job)
}

// request returns what the engine is asked for. A run that has the folder of a state goes
// on from there. Any other names the user's own files where they are still the same, so
// that the video's sidecar names them, and the copies elsewhere.
func (q *Queue) request(e library.Entry) engine.Request {
	r := engine.Request{Checkpoint: e.Settings.Checkpoint, Job: e.Settings.Job, Resume: e.RunDir}
	if r.Checkpoint == "" && e.Settings.Server == "" {
		r.Checkpoint = q.o.Demo()
	}
	if r.Resume != "" {
		return r
	}
	r.Inputs = q.o.Library.Folder(e.ID)
	r.Job.FramesDir = q.o.Library.FramesDir(e.ID)
	if kept := q.KeptPicture(e.ID); !same(kept, r.Job.Image) {
		r.Job.Image = kept
	}
	kept := q.KeptCamera(e.ID)
	files, _ := os.ReadDir(kept) // none for a run without a path
	source, _ := clip.Find(r.Job.ActionPath)
	for _, file := range files {
		if len(files) != len(source.Files) || !same(filepath.Join(kept, file.Name()), source.Files[file.Name()]) {
			r.Job.ActionPath = kept
		}
	}
	return r
}

// same reports whether two files hold the same.
func same(a, b string) bool {
	x, errA := os.ReadFile(a)
	y, errB := os.ReadFile(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// maxTitle is how many letters of its prompt a video is called by.
const maxTitle = 40

// outputPath returns a free name for a video in dir: the prompt's beginning and the
// time. Runs that wait have their names already.
func outputPath(dir, prompt string, now time.Time, runs []library.Entry) string {
	words := strings.FieldsFunc(prompt, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r) })
	title := []rune(strings.Join(words, " "))
	stem := filepath.Join(dir, strings.TrimSpace(string(title[:min(len(title), maxTitle)])+" "+now.Format("2006-01-02 15.04.05")))
	taken := func(stem string) bool {
		return slices.ContainsFunc(runs, func(e library.Entry) bool { return e.Settings.Job.Output == stem+".mp4" }) ||
			slices.ContainsFunc([]string{".mp4", ".png", ".json", ".run"}, func(ext string) bool { return exists(stem + ext) })
	}
	free := stem
	for k := 2; taken(free); k++ {
		free = fmt.Sprintf("%s %d", stem, k)
	}
	return free + ".mp4"
}
