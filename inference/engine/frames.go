package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"

	"gimbal/inference/output"
)

// keptFrames are the frames of a causal run that are decoded: in the run's folder, 8 bits a
// channel as they go into the video, in a file for each chunk, which is whole where it has its
// name. A run that goes on reads them back. What the decoder remembers is no alternative: by its
// layers, at 464x832 it is 3.7 GB after every chunk, of which the frames are a two-hundredth.
type keptFrames struct {
	dir           string // "" for nowhere
	width, height int
	chunks        int // from the first on, that are there
}

// keptBytes is what a pixel of them takes.
const keptBytes = 3

// find looks for the frames of as many chunks as are done; frames says how many chunk k has.
func (f *keptFrames) find(done int, frames func(k int) int) {
	for f.dir != "" && f.chunks < done {
		info, err := os.Stat(f.path(f.chunks))
		if err != nil || info.Size() != int64(frames(f.chunks)*f.width*f.height*keptBytes) {
			return
		}
		f.chunks++
	}
}

func (f *keptFrames) path(k int) string {
	return filepath.Join(f.dir, fmt.Sprintf("frames-%04d.rgb", k))
}

// read hands the frames of chunk k, brought to p one after the other, to each.
func (f *keptFrames) read(ctx context.Context, k int, p *image.RGBA, each func() error) error {
	file, err := os.Open(f.path(k))
	if err != nil {
		return err
	}
	defer file.Close()
	in, row := bufio.NewReader(file), make([]byte, f.width*keptBytes)
	for {
		for y := range f.height {
			switch _, err := io.ReadFull(in, row); {
			case err == io.EOF && y == 0:
				return nil
			case err != nil:
				return fmt.Errorf("%s: %w", file.Name(), err)
			}
			for x := range f.width {
				copy(p.Pix[y*p.Stride+4*x:], row[3*x:3*x+3])
				p.Pix[y*p.Stride+4*x+3] = 255
			}
		}
		if err := errors.Join(each(), ctx.Err()); err != nil {
			return err
		}
	}
}

// write makes chunk k's file of the frames that decode hands to its function.
func (f *keptFrames) write(k int, decode func(add func(*image.RGBA) error) error) error {
	if f.dir == "" {
		return decode(func(*image.RGBA) error { return nil })
	}
	var failed error
	row := make([]byte, f.width*keptBytes)
	err := output.WriteFile(f.path(k), func(w io.Writer) error {
		failed = decode(func(p *image.RGBA) error {
			for y := range f.height {
				for x := range f.width {
					copy(row[3*x:], p.Pix[y*p.Stride+4*x:][:3])
				}
				if _, err := w.Write(row); err != nil {
					return err
				}
			}
			return nil
		})
		return failed
	})
	if failed != nil && !output.Full(failed) {
		return failed
	}
	return err
}
