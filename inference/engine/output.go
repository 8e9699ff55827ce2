package inference

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"gimbal/inference/plan"
	"gimbal/inference/video"
)

// maxName is the longest name of an .mp4 in bytes: file systems allow 255, and the
// temporary files beside it have longer names.
const maxName = 200

// beside returns the path of the file with the given extension that belongs to
// the job's video.
func (j Job) beside(ext string) string {
	return strings.TrimSuffix(j.Output, filepath.Ext(j.Output)) + ext
}

// absolute returns the job with absolute paths, which mean the same to a process
// that resumes it from another folder.
func (j Job) absolute() (Job, error) {
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

// checkName returns an error unless the job's video can have its name.
func (j Job) checkName() error {
	name := filepath.Base(j.Output)
	switch ext := filepath.Ext(name); {
	case j.Output == "":
		return errors.New("save_file: none given; name the .mp4 to write")
	case !strings.EqualFold(ext, ".mp4") || name == ext:
		return fmt.Errorf("save_file: %s, want the name of a file that ends in .mp4", j.Output)
	case len(name) > maxName:
		return fmt.Errorf("save_file: a name of %d bytes, want at most %d: %s", len(name), maxName, j.Output)
	}
	return nil
}

// target is a file or folder that a job writes.
type target struct {
	flag, path string
	folder     bool
}

func (j Job) targets() []target {
	targets := []target{
		{"save_file", j.Output, false},
		{"save_file", j.beside(".png"), false},
		{"save_file", j.beside(".json"), false},
		{"save_file", j.beside(".run"), true},
	}
	if j.DumpFile != "" {
		targets = append(targets, target{"dump_tensors", j.DumpFile, false})
	}
	if j.FramesDir != "" {
		targets = append(targets, target{"save_frames", j.FramesDir, true})
	}
	return targets
}

// checkOutputs makes sure that the job's files can be written, and that they
// replace neither each other nor anything that the job reads, before hours of work
// end in an error.
func checkOutputs(job Job) error {
	var errs []error
	paths, folders := map[string]bool{}, map[string]bool{}
	for _, t := range job.targets() {
		path := filepath.Clean(t.path)
		if paths[path] {
			errs = append(errs, fmt.Errorf("%s: %s is written by another flag too; choose another name", t.flag, t.path))
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
		errs = append(errs, video.CheckWritable(folder))
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
		return fmt.Errorf("%s: cannot write %s: found a folder or device there; choose another name", t.flag, t.path)
	}
	if start, err := os.Stat(picture); err == nil && os.SameFile(info, start) {
		return fmt.Errorf("%s: writing %s would replace the picture that the video starts from; choose another name", t.flag, t.path)
	}
	return nil
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
func (q *prepared) disk(channels int) []plan.Disk {
	latent := 4 * int64(channels*q.f*q.h*q.w)
	pixels := int64(q.frames * q.width * q.height)
	beside := filepath.Dir(q.job.Output)
	list := []plan.Disk{
		{What: "run state", Folder: beside, Bytes: 3 * 4 * latent},
		{What: "video", Folder: beside, Bytes: pixels / 5, Stays: true},
	}
	if q.job.DumpFile != "" {
		list = append(list, plan.Disk{What: "tensors", Folder: filepath.Dir(q.job.DumpFile), Bytes: 3*latent + 2*3*4*pixels, Stays: true})
	}
	if q.job.FramesDir != "" {
		list = append(list, plan.Disk{What: "frames", Folder: nearest(q.job.FramesDir), Bytes: 2 * pixels, Stays: true})
	}
	return list
}

// checkSpace returns an error unless the disks have room for what the job writes.
func (q *prepared) checkSpace(channels int) error {
	needs := map[string]uint64{}
	for _, d := range q.disk(channels) {
		needs[d.Folder] += uint64(d.Bytes)
	}
	for folder, need := range needs {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(folder, &disk); err != nil {
			continue // not every file system tells
		}
		if free := uint64(disk.Bavail) * uint64(disk.Bsize); free < need {
			return fmt.Errorf("the disk of %s is full: found %.1f MB free, expected about %.1f MB: free some space or choose a folder on another disk",
				folder, float64(free)/1e6, float64(need)/1e6)
		}
	}
	return nil
}
