package desktop

import (
	"bytes"
	"errors"
	"image"
	"image/png"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func TestRecorder(t *testing.T) {
	dir := t.TempDir()
	r := NewRecorder(dir)
	var d Desktop = r
	file := filepath.Join(dir, "a b.mp4")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	d.Notify("Done", "a b.mp4")
	d.Progress(0.5)
	d.Progress(0.501) // the same percent
	d.Progress(-1)
	release := d.KeepAwake("making a video")
	release()
	release()
	for _, f := range []func(string) error{d.Reveal, d.Open, d.Trash} {
		if err := f(file); err != nil {
			t.Error(err)
		}
		if err := f(filepath.Join(dir, "gone")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("of a file that is not there: %v", err)
		}
	}
	if err := d.Open("https://example.org/a?b"); err != nil {
		t.Error(err)
	}
	if path, err := d.Pick(Panel{Title: "Open a picture"}); path != "" || err != nil {
		t.Errorf("a cancelled panel: %q, %v", path, err)
	}
	want := []string{
		"notify Done: a b.mp4", "progress", "no progress", "keep awake: making a video", "sleep",
		"reveal " + file, "open file://" + dir + "/a%20b.mp4", "trash " + file, "open https://example.org/a?b", "pick Open a picture",
	}
	if got := r.Calls(); !reflect.DeepEqual(got, want) {
		t.Errorf("calls:\n%q\nwant\n%q", got, want)
	}
}

// TestOnOpen opens files before and after somebody asks for them.
func TestOnOpen(t *testing.T) {
	r := NewRecorder(t.TempDir())
	r.OpenFiles("a")
	r.OpenFiles("b", "c")
	var got [][]string
	r.OnOpen(func(paths []string) { got = append(got, paths) })
	r.OpenFiles()
	r.OpenFiles("d")
	if want := [][]string{{"a", "b", "c"}, {"d"}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestPanel(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	r := NewRecorder(t.TempDir())
	var got Panel
	r.Picked = func(p Panel) (string, error) { got = p; return "/x", nil }
	path, err := r.Pick(Panel{Kind: SaveFile, Folder: "videos", Name: "old/a.mp4", Extensions: []string{".MP4", "gif"}})
	if path != "/x" || err != nil {
		t.Errorf("picked %q, %v", path, err)
	}
	want := Panel{Kind: SaveFile, Folder: filepath.Join(wd, "videos"), Name: "a.mp4", Extensions: []string{"mp4", "gif"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the platform got %+v, want %+v", got, want)
	}
}

func TestFolders(t *testing.T) {
	env := map[string]string{"XDG_STATE_HOME": "/state", "XDG_CACHE_HOME": "relative"}
	for _, c := range []struct {
		goos string
		want Folders
	}{
		{"darwin", Folders{
			Data: "/u/Library/Application Support/Gimbal", Cache: "/u/Library/Caches/Gimbal",
			Log: "/u/Library/Logs/Gimbal", Video: "/u/Movies/Gimbal",
		}},
		{"linux", Folders{
			Data: "/u/.local/share/Gimbal", Cache: "/u/.cache/Gimbal", Log: "/state/Gimbal", Video: "/u/Videos/Gimbal",
		}},
	} {
		if got := foldersOf(c.goos, "/u", func(k string) string { return env[k] }); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.goos, got, c.want)
		}
	}
}

// TestDock looks at the bar on the icon: longer with more done, and nothing changed
// beside it.
func TestDock(t *testing.T) {
	var d dock
	lit := func(fraction float64) int {
		t.Helper()
		icon, changed := d.show(fraction)
		if !changed || icon == nil {
			t.Fatalf("%g: nothing to show", fraction)
		}
		img, err := png.Decode(bytes.NewReader(icon))
		if err != nil {
			t.Fatal(err)
		}
		if img.Bounds() != image.Rect(0, 0, dockSize, dockSize) {
			t.Fatalf("the icon is %v", img.Bounds())
		}
		n := 0
		for x := range dockSize {
			if r, g, b, _ := img.At(x, 200).RGBA(); min(r, g, b) > 0xf000 {
				n++
			}
		}
		return n
	}
	none, half, all := lit(0), lit(0.5), lit(7)
	if none != 0 || half < 70 || half > 90 || all < 155 || all > 175 {
		t.Errorf("the bar is %d, %d and %d pixels long at 0, a half and 1", none, half, all)
	}
	if icon, changed := d.show(-1); icon != nil || !changed {
		t.Error("the icon does not come back")
	}
	if _, changed := d.show(-0.5); changed {
		t.Error("the icon comes back twice")
	}
}
