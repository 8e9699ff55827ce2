package video

import (
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"path/filepath"
)

// PNGs writes frames as numbered PNG files, frame_00001.png and on.
type PNGs struct {
	dir     string
	written int
	encoder png.Encoder
}

// CreatePNGs returns a writer into the folder dir, which it makes if there is
// none. It refuses a folder that holds such frames already.
func CreatePNGs(dir string) (*PNGs, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, explain(dir, err)
	}
	if err := CheckWritable(dir); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("video: look for frames in %s: %w", dir, err)
	}
	for _, entry := range entries {
		if old, _ := filepath.Match("frame_*.png", entry.Name()); old {
			return nil, fmt.Errorf("%s already holds frames (%s): choose another folder or move them away", dir, entry.Name())
		}
	}
	return &PNGs{dir: dir, encoder: png.Encoder{CompressionLevel: png.BestSpeed}}, nil
}

// WriteFrame writes the next frame.
func (p *PNGs) WriteFrame(frame *image.RGBA) error {
	path := filepath.Join(p.dir, fmt.Sprintf("frame_%05d.png", p.written+1))
	if err := writeFile(path, func(w io.Writer) error { return p.encoder.Encode(w, frame) }); err != nil {
		return err
	}
	p.written++
	return nil
}
