//go:build !headless

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestLiveLong walks in the real window for GIMBAL_LIVE_MINUTES minutes, as fast as the machine
// goes, with keys that change, and logs every minute what the program holds: its live heap after
// a collection, stacks of goroutines, resident memory, open files, threads, and the walk on disk.
// From a third of the time on, nothing of it may grow but the walk on disk, and the heap by what a
// walk keeps of a chunk.
func TestLiveLong(t *testing.T) {
	minutes, err := strconv.Atoi(os.Getenv("GIMBAL_LIVE_MINUTES"))
	if err != nil || minutes < 3 {
		t.Skip("set GIMBAL_LIVE_MINUTES to 3 or more")
	}
	p := newSession(t)
	p.env = []string{"GODEBUG=gctrace=1"}
	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.Press("ctrl+t")
	p.click("live.start")
	p.wait(30*time.Second, "a walk", func() bool { return len(p.walks()) == 1 })
	p.where("live.pause")
	keys := []string{"w", "j", "w", "l", "d", "w", "l", "a", "s", "j"}
	began := time.Now()
	var all []held
	for n := 0; len(all) < minutes; n++ {
		release := p.Hold(keys[n%len(keys)])
		time.Sleep(6 * time.Second)
		release()
		if time.Since(began) < time.Duration(len(all)+1)*time.Minute {
			continue
		}
		all = append(all, p.held())
		t.Logf("minute %2d: %v", len(all), all[len(all)-1])
	}
	p.shot("live-long")
	early, late := all[minutes/3], all[len(all)-1]
	const chunk = 16 << 10 // of the heap: poses, keys, and where things are
	if grown, most := late.heap-early.heap, 8<<20+chunk*(late.chunks-early.chunks); grown > most {
		t.Errorf("the heap grows by %d MB in %d chunks, want at most %d MB", grown>>20, late.chunks-early.chunks, most>>20)
	}
	if late.files > early.files+2 || late.threads > early.threads+4 || late.stacks > early.stacks+1 {
		t.Errorf("what is open grows: %v, then %v", early, late)
	}
	p.cmd.Process.Signal(syscall.SIGQUIT)
	<-p.ended
	t.Logf("%d goroutines at the end", len(regexp.MustCompile(`(?m)^goroutine \d+ `).FindAllString(p.errs.String(), -1)))
}

// held is what the program holds.
type held struct {
	chunks, heap, stacks, resident, files, threads, disk int // bytes, but stacks in MB
}

func (h held) String() string {
	return fmt.Sprintf("%d chunks, live heap %d MB, stacks %d MB, resident %d MB, %d files, %d threads, %.1f MB on disk",
		h.chunks, h.heap>>20, h.stacks, h.resident>>20, h.files, h.threads, float64(h.disk)/1e6)
}

// held returns what the program holds now, with the heap and the stacks of the last collection.
func (p *session) held() (h held) {
	p.t.Helper()
	h.chunks, h.resident = p.walks()[0].Chunks, p.resident()
	proc := fmt.Sprintf("/proc/%d", p.cmd.Process.Pid)
	files, err1 := os.ReadDir(proc + "/fd")
	threads, err2 := os.ReadDir(proc + "/task")
	if err1 != nil || err2 != nil {
		p.t.Fatal(err1, err2)
	}
	h.files, h.threads = len(files), len(threads)
	log := p.errs.String()
	if line := regexp.MustCompile(`\d+->\d+->(\d+) MB, \d+ MB goal, (\d+) MB stacks`).FindStringSubmatch(log[max(0, strings.LastIndex(log, "\ngc ")):]); line != nil {
		h.heap, _ = strconv.Atoi(line[1])
		h.heap <<= 20
		h.stacks, _ = strconv.Atoi(line[2])
	}
	walks := filepath.Join(p.home, ".local/share/Gimbal/walks")
	err := filepath.Walk(walks, func(_ string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			h.disk += int(info.Size())
		}
		return err
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return h
}
