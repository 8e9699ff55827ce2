//go:build !headless

package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestWindowMemory makes a dozen small videos in one session of the real program, each
// shown when it is done, and wants its memory to stay where it was: small pictures of
// the runs are kept for the library, but nothing else of them.
func TestWindowMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	const all, first = 12, 6
	p := newSession(t)
	p.env = []string{"GOGC=10", "MALLOC_ARENA_MAX=1"} // what is free is soon used again: what grows is in use
	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.Press("ctrl+1") // the preset Quick
	p.fill("sample_steps", "2")
	p.fill("max_area", "9216")
	early, late := 0, 0
	for n := 1; n <= all; n++ {
		p.Press("ctrl+enter")
		p.wait(60*time.Second, fmt.Sprintf("video %d", n), func() bool { return strings.Count(p.states(), "done") == n })
		if rss := p.resident(); n <= first {
			early = max(early, rss)
		} else {
			late = max(late, rss)
		}
	}
	t.Logf("resident: %d MB at most in %d runs, %d MB in the %d after them", early>>20, first, late>>20, all-first)
	if limit := early + early/10; late > limit {
		t.Errorf("memory grows: %d MB in the first %d runs, %d MB afterwards, want at most %d MB", early>>20, first, late>>20, limit>>20)
	}
	p.window.Close()
	p.end()
}

// resident returns the program's resident memory without what is mapped from files, in bytes.
func (p *session) resident() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	found := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		p.t.Fatal("/proc/PID/status holds no RssAnon")
	}
	kilobytes, err := strconv.Atoi(string(found[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	return kilobytes << 10
}
