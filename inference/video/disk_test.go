package video

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/output"
)

var small = Options{Width: 64, Height: 48, FPS: 16}

// holding returns a path with a file that holds content.
func holding(t *testing.T, dir, content string) string {
	t.Helper()
	path := filepath.Join(dir, "clip.mp4")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// checkUntouched tells whether path still holds content, alone in its folder.
func checkUntouched(t *testing.T, path, content string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil || string(got) != content {
		t.Errorf("the old file now holds %d bytes, %v", len(got), err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != filepath.Base(path) {
			t.Errorf("left behind: %s", e.Name())
		}
	}
}

func TestReplace(t *testing.T) {
	path := holding(t, t.TempDir(), "old")
	w, err := Create(path, small)
	if err != nil {
		t.Fatal(err)
	}
	frame := image.NewRGBA(image.Rect(0, 0, 64, 48))
	for range 3 {
		if err := w.WriteFrame(frame); err != nil {
			t.Fatal(err)
		}
	}
	checkUntouched(t, path, "old")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, samples := readVideo(t, path); len(samples) != 3 {
		t.Errorf("%d frames, want 3", len(samples))
	}
	if err := w.Close(); err == nil {
		t.Error("a second Close succeeded")
	}
	if err := w.WriteFrame(frame); err == nil {
		t.Error("a frame after Close succeeded")
	}
}

func TestAbort(t *testing.T) {
	path := holding(t, t.TempDir(), "old")
	w, err := Create(path, small)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(image.NewRGBA(image.Rect(0, 0, 64, 48))); err != nil {
		t.Fatal(err)
	}
	w.Abort()
	w.Abort()
	if err := w.Close(); err == nil {
		t.Error("Close after Abort succeeded")
	}
	checkUntouched(t, path, "old")
}

// TestKilled kills a process, this test binary, in the middle of a video.
func TestKilled(t *testing.T) {
	if path := os.Getenv("GIMBAL_VIDEO_CHILD"); path != "" {
		writeForever(path)
	}
	path := holding(t, t.TempDir(), "old")
	child := exec.Command(os.Args[0], "-test.run=^TestKilled$")
	child.Env = append(os.Environ(), "GIMBAL_VIDEO_CHILD="+path)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "writing\n" {
		t.Errorf("child said %q, %v", line, err)
	}
	time.Sleep(20 * time.Millisecond)
	if err := child.Process.Kill(); err != nil {
		t.Error(err)
	}
	child.Wait()
	checkUntouched(t, path, "old")
}

func writeForever(path string) {
	w, err := Create(path, small)
	for i := 0; err == nil; i++ {
		err = w.WriteFrame(image.NewRGBA(image.Rect(0, 0, 64, 48)))
		if i == 5 {
			fmt.Println("writing")
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// TestFullDisk writes the samples to a device that is always full.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	path := holding(t, t.TempDir(), "old")
	w, err := newWriter(path, small, full)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.WriteFrame(image.NewRGBA(image.Rect(0, 0, 64, 48))); err != nil {
		t.Fatal(err) // the buffer still holds it
	}
	checkFull(t, w.Close(), path)
	checkUntouched(t, path, "old")
}

func checkFull(t *testing.T, err error, path string) {
	t.Helper()
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "free some space") ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("error %v, want one that names %s and says what to do", err, path)
	}
}

func TestCheckWritable(t *testing.T) {
	dir := t.TempDir()
	if err := output.CheckWritable(dir); err != nil {
		t.Error(err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cases := map[string]string{
		filepath.Join(dir, "none"): "no such folder",
		file:                       "not a folder",
		filepath.Join(file, "sub"): "no such folder",
	}
	if runtime.GOOS == "linux" {
		cases["/proc/self"] = "choose" // not even root can write there
	}
	if os.Getuid() != 0 {
		locked := filepath.Join(dir, "locked")
		if err := os.Mkdir(locked, 0o500); err != nil {
			t.Fatal(err)
		}
		cases[locked] = "permissions"
	}
	for path, want := range cases {
		err := output.CheckWritable(path)
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", path, err, want)
		}
		if w, err := Create(filepath.Join(path, "x.mp4"), small); err == nil {
			w.Abort()
			t.Errorf("%s: a video was started", path)
		}
	}
	if _, err := Create(dir, small); err == nil || !strings.Contains(err.Error(), "is a folder") {
		t.Errorf("a folder as the video: %v", err)
	}
}
