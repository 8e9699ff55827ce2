//go:build !headless

package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gimbal/app/internal/x11test"
	"gimbal/inference/library"
)

// session is the real program on an X server of its own.
type session struct {
	*x11test.Server
	t     *testing.T
	home  string
	env   []string // beside what every session has
	shots string   // folder for screenshots; "" for none

	window *x11test.Window
	cmd    *exec.Cmd
	errs   *collected
	ended  chan error
}

// collected collects what a process writes.
type collected struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *collected) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *collected) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

func newSession(t *testing.T) *session {
	t.Helper()
	p := &session{Server: x11test.Start(t, 1280, 840), t: t, home: t.TempDir(), shots: os.Getenv("GIMBAL_SCREENSHOTS")}
	if p.shots != "" {
		if err := os.MkdirAll(p.shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// start starts the program as a double-click does, in a folder that is not its own,
// and waits for its window.
func (p *session) start(args ...string) {
	p.t.Helper()
	p.cmd = exec.Command(program, args...)
	p.cmd.Dir = "/"
	p.cmd.Env = []string{
		"HOME=" + p.home, "DISPLAY=" + p.Display, "PATH=" + os.Getenv("PATH"), "LANG=en_US.UTF-8",
		"LIBGL_ALWAYS_SOFTWARE=1", "GIMBAL_TEST_LAYOUT=" + p.layout(), "DBUS_SESSION_BUS_ADDRESS=unix:path=/nowhere", "DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nowhere",
		"HF_ENDPOINT=http://127.0.0.1:1", // nobody answers
	}
	p.cmd.Env = append(p.cmd.Env, p.env...)
	p.errs = &collected{}
	p.cmd.Stderr = p.errs
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, ended := p.cmd, make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p.ended = ended
	p.t.Cleanup(func() { cmd.Process.Kill() })
	p.window = p.Window(30 * time.Second)
	p.window.Move(image.Rect(0, 0, 1280, 840))
}

// wait waits until done, and fails with what the program wrote.
func (p *session) wait(timeout time.Duration, what string, done func() bool) time.Duration {
	p.t.Helper()
	began := time.Now()
	for !done() {
		if time.Since(began) > timeout {
			p.shot("failed")
			p.t.Fatalf("not within %v: %s\nlog:\n%s", timeout, what, p.errs)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// shot takes a picture of the screen, and keeps it on request.
func (p *session) shot(name string) *image.NRGBA {
	p.t.Helper()
	img := p.Screenshot()
	if p.shots == "" {
		return img
	}
	var buf bytes.Buffer
	if err := png.Encode(&buf, img); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(p.shots, name+".png"), buf.Bytes(), 0o644); err != nil {
		p.t.Fatal(err)
	}
	return img
}

// changed returns the part of a region's pixels that differ between two pictures.
func changed(a, b *image.NRGBA, region image.Rectangle) float64 {
	n := 0
	for y := region.Min.Y; y < region.Max.Y; y++ {
		for x := region.Min.X; x < region.Max.X; x++ {
			if a.NRGBAAt(x, y) != b.NRGBAAt(x, y) {
				n++
			}
		}
	}
	return float64(n) / float64(region.Dx()*region.Dy())
}

// runs returns the library's entries, the oldest first.
func (p *session) runs() []library.Entry {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.home, ".local/share/Gimbal/library/runs/*/run.json"))
	if err != nil {
		p.t.Fatal(err)
	}
	slices.Sort(files)
	var entries []library.Entry
	for _, file := range files {
		var e library.Entry
		text, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(text, &e)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// states returns the states of the runs: "done cancelled".
func (p *session) states() string {
	var words []string
	for _, e := range p.runs() {
		words = append(words, string(e.State))
	}
	return strings.Join(words, " ")
}

// end waits for the program to end, and holds it to having kept to Fyne's goroutine.
func (p *session) end() {
	p.t.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			p.t.Errorf("the program ended with %v:\n%s", err, p.errs)
		}
	case <-time.After(20 * time.Second):
		p.shot("failed")
		p.cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(time.Second)
		p.t.Fatalf("the program does not end:\n%s", p.errs)
	}
	for _, bad := range []string{"*** Error in Fyne call thread", "DATA RACE", "panic:"} {
		if strings.Contains(p.errs.String(), bad) {
			p.t.Errorf("%s:\n%s", bad, p.errs)
		}
	}
}

// rectangle returns where a part of the window is, by the name that ui gives it.
func (p *session) rectangle(name string) (image.Rectangle, bool) {
	p.t.Helper()
	text, err := os.ReadFile(p.layout())
	if err != nil {
		return image.Rectangle{}, false // not yet
	}
	var all map[string]image.Rectangle
	if err := json.Unmarshal(text, &all); err != nil {
		p.t.Fatal(err)
	}
	at, ok := all[name]
	return at.Add(p.window.Bounds().Min), ok
}

func (p *session) layout() string { return filepath.Join(p.home, "layout.json") }

// where waits until a part of the window can be seen, and returns where.
func (p *session) where(name string) image.Rectangle {
	p.t.Helper()
	var at image.Rectangle
	p.wait(30*time.Second, "the window shows "+name, func() (ok bool) {
		at, ok = p.rectangle(name)
		return ok
	})
	return at
}

// click clicks on a part of the window.
func (p *session) click(name string) {
	p.t.Helper()
	at := p.where(name)
	p.Click(at.Min.Add(at.Size().Div(2)))
}
