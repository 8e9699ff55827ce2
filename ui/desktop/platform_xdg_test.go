//go:build !darwin

package desktop

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// startBus starts a message bus of the test's own as both the session's and the system's.
func startBus(t *testing.T) *dbus.Conn {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("dbus-daemon is not installed: `make deps-test` does")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", strings.TrimSpace(address))
	bus, err := dbus.ConnectSessionBus()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { bus.Close() })
	return bus
}

// serve puts an object on the bus.
func serve(t *testing.T, bus *dbus.Conn, object any, path dbus.ObjectPath, service, iface string) {
	t.Helper()
	if err := bus.Export(object, path, iface); err != nil {
		t.Fatal(err)
	}
	if reply, err := bus.RequestName(service, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatalf("%s: %v, %v", service, reply, err)
	}
}

func newDesktop(t *testing.T) Desktop {
	t.Helper()
	d, err := New(Options{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Main: func(f func()) { f() }, Notify: func(string, string) {},
		Files: []string{"/a.png"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

type fileManager struct{ shown chan []string }

func (m fileManager) ShowItems(urls []string, startup string) *dbus.Error {
	m.shown <- urls
	return nil
}

func TestReveal(t *testing.T) {
	bus := startBus(t)
	m := fileManager{make(chan []string, 1)}
	serve(t, bus, m, "/org/freedesktop/FileManager1", "org.freedesktop.FileManager1", "org.freedesktop.FileManager1")
	file := filepath.Join(t.TempDir(), "a video.mp4")
	write(t, file, "")
	if err := newDesktop(t).Reveal(file); err != nil {
		t.Fatal(err)
	}
	if shown := <-m.shown; len(shown) != 1 || shown[0] != fileURL(file) {
		t.Errorf("the file manager shows %q, want %q", shown, fileURL(file))
	}
}

// login stands for logind: who holds the other end of the pipe keeps the machine awake.
type login struct {
	lock dbus.UnixFD
	asks chan []string
}

func (l login) Inhibit(what, who, why, mode string) (dbus.UnixFD, *dbus.Error) {
	l.asks <- []string{what, who, why, mode}
	return l.lock, nil
}

func TestKeepAwake(t *testing.T) {
	bus := startBus(t)
	read, lock, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	l := login{dbus.UnixFD(lock.Fd()), make(chan []string, 1)}
	serve(t, bus, l, "/org/freedesktop/login1", "org.freedesktop.login1", "org.freedesktop.login1.Manager")
	release := newDesktop(t).KeepAwake("making a video")
	if got := strings.Join(<-l.asks, "|"); got != "idle|Gimbal|making a video|block" {
		t.Errorf("asked for %q", got)
	}
	lock.Close() // the desktop alone holds it now
	read.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err := read.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("the machine may sleep before it is released: ", err)
	}
	release()
	release()
	read.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := read.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("after the release: %v", err)
	}
}

// TestWithout does without buses, panels and xdg-open.
func TestWithout(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nowhere")
	t.Setenv("PATH", t.TempDir())
	d := newDesktop(t)
	d.Progress(0.5)
	d.KeepAwake("making a video")()
	if _, err := d.Pick(Panel{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a panel: %v, want one that wraps errors.ErrUnsupported", err)
	}
	if err := d.Reveal(t.TempDir()); err == nil || !strings.Contains(err.Error(), "xdg-utils") {
		t.Errorf("without file manager: %v, want one that says what to install", err)
	}
	var opened []string
	d.OnOpen(func(paths []string) { opened = paths })
	if len(opened) != 1 || opened[0] != "/a.png" {
		t.Errorf("the program was started with /a.png, opened %q", opened)
	}
}
