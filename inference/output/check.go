package output

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gimbal/inference"
)

// File is a file or folder that is about to be written.
type File struct {
	Setting string // that names it
	Path    string
	Folder  bool
	// Goes says that the folder, a run's, is removed in the end, with all that lies in it.
	// That there is none yet, or that it is the run's, is for others to see.
	Goes bool
	// Aside says that nobody takes it for a part of what is read, where it lies there too.
	Aside bool
	// Ours reports whether the file that is there was made by Gimbal, and is replaced; nil
	// if none is.
	Ours func(path string) bool
}

// Input is a file or folder that is read.
type Input struct {
	What string // such as "the picture that the video starts from"
	Path string
	// Whole says that every file of the folder counts: none may come to it.
	Whole bool
}

// Check reports, as inference.SettingErrors, which of files would replace each other, what
// is read, or anything that Gimbal did not make, and which cannot be written. Files are
// told apart by what they are and not by their names: a link, or another way to write a
// name, changes nothing.
func Check(files []File, inputs []Input) error {
	var errs []error
	all := make([]wanted, 0, len(files))
	read := listInputs(inputs)
	for _, f := range files {
		p, err := find(f.Path)
		if err != nil {
			errs = append(errs, &inference.SettingError{Setting: f.Setting, Mistake: inference.Unusable, Err: Explain(f.Path, err)})
			continue
		}
		w := wanted{File: f, place: p}
		err = w.checkOutputs(all)
		if err == nil {
			err = w.checkInputs(read)
		}
		if err == nil {
			err = w.checkThere()
		}
		errs = append(errs, err)
		all = append(all, w)
	}
	folders := map[string]bool{}
	for _, w := range all {
		folder := w.writtenIn(all)
		if folders[folder] {
			continue
		}
		folders[folder] = true
		if err := CheckWritable(folder); err != nil {
			errs = append(errs, &inference.SettingError{Setting: w.Setting, Mistake: inference.Unusable, Err: err})
		}
	}
	return errors.Join(errs...)
}

// CheckThere reports which of files would replace what Gimbal did not make.
func CheckThere(files []File) error {
	var errs []error
	for _, f := range files {
		errs = append(errs, wanted{File: f}.checkThere())
	}
	return errors.Join(errs...)
}

// wanted is a File and where it would be.
type wanted struct {
	File
	place place
}

func (w wanted) fault(found, want string) error {
	return &inference.SettingError{Setting: w.Setting, Mistake: inference.Unusable, Found: found, Want: want}
}

// checkOutputs returns an error unless w can be written beside all others.
func (w wanted) checkOutputs(all []wanted) error {
	for _, other := range all {
		if err := w.against(other); err != nil {
			return err
		}
	}
	return nil
}

// against returns an error unless both files can be written.
func (w wanted) against(other wanted) error {
	for _, p := range [2][2]wanted{{w, other}, {other, w}} {
		inner, outer := p[0], p[1]
		switch {
		case inner.place.is(outer.place) && w.Setting == other.Setting:
			return w.fault(w.Path+", which is written twice", "another name")
		case inner.place.is(outer.place):
			return w.fault(fmt.Sprintf("%s, which %s writes too", w.Path, other.Setting), "another name")
		case !outer.Folder && !outer.place.folder() && inner.place.within(outer.place):
			return inner.fault(fmt.Sprintf("%s, below the file %s", inner.Path, outer.Path), "another folder")
		case outer.Goes && inner.place.within(outer.place):
			return inner.fault(fmt.Sprintf("%s, in the folder %s, which is removed in the end", inner.Path, outer.Path), "another folder")
		}
	}
	return nil
}

// checkThere returns an error if writing w would replace anything but a file that Gimbal made.
func (w wanted) checkThere() error {
	info, err := os.Stat(w.Path)
	if err != nil {
		if target, err := os.Readlink(w.Path); err == nil {
			return w.fault(fmt.Sprintf("%s, a link to %s, which is not there", w.Path, target), "another name, or what the link names")
		}
		return nil // there is none, or its folder's check says what is wrong
	}
	switch {
	case w.Folder:
		return nil
	case !info.Mode().IsRegular():
		return w.fault(w.Path+", where there is a folder or device", "another name")
	case info.Size() > 0 && (w.Ours == nil || !w.Ours(w.Path)):
		return w.fault(w.Path+", which is there already, and which Gimbal did not make", "another name, or that file moved away")
	}
	return nil
}

// writtenIn returns the folder that must be there for w, or the nearest one above the one
// that is made for it.
func (w wanted) writtenIn(all []wanted) string {
	if w.Folder {
		return Nearest(w.Path)
	}
	dir := filepath.Dir(w.Path)
	for _, other := range all {
		if other.Folder && filepath.Clean(other.Path) == dir {
			return Nearest(dir)
		}
	}
	return dir
}

// Nearest returns dir, or the folder nearest above it that exists.
func Nearest(dir string) string {
	for {
		above := filepath.Dir(dir)
		if _, err := os.Stat(dir); err == nil || above == dir {
			return dir
		}
		dir = above
	}
}

// readFile is a file or folder that is read.
type readFile struct {
	what string
	info fs.FileInfo
	of   *Input // itself; nil for a part of one
}

// The most that is looked at of a folder of inputs.
const maxDepth, maxEntries = 5, 20000

// listInputs lists the inputs and what lies in those that are folders.
func listInputs(inputs []Input) (all []readFile) {
	for _, in := range inputs {
		if info, err := os.Stat(in.Path); in.Path != "" && err == nil { // or opening it says what is wrong
			all = append(all, readFile{in.What, info, &in})
			if info.IsDir() {
				all = listFolder(all, in, in.Path, maxDepth)
			}
		}
	}
	return all
}

func listFolder(all []readFile, in Input, dir string, depth int) []readFile {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return all // opening it says what is wrong
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Stat(path) // of what a link names
		if err != nil || len(all) == maxEntries {
			continue
		}
		all = append(all, readFile{what: "a part of " + in.What, info: info})
		if e.IsDir() && depth > 1 {
			all = listFolder(all, in, path, depth-1)
		}
	}
	return all
}

// checkInputs returns an error if w is something that is read, or would become a part of it.
func (w wanted) checkInputs(read []readFile) error {
	if w.Goes {
		return nil
	}
	for _, r := range read {
		is := place{info: r.info}
		switch {
		case w.place.is(is):
			return w.fault(w.Path+", "+r.what, "another name")
		case !w.Aside && w.place.rest != "" && r.of != nil && r.of.Whole && w.place.within(is):
			return w.fault(fmt.Sprintf("%s, in the folder of %s, of which it would become a part", w.Path, r.what), "another folder")
		}
	}
	return nil
}
