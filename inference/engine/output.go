package engine

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gimbal/inference"
	"gimbal/inference/video"
)

// beside returns the path of the file with the given extension that belongs to
// the job's video.
func beside(j inference.Job, ext string) string {
	return strings.TrimSuffix(j.Output, filepath.Ext(j.Output)) + ext
}

// absolute returns the job with absolute paths, which mean the same to a process
// that resumes it from another folder.
func absolute(j inference.Job) (inference.Job, error) {
	for _, path := range []*string{&j.Image, &j.ActionPath, &j.Output, &j.FramesDir, &j.DumpFile} {
		if *path == "" {
			continue
		}
		absolute, err := filepath.Abs(*path)
		if err != nil {
			return j, fmt.Errorf("%s: %w", *path, err)
		}
		*path = absolute
	}
	return j, nil
}

// target is a file or folder that a job writes.
type target struct {
	setting, path string
	folder        bool
}

func targets(j inference.Job) []target {
	list := []target{
		{"save_file", j.Output, false},
		{"save_file", beside(j, ".png"), false},
		{"save_file", beside(j, ".json"), false},
		{"save_file", beside(j, ".run"), true},
	}
	if j.DumpFile != "" {
		list = append(list, target{"dump_tensors", j.DumpFile, false})
	}
	if j.FramesDir != "" {
		list = append(list, target{"save_frames", j.FramesDir, true})
	}
	return list
}

// checkOutputs makes sure that the job's files can be written, and that they
// replace neither each other nor anything that the job reads, before hours of work
// end in an error.
func checkOutputs(job inference.Job) error {
	if job.Output == "" {
		return nil // Validate has said so
	}
	var errs []error
	paths, folders := map[string]bool{}, map[string]bool{}
	for _, t := range targets(job) {
		path := filepath.Clean(t.path)
		if paths[path] {
			errs = append(errs, t.fault(t.path+", which is written twice", "another name"))
		}
		paths[path] = true
		if t.folder {
			folders[nearest(path)] = true
		} else {
			folders[filepath.Dir(path)] = true
			errs = append(errs, t.check(job.Image))
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		if err := video.CheckWritable(folder); err != nil {
			errs = append(errs, &inference.SettingError{Setting: "save_file", Mistake: inference.Unusable, Err: err})
		}
	}
	return errors.Join(errs...)
}

// check returns an error if writing t would replace anything but a plain file, or
// the picture that the job starts from.
func (t target) check(picture string) error {
	info, err := os.Stat(t.path)
	if err != nil {
		return nil // there is none, or its folder's check says what is wrong
	}
	if !info.Mode().IsRegular() {
		return t.fault(t.path+", where there is a folder or device", "another name")
	}
	if start, err := os.Stat(picture); err == nil && os.SameFile(info, start) {
		return t.fault(t.path+", the picture that the video starts from", "another name")
	}
	return nil
}

func (t target) fault(found, want string) error {
	return &inference.SettingError{Setting: t.setting, Mistake: inference.Unusable, Found: found, Want: want}
}

// nearest returns dir, or the folder nearest above it that exists.
func nearest(dir string) string {
	for {
		above := filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil || above == dir {
			return dir
		}
		dir = above
	}
}

// disk lists what the job writes: three states of four latents each at the most, the
// video as it is encoded and copied, and what else it asks for.
func (r *run) disk() []inference.Disk {
	latent := 4 * int64(r.clip.Latent(r.p.vae.Channels()))
	pixels := int64(r.clip.Frames * r.clip.Width * r.clip.Height)
	beside := filepath.Dir(r.job.Output)
	list := []inference.Disk{
		{What: "run state", Folder: beside, Bytes: 3 * 4 * latent},
		{What: "video", Folder: beside, Bytes: pixels / 5, Stays: true},
	}
	if r.job.DumpFile != "" {
		list = append(list, inference.Disk{What: "tensors", Folder: filepath.Dir(r.job.DumpFile), Bytes: 3*latent + 2*3*4*pixels, Stays: true})
	}
	if r.job.FramesDir != "" {
		list = append(list, inference.Disk{What: "frames", Folder: nearest(r.job.FramesDir), Bytes: 2 * pixels, Stays: true})
	}
	return list
}

// checkSpace returns an error unless the disks have room for what the job writes.
func (r *run) checkSpace() error {
	needs := map[string]int64{}
	for _, d := range r.disk() {
		needs[d.Folder] += d.Bytes
	}
	for folder, need := range needs {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(folder, &disk); err != nil {
			continue // not every file system tells
		}
		if free := int64(disk.Bavail) * int64(disk.Bsize); free < need {
			return &inference.DiskError{Folder: folder, Free: free, Need: need}
		}
	}
	return nil
}
