package engine

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gimbal/inference"
	"gimbal/inference/output"
	"gimbal/inference/video"
)

// Beside returns the path of the file with the given extension that belongs to
// the job's video.
func Beside(j inference.Job, ext string) string {
	return strings.TrimSuffix(j.Output, filepath.Ext(j.Output)) + ext
}

// absolute returns the job with absolute paths, which mean the same to a process
// that resumes it from another folder.
func absolute(j inference.Job) (inference.Job, error) {
	for _, s := range inference.Settings {
		if s.Use == inference.NoFile || s.Text(j) == "" {
			continue
		}
		path, err := filepath.Abs(s.Text(j))
		if err == nil {
			err = s.Set(&j, path)
		}
		if err != nil {
			return j, fmt.Errorf("%s: %w", s.Text(j), err)
		}
	}
	list := j.LoRAs.List()
	for i := range list {
		absolute, err := filepath.Abs(list[i].File)
		if err != nil {
			return j, fmt.Errorf("%s: %w", list[i].File, err)
		}
		list[i].File = absolute
	}
	j.LoRAs = inference.NewLoRAs(list...)
	return j, nil
}

// files are what a job writes.
func files(j inference.Job) []output.File {
	list := []output.File{
		{Setting: "save_file", Path: j.Output, Aside: true, Ours: video.MadeVideo},
		{Setting: "save_file", Path: Beside(j, ".png"), Aside: true, Ours: video.MadeSheet},
		{Setting: "save_file", Path: Beside(j, ".json"), Aside: true, Ours: video.MadeSidecar},
		{Setting: "save_file", Path: Beside(j, ".run"), Folder: true, Goes: true},
	}
	if j.DumpFile != "" {
		list = append(list, output.File{Setting: "dump_tensors", Path: j.DumpFile, Ours: madeDump})
	}
	if j.FramesDir != "" {
		list = append(list, output.File{Setting: "save_frames", Path: j.FramesDir, Folder: true, Aside: true})
	}
	return list
}

// inputs are what a job reads, of a checkpoint in a folder.
func inputs(j inference.Job, checkpoint string) []output.Input {
	list := []output.Input{{What: "the checkpoint", Path: checkpoint, Whole: true}}
	for _, s := range inference.Settings {
		if s.Use != inference.Reads || s.Name == "lora" { // which names several
			continue
		}
		what, ok := map[string]string{"image": "the picture that the video starts from", "action_path": "the camera path"}[s.Name]
		if !ok {
			what = "what " + s.Name + " names"
		}
		list = append(list, output.Input{What: what, Path: s.Text(j)})
	}
	for _, l := range j.LoRAs.List() {
		list = append(list, output.Input{What: "a LoRA", Path: l.File})
	}
	copied, _ := inputFiles(j) // opening them says what is wrong
	for _, path := range copied {
		list = append(list, output.Input{What: "which the run reads", Path: path})
	}
	return list
}

// checkOutputs makes sure, before a run takes long, that its files and those that the
// client writes beside them can be written, and that they replace neither each other nor
// anything that the run reads, nor what Gimbal did not make.
func checkOutputs(j inference.Job, checkpoint string, also []output.File) error {
	if j.Output == "" {
		return nil // Validate says so
	}
	return output.Check(append(files(j), also...), inputs(j, checkpoint))
}

// CheckOutputs makes sure that the files of a job that is made elsewhere can be written here,
// and that they replace neither what the job reads nor what Gimbal did not make.
func CheckOutputs(j inference.Job) error {
	return output.Check(files(j), inputs(j, "")[1:])
}

// checkFrames returns an error if the folder for a new run's frames has some already.
func checkFrames(j inference.Job) error {
	if j.FramesDir == "" {
		return nil
	}
	if err := video.CheckPNGs(j.FramesDir); err != nil {
		return &inference.SettingError{Setting: "save_frames", Mistake: inference.Unusable, Err: err}
	}
	return nil
}

// What a video's files take on disk at the most, as measured: bytes per pixel of a frame
// in the video and as a PNG file, and of a file whatever is in it.
const (
	mp4Bytes  = 0.1
	pngBytes  = 2
	fileBytes = 64 << 10
)

// disk lists what the job writes, with what is there only while it runs: three states of
// four latents each, and as many of a cache, copies of the inputs, and the video once more as it is encoded.
func (r *run) disk() []inference.Disk {
	latent := 4 * int64(r.clip.Latent(r.p.vae.Channels()))
	pixels := int64(r.clip.Frames) * int64(r.clip.Width) * int64(r.clip.Height)
	beside := filepath.Dir(r.job.Output)
	mp4 := int64(mp4Bytes*float64(pixels)) + fileBytes
	kept := int64(4)
	if r.job.Cache() != "" {
		kept += 4
	}
	list := []inference.Disk{
		{What: "run state", Folder: beside, Bytes: 3*(kept*latent+fileBytes) + inputBytes(r.job)},
		{What: "video while it is encoded", Folder: beside, Bytes: mp4},
		{What: "video", Folder: beside, Bytes: mp4, Stays: true},
		{What: "contact sheet and settings", Folder: beside, Bytes: video.SheetBytes(r.clip.Frames, r.clip.Width, r.clip.Height) + fileBytes, Stays: true},
	}
	if r.chunks != nil && r.job.DumpFile == "" {
		list = append(list, inference.Disk{What: "decoded frames", Folder: beside, Bytes: keptBytes*pixels + int64(r.chunks.total)*blockBytes})
	}
	if r.job.DumpFile != "" {
		tensors := 3*latent + 2*3*4*pixels + fileBytes
		if r.chunks != nil {
			tensors += int64(r.chunks.steps)*latent + 4*int64(r.clip.Latent(r.p.controlChannels()))
		}
		list = append(list, inference.Disk{What: "tensors", Folder: filepath.Dir(r.job.DumpFile), Bytes: tensors, Stays: true})
	}
	if r.job.FramesDir != "" {
		list = append(list, inference.Disk{What: "frames", Folder: output.Nearest(r.job.FramesDir), Bytes: pngBytes*pixels + int64(r.clip.Frames)*blockBytes, Stays: true})
	}
	return list
}

// blockBytes is what the last block of a file takes beyond its end.
const blockBytes = 4 << 10

// inputBytes is what the copies of the job's files take in the run's folder.
func inputBytes(j inference.Job) (sum int64) {
	files, _ := inputFiles(j) // opening them says what is wrong
	for _, path := range files {
		if info, err := os.Stat(path); err == nil { // or reading it says what is wrong
			sum += info.Size() + blockBytes
		}
	}
	return sum
}

// checkSpace returns an error unless the disks have room for what the job writes.
func (r *run) checkSpace() error {
	var needs []output.Need
	for _, d := range r.disk() {
		needs = append(needs, output.Need{Folder: d.Folder, Bytes: d.Bytes})
	}
	return output.CheckRoom(needs...)
}
