//go:build !darwin

package desktop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/jezek/xgb"

	"gimbal/ui/desktop/awake"
)

// xdg is a desktop of freedesktop.org's specifications.
type xdg struct{}

func newPlatform(Options, func(paths []string)) platform {
	xgb.Logger.SetOutput(io.Discard) // what matters is in its errors too
	return xdg{}
}

func (xdg) setIcon([]byte) {} // no desktop has a picture of the program to draw on

func (xdg) keepAwake(reason string) (release func(), err error) { return awake.Keep(reason) }

// reveal selects the file in the file manager, or where that cannot be told opens the folder.
func (x xdg) reveal(path string) error {
	bus, err := dbus.ConnectSessionBus()
	if err == nil {
		defer bus.Close()
		err = bus.Object("org.freedesktop.FileManager1", "/org/freedesktop/FileManager1").
			Call("org.freedesktop.FileManager1.ShowItems", 0, []string{fileURL(path)}, "").Err
	}
	if err != nil {
		return x.open(fileURL(filepath.Dir(path)))
	}
	return nil
}

func (xdg) open(url string) error {
	cmd := exec.Command("xdg-open", url)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("opening %s (xdg-open, of the package xdg-utils, opens files here): %w", url, err)
	}
	go cmd.Wait() // some desktops' xdg-open stays as long as the program that it opened
	return nil
}

func (xdg) trash(path string) error {
	folders, err := UserFolders()
	if err != nil {
		return err
	}
	return moveToTrash(path, filepath.Dir(folders.Data), os.Getuid(), time.Now())
}

func (xdg) pick(Panel) (string, error) {
	return "", fmt.Errorf("a file panel of the system: %w", errors.ErrUnsupported)
}
