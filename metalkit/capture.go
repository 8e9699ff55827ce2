package metalkit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"gimbal/metalkit/internal/driver"
)

// capture records one submission to a file.
type capture struct{ file, label string } // no file: none, or it is there

// captureVariable must be 1 for the system to allow captures.
const captureVariable = "MTL_CAPTURE_ENABLED"

// checkCapture fails where a capture to file would, before any long work.
func checkCapture(file string) error {
	if file == "" {
		return nil
	}
	if filepath.Ext(file) != ".gputrace" {
		return fmt.Errorf("capture to %s: want a name that ends in .gputrace", file)
	}
	if _, err := os.Lstat(file); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("capture to %s: it is there already; remove it or choose another name", file)
	}
	if os.Getenv(captureVariable) != "1" {
		return fmt.Errorf("capture to %s: the system allows captures only with the environment variable %s=1; set it and run again", file, captureVariable)
	}
	return nil
}

// around calls run and captures it if it is the submission to capture.
func (c *capture) around(drv driver.Driver, label string, run func() error) error {
	if c.file == "" || label != c.label {
		return run()
	}
	stop, err := drv.Capture(c.file)
	if err != nil {
		return fmt.Errorf("capture to %s: %w", c.file, err)
	}
	c.file = ""
	if err = run(); err != nil {
		return errors.Join(err, stop())
	}
	return stop()
}

// missed fails where there was no submission to capture.
func (c *capture) missed() error {
	if c.file == "" {
		return nil
	}
	return fmt.Errorf("metalkit: capture to %s: nothing ran that is called %q", c.file, c.label)
}
