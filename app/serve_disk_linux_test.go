package main

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestServeFullDisk fills the disk of the store, a file system of its own: new jobs are refused
// with the reason, the one that runs ends, and when nothing at all can be written the service
// ends and says so. Nothing that was there is lost, and it goes on when there is room.
func TestServeFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=400m"); err != nil {
		t.Skipf("no file system can be made: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	demo := serviceHome(t)
	store := filepath.Join(disk, "store")
	args := []string{"serve", "--listen", "127.0.0.1:0", "--store", store, "--store_limit", "10GB", "--lease", "3s"}
	p, lines := startProcess(t, 1, args...)
	url := strings.TrimPrefix(lines[0], "listening on ")
	id := submitWhenReady(t, url, demo, 3)
	before := awaitVideo(t, p, url, id)
	running := submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), 3)
	free := func() int64 {
		var told syscall.Statfs_t
		if err := syscall.Statfs(disk, &told); err != nil {
			t.Fatal(err)
		}
		return int64(told.Bavail) * told.Bsize
	}
	filler, err := os.Create(filepath.Join(disk, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	fill := func(leave int64) (err error) {
		for err == nil && free() > leave {
			_, err = filler.Write(make([]byte, 1<<20))
		}
		return err
	}
	if err := fill(200 << 20); err != nil {
		t.Fatal(err)
	}
	status, text := trySubmit(t, url, filepath.Join(demo.Pictures, "desert.png"), 4)
	if status != http.StatusInsufficientStorage || !strings.Contains(text, "full") {
		t.Errorf("on a full disk a job gets %d: %s", status, text)
	}
	if v := awaitVideo(t, p, url, running); v.SHA256 != before.SHA256 {
		t.Errorf("the video that was made meanwhile is %+v", v)
	}
	if err := filler.Truncate(0); err != nil { // room for a job, and then none at all
		t.Fatal(err)
	}
	filler.Seek(0, io.SeekStart)
	running = submit(t, url, filepath.Join(demo.Pictures, "meadow.png"), 3)
	if err := fill(0); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := p.Wait(); err == nil || !strings.Contains(p.errs.String(), "is full") {
		t.Errorf("the service ends with %v: %s", err, p.errs)
	}
	if _, _, err := tryProcess(t, 1, args...); err == nil || !strings.Contains(err.Error(), "is full") {
		t.Errorf("without room it starts: %v", err)
	}
	if err := filler.Truncate(0); err != nil {
		t.Fatal(err)
	}
	p, lines = startProcess(t, 1, args...)
	url = strings.TrimPrefix(lines[0], "listening on ")
	for _, one := range []string{id, running, submitWhenReady(t, url, demo, 3)} {
		if v := awaitVideo(t, p, url, one); v.SHA256 != before.SHA256 {
			t.Errorf("after the start video %s is %+v", one, v)
		}
	}
}

// trySubmit sends a job and returns the status and the error that come back.
func trySubmit(t *testing.T, url, picture string, seed int) (status int, text string) {
	t.Helper()
	answer := post(t, url, picture, seed, serviceJob)
	defer answer.Body.Close()
	var v struct{ Error struct{ Message string } }
	json.NewDecoder(answer.Body).Decode(&v)
	return answer.StatusCode, v.Error.Message
}
