package video

import (
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"gimbal/inference/output"
)

// PNGs writes frames as numbered PNG files, frame_00001.png and on.
type PNGs struct {
	dir     string
	written int
	encoder png.Encoder
}

// CheckPNGs returns an error if the folder dir holds such frames already, of
// which a shorter video would leave some in place.
func CheckPNGs(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("video: look for frames in %s: %w", dir, err)
	}
	for _, entry := range entries {
		if old, _ := filepath.Match("frame_*.png", entry.Name()); old {
			return fmt.Errorf("%s already holds frames (%s): choose another folder or move them away", dir, entry.Name())
		}
	}
	return nil
}

// CreatePNGs returns a writer into the folder dir, which it makes if there is
// none. It writes over frames that are there, so that a decoding that was cut
// short can be repeated.
func CreatePNGs(dir string) (*PNGs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, output.Explain(dir, err)
	}
	if err := output.CheckWritable(dir); err != nil {
		return nil, err
	}
	return &PNGs{dir: dir, encoder: png.Encoder{CompressionLevel: png.BestSpeed}}, nil
}

// WriteFrame writes the next frame.
func (p *PNGs) WriteFrame(frame *image.RGBA) error {
	path := filepath.Join(p.dir, fmt.Sprintf("frame_%05d.png", p.written+1))
	if err := output.WriteFile(path, func(w io.Writer) error { return p.encoder.Encode(w, frame) }); err != nil {
		return err
	}
	p.written++
	return nil
}
