package worker

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/output"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/jobs"
)

// Names of a job's files, those of the inputs as engine.KeepInputs has them.
const (
	Video   = "video.mp4"
	Sheet   = "video.png"
	Sidecar = "video.json"
	Preview = "preview.png"
	Frames  = "frames.zip" // PNG files, where the job wants them
)

// run makes a job in the folder dir, or goes on with it, and puts what comes out into the
// store.
func (w *Worker) run(ctx context.Context, claim *jobs.Claim, dir string) (jobs.Files, error) {
	r, err := w.request(ctx, claim, dir)
	if err != nil {
		return nil, err
	}
	report := newReport(w, claim, filepath.Join(dir, "snapshot"))
	saved, err := w.o.Engine.Run(ctx, r, report.event)
	report.close()
	if err != nil {
		return nil, err
	}
	if err := anonymous(saved.Sidecar, claim.Job); err != nil {
		return nil, err
	}
	files := map[string]string{Video: saved.Video, Sheet: saved.ContactSheet, Sidecar: saved.Sidecar}
	if claim.Job.KeepFrames {
		files[Frames] = filepath.Join(dir, Frames)
		if err := zipFolder(files[Frames], framesDir(dir)); err != nil {
			return nil, err
		}
	}
	results := jobs.Files{}
	for name, path := range files {
		err := again(ctx, func(ctx context.Context) (err error) {
			results[name], err = w.o.Store.PutFile(ctx, path)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("storing %s: %w", name, err)
		}
	}
	return results, nil
}

func framesDir(dir string) string { return filepath.Join(dir, "frames") }

// zipFolder puts the files of a folder, which are compressed already, into an archive.
func zipFolder(path, dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	return output.WriteFile(path, func(w io.Writer) error {
		archive := zip.NewWriter(w)
		for _, f := range files {
			to, err := archive.CreateHeader(&zip.FileHeader{Name: f.Name(), Method: zip.Store})
			if err == nil {
				err = copyFile(to, filepath.Join(dir, f.Name()))
			}
			if err != nil {
				return err
			}
		}
		return archive.Close()
	})
}

func copyFile(to io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(to, f)
	return err
}

// request brings the job's files to this machine.
func (w *Worker) request(ctx context.Context, claim *jobs.Claim, dir string) (engine.Request, error) {
	if err := os.RemoveAll(dir); err != nil { // what an earlier process left
		return engine.Request{}, err
	}
	job := claim.Job.Settings
	job.LoRAs = w.localLoRAs(job.LoRAs)
	job.Output = filepath.Join(dir, Video)
	if claim.Job.KeepFrames {
		job.FramesDir = framesDir(dir)
	}
	r := engine.Request{Checkpoint: w.dirs[claim.Job.Model]}
	inputs := filepath.Join(dir, "inputs")
	if claim.Job.State != nil {
		r.Resume = filepath.Join(dir, "video.run")
		if err := errors.Join(w.fetch(ctx, r.Resume, claim.Job.State), w.fetch(ctx, r.Resume, claim.Job.Inputs)); err != nil {
			return r, err
		}
		return r, engine.MoveRun(r.Resume, job)
	}
	if err := w.fetch(ctx, inputs, claim.Job.Inputs); err != nil {
		return r, err
	}
	job.Image = filepath.Join(inputs, engine.KeptPicture)
	if camera := filepath.Join(inputs, engine.KeptCamera); exists(camera) {
		job.ActionPath = camera
	}
	r.Job, r.Inputs = job, inputs
	return r, nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// fetch writes files of the store to a folder.
func (w *Worker) fetch(ctx context.Context, dir string, files jobs.Files) error {
	for name, o := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if !filepath.IsLocal(name) {
			return fmt.Errorf("a job's file is called %q", name)
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		if err := again(ctx, func(ctx context.Context) error { return w.o.Store.GetFile(ctx, o, path) }); err != nil {
			return fmt.Errorf("fetching %s: %w", name, err)
		}
	}
	return nil
}

// anonymous leaves out of a sidecar where files lay on this machine.
func anonymous(path string, j jobs.Job) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var sidecar any
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if err := d.Decode(&sidecar); err != nil {
		return err
	}
	text, err = json.MarshalIndent(withoutPaths(sidecar, j.Name), "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o600)
}

// withoutPaths replaces absolute paths by their last part, and those of folders of
// checkpoints by the model's name.
func withoutPaths(v any, model string) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			if text, ok := v[key].(string); ok && key == "dir" && filepath.IsAbs(text) {
				v[key] = model
				continue
			}
			v[key] = withoutPaths(v[key], model)
		}
	case []any:
		for i := range v {
			v[i] = withoutPaths(v[i], model)
		}
	case string:
		if filepath.IsAbs(v) {
			return filepath.Base(v)
		}
	}
	return v
}

// failure is what a job's user reads of an error: without the names of this machine's
// folders.
func (w *Worker) failure(err error, dir string) *jobs.Failure {
	var paused *inference.PausedError
	if errors.As(err, &paused) {
		err = paused.Err
	}
	clean := w.withoutFolders(dir)
	f := &jobs.Failure{Text: clean(err.Error()), Cause: cause.Of(err, clean)}
	for _, setting := range inference.SettingErrors(err) {
		f.Setting = setting.Setting
	}
	return f
}

// withoutFolders puts names in place of this machine's files and folders: of the run in dir, if
// that is not "", of models and of LoRAs.
func (w *Worker) withoutFolders(dir string) func(string) string {
	var names []string // each behind what it stands for
	for _, folder := range []string{dir, w.o.Dir} {
		if folder != "" {
			names = append(names, folder+string(filepath.Separator), "", folder, "the worker's folder")
		}
	}
	for _, m := range w.models {
		names = append(names, w.dirs[m.Fingerprint], m.Name)
	}
	for name, file := range w.o.LoRAs {
		names = append(names, file, name)
	}
	return strings.NewReplacer(names...).Replace
}
