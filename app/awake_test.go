//go:build !darwin

package main

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// login stands for logind.
type login struct {
	lock dbus.UnixFD
	asks chan string
}

func (l login) Inhibit(what, _, why, mode string) (dbus.UnixFD, *dbus.Error) {
	l.asks <- strings.Join([]string{what, why, mode}, "|")
	return l.lock, nil
}

// TestCommandsKeepAwake makes sure that the machine does not sleep during a command that
// takes long, and may sleep after it.
func TestCommandsKeepAwake(t *testing.T) {
	daemon := exec.Command("dbus-daemon", "--session", "--nofork", "--print-address")
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("dbus-daemon is not installed: `make deps-test` does")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		daemon.Process.Kill()
		daemon.Wait()
	})
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SYSTEM_BUS_ADDRESS", strings.TrimSpace(address))
	bus, err := dbus.Connect(strings.TrimSpace(address))
	if err != nil {
		t.Fatal(err)
	}
	defer bus.Close()
	read, lock, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	l := login{dbus.UnixFD(lock.Fd()), make(chan string, 10)}
	if err := bus.Export(l, "/org/freedesktop/login1", "org.freedesktop.login1.Manager"); err != nil {
		t.Fatal(err)
	}
	if reply, err := bus.RequestName("org.freedesktop.login1", dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	ownFolders(t)
	video := filepath.Join(t.TempDir(), "v.mp4")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"demo", "--frame_num", "1", "--sample_steps", "1", "--max_area", "9216", "--save_file", video}, "idle|Making a video|block"},
		{[]string{"bench", "attention", "--synthetic", tinyDims, "--lengths", "256", "--runs", "50", "--out", filepath.Join(t.TempDir(), "r")}, "idle|Measuring|block"},
	} {
		if out, errs, code := gimbal(t, c.args...); code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", c.args, code, out, errs)
		}
		select {
		case asked := <-l.asks:
			if asked != c.want {
				t.Errorf("%v asked for %s, want %s", c.args, asked, c.want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%v lets the machine sleep", c.args)
		}
	}
	gimbal(t, "devices")
	select {
	case asked := <-l.asks:
		t.Errorf("devices asked for %s", asked)
	default:
	}
	lock.Close() // nobody holds it any more
	read.SetReadDeadline(time.Now().Add(10 * time.Second))
	if _, err := read.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the machine may not sleep after the commands: %v", err)
	}
}
