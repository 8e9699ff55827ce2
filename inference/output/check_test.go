package output_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gimbal/inference"
	"gimbal/inference/output"
)

// world is a folder with what people have: a picture, a checkpoint, letters, links to them,
// and a folder of a run that is under way.
func world(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"picture.png", "model/config.json", "model/expert/weights.safetensors", "camera/poses.npy", "letter.txt", "other.txt", "ours.json", "empty.mp4"} {
		path := filepath.Join(dir, name)
		text := name
		if name == "empty.mp4" {
			text = ""
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for link, target := range map[string]string{
		"soft.png": "picture.png", "weights": "model/expert/weights.safetensors", "here": ".", "gone.mp4": "nowhere/a.mp4", "new.mp4": "b.mp4",
		"model/expert/blob.safetensors": "../../letter.txt",
	} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Link(filepath.Join(dir, "picture.png"), filepath.Join(dir, "hard.png")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestCheck tries outputs against each other and against inputs.
func TestCheck(t *testing.T) {
	dir := world(t)
	ours := func(path string) bool { return filepath.Base(path) == "ours.json" }
	file := func(name string) output.File {
		return output.File{Setting: "a", Path: filepath.Join(dir, name), Ours: ours}
	}
	folder := func(name string) output.File {
		return output.File{Setting: "b", Path: filepath.Join(dir, name), Folder: true}
	}
	goes := func(name string) output.File {
		return output.File{Setting: "c", Path: filepath.Join(dir, name), Folder: true, Goes: true}
	}
	inputs := []output.Input{
		{What: "the picture", Path: filepath.Join(dir, "picture.png")}, {What: "the model", Path: filepath.Join(dir, "model"), Whole: true},
		{What: "the camera", Path: filepath.Join(dir, "camera")}, {What: "nothing", Path: ""}, {What: "gone", Path: filepath.Join(dir, "none")},
	}
	for _, c := range []struct {
		name  string
		files []output.File
		want  string // "" for no error
	}{
		{"new ones", []output.File{file("v.mp4"), file("v.png"), file("v.json"), goes("v.run"), folder("frames")}, ""},
		{"an empty one", []output.File{file("empty.mp4")}, ""},
		{"one of ours", []output.File{file("ours.json")}, ""},
		{"a stranger's", []output.File{file("other.txt")}, "did not make"},
		{"twice", []output.File{file("v.mp4"), file("v.mp4")}, "written twice"},
		{"twice by dots", []output.File{file("v.mp4"), {Setting: "a", Path: dir + "/x/.././v.mp4"}}, "written twice"},
		{"twice by a linked folder", []output.File{file("v.mp4"), file("here/here/v.mp4")}, "written twice"},
		{"twice by case", []output.File{file("v.mp4"), file("V.MP4")}, "written twice"},
		{"twice by case of letters", []output.File{file("straße.mp4"), file("STRASSE.mp4")}, "written twice"},
		{"twice by composition", []output.File{file("caf\u00e9.mp4"), file("cafe\u0301.mp4")}, "written twice"},
		{"twice by a case in a new folder", []output.File{folder("frames"), file("frames/a.json"), file("FRAMES/A.json")}, "written twice"},
		{"twice by a link to nothing", []output.File{file("b.mp4"), file("new.mp4")}, "written twice"},
		{"a folder and a file", []output.File{file("v.mp4"), folder("v.mp4")}, "a writes too"},
		{"a folder below a file", []output.File{file("v.mp4"), folder("v.mp4/frames")}, "below the file"},
		{"two of ours by links", []output.File{file("ours.json"), file("here/ours.json")}, "written twice"},
		{"in a folder that goes", []output.File{goes("v.run"), file("v.run/trace.json")}, "removed in the end"},
		{"in a folder that goes, first", []output.File{file("here/V.run/trace.json"), goes("v.run")}, "removed in the end"},
		{"a folder that goes in another", []output.File{folder("frames"), goes("frames/v.run")}, ""},
		{"a link to nothing", []output.File{file("gone.mp4")}, "nowhere/a.mp4"},
		{"the picture", []output.File{file("picture.png")}, "the picture"},
		{"the picture by a link", []output.File{file("soft.png")}, "the picture"},
		{"the picture by a hard link", []output.File{file("hard.png")}, "the picture"},
		{"weights by a link", []output.File{file("weights")}, "a part of the model"},
		{"what weights link to", []output.File{file("letter.txt")}, "a part of the model"},
		{"a file of the model", []output.File{file("here/model/config.json")}, "a part of the model"},
		{"a new file in the model's folder", []output.File{file("here/model/expert/v.json")}, "a part"},
		{"a new file aside in the model's folder", []output.File{{Setting: "a", Path: filepath.Join(dir, "model/v.mp4"), Aside: true}}, ""},
		{"a run in the model's folder", []output.File{goes("model/v.run")}, ""},
		{"a new file in the camera's folder", []output.File{file("camera/v.json")}, ""},
		{"two settings", []output.File{file("v"), folder("v")}, "which a writes too"},
		{"frames to the model", []output.File{folder("model/expert")}, "a part of the model"},
		{"frames to the camera", []output.File{folder("here/camera")}, "the camera"},
		{"a folder for a file", []output.File{file("model")}, "the model"},
		{"a device", []output.File{{Setting: "a", Path: "/dev/null"}}, "device"},
		{"nowhere", []output.File{file("none/v.mp4")}, "no such folder"},
		{"a file for a folder", []output.File{folder("letter.txt/frames")}, "letter.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := output.Check(c.files, inputs)
			if c.want == "" && err == nil {
				return
			}
			if err == nil || c.want == "" || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if len(inference.SettingErrors(err)) == 0 {
				t.Errorf("%v names no setting", err)
			}
		})
	}
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestMadePNG knows its own pictures by their mark.
func TestMadePNG(t *testing.T) {
	dir := world(t)
	if output.MadePNG(filepath.Join(dir, "picture.png")) || output.MadePNG(filepath.Join(dir, "none")) || output.MadePNG(dir) {
		t.Error("it takes anything for its own")
	}
}

// TestSweep takes away what a killed write left, and nothing else.
func TestSweep(t *testing.T) {
	dir := t.TempDir()
	stay := []string{".v.mp4", ".v.mp412", ".v.mp4123456789x", "v.mp4", ".w.mp4123456789012", "v.mp4123456789012"}
	for _, name := range append([]string{".v.mp46432186431684321684"}, stay...) {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	output.Sweep(filepath.Join(dir, "v.mp4"))
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != len(stay) {
		t.Errorf("left: %v, want %v", entries, stay)
	}
}

// TestCheckRoom counts what goes to one disk together.
func TestCheckRoom(t *testing.T) {
	dir := t.TempDir()
	if err := output.CheckRoom(output.Need{Folder: dir, Bytes: 1}, output.Need{Folder: filepath.Join(dir, "new", "one"), Bytes: 1}); err != nil {
		t.Error(err)
	}
	err := output.CheckRoom(output.Need{Folder: dir, Bytes: 1}, output.Need{Folder: filepath.Join(dir, "new"), Bytes: 1 << 60}, output.Need{Folder: dir, Bytes: 1 << 60})
	var full *inference.DiskError
	if !errors.As(err, &full) || full.Folder != dir || full.Need != 1<<61+1 {
		t.Errorf("error %v, want a DiskError of %s with all that is needed", err, dir)
	}
}

// TestFull tells a disk without room from all else that fails.
func TestFull(t *testing.T) {
	for _, err := range []error{
		&inference.DiskError{Folder: "/x"}, syscall.ENOSPC, fmt.Errorf("write: %w", &os.PathError{Op: "write", Path: "x", Err: syscall.EDQUOT}),
		output.Explain("x", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}),
	} {
		if !output.Full(err) {
			t.Errorf("not a full disk: %v", err)
		}
		if text := output.Explain("x", err).Error(); !strings.Contains(text, "free some space") {
			t.Errorf("explained as %q", text)
		}
	}
	for _, err := range []error{nil, syscall.EROFS, errors.New("no space left on device")} {
		if output.Full(err) {
			t.Errorf("a full disk: %v", err)
		}
	}
}

func TestCheckEmpty(t *testing.T) {
	dir := t.TempDir()
	for _, fine := range []string{dir, filepath.Join(dir, "new"), filepath.Join(dir, "new", "one")} {
		if err := output.CheckEmpty(fine); err != nil {
			t.Error(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "letter.txt"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := output.CheckEmpty(dir); err == nil || !strings.Contains(err.Error(), "letter.txt") {
		t.Errorf("a folder with a letter: %v", err)
	}
	if err := output.CheckEmpty(filepath.Join(dir, "letter.txt")); err == nil {
		t.Error("a file is taken for an empty folder")
	}
}
