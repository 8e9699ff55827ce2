//go:build !darwin

package desktop

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// displayWait is how long an X server may take to answer.
const displayWait = 5 * time.Second

// CheckDisplay tells whether a window can be opened: the window's toolkit ends the program
// where it cannot. The error is ErrNoDisplay where nothing names a display.
func CheckDisplay() error {
	name := os.Getenv("DISPLAY")
	switch {
	case name == "" && os.Getenv("WAYLAND_DISPLAY") == "":
		return ErrNoDisplay
	case name == "":
		return errors.New("DISPLAY is not set, and Gimbal needs an X server on Wayland too: Xwayland")
	}
	xgb.Logger.SetOutput(io.Discard) // what matters is in its errors too
	answer := make(chan error, 1)
	go func() { answer <- askServer() }()
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("the display DISPLAY=%s: %w", name, err)
		}
		return nil
	case <-time.After(displayWait):
		return fmt.Errorf("the display DISPLAY=%s: no answer in %v", name, displayWait)
	}
}

// askServer asks an X server for what a window needs of it.
func askServer() error {
	conn, err := xgb.NewConn()
	if err != nil {
		return err
	}
	defer conn.Close()
	const glx = "GLX"
	found, err := xproto.QueryExtension(conn, uint16(len(glx)), glx).Reply()
	if err != nil {
		return err
	}
	if !found.Present {
		return errors.New("its X server has no OpenGL (the extension GLX)")
	}
	return nil
}
