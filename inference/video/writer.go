package video

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"

	"gimbal/inference/output"
	"gimbal/inference/video/internal/openh264"
)

const (
	minSide   = 16          // openh264's smallest width and height
	maxPixels = 4096 * 2304 // a frame of H.264 level 5.2
	// qualityQP is visually lossless: about 44 dB on photographs, 3 to 4 Mbit/s
	// at 480x832 and 16 frames a second.
	qualityQP = 18
	// A frame of noise can take more bits than openh264 makes room for; the
	// rest of the video is then coded with a QP higher by qpStep, and again.
	qpStep, maxQP = 6, 48
	keySeconds    = 2 // between key frames at most, so that players seek quickly
)

// Options describe a video.
type Options struct {
	Width, Height int // pixels, even, at least 16, at most 4096*2304 together
	FPS           int // frames a second, 1 to 240; the reference's is 16
}

// Check says why H.264 cannot hold such a video.
func (o Options) Check() error {
	if o.Width < minSide || o.Height < minSide {
		return fmt.Errorf("video: H.264 needs at least %dx%d pixels, got %dx%d: choose a larger size or save PNG frames",
			minSide, minSide, o.Width, o.Height)
	}
	if o.Width > maxPixels || o.Height > maxPixels || o.Width*o.Height > maxPixels {
		return fmt.Errorf("video: H.264 holds %d pixels a frame at most, got %dx%d: choose a smaller size or save PNG frames",
			maxPixels, o.Width, o.Height)
	}
	if o.Width%2 != 0 || o.Height%2 != 0 {
		return fmt.Errorf("video: H.264 needs an even width and height, got %dx%d: choose an even size or save PNG frames",
			o.Width, o.Height)
	}
	if o.FPS < 1 || o.FPS > 240 {
		return fmt.Errorf("video: %d frames a second, want 1 to 240", o.FPS)
	}
	return nil
}

// Writer writes an .mp4: H.264, 4:2:0, limited-range BT.709, the index before
// the frames, a constant frame rate. Frames are encoded as they come, into a
// file without a name in the same folder, and the video appears under its own
// name when Close succeeds. A Writer is used by one goroutine at a time.
type Writer struct {
	path  string
	opts  Options
	spool *os.File // encoded samples, one after the other
	out   *bufio.Writer
	track track
	enc   *openh264.Encoder
	qp    int
	frame *image.YCbCr
	err   error // the first one of WriteFrame
}

// Create starts a video that Close will put at path. It fails at once for a
// size that H.264 cannot hold and for a folder that cannot be written. One of
// Close and Abort must be called.
func Create(path string, opts Options) (*Writer, error) {
	if err := opts.Check(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s is a folder: name a file for the video, such as %s", path, filepath.Join(path, "video.mp4"))
	}
	if err := output.CheckWritable(filepath.Dir(path)); err != nil {
		return nil, err
	}
	spool, err := output.Nameless(filepath.Dir(path)) // nothing is left of it if the process dies
	if err != nil {
		return nil, output.Explain(path, err)
	}
	w, err := newWriter(path, opts, spool)
	if err != nil {
		spool.Close()
		return nil, err
	}
	return w, nil
}

func newWriter(path string, opts Options, spool *os.File) (*Writer, error) {
	w := &Writer{
		path: path, opts: opts, spool: spool, out: bufio.NewWriterSize(spool, 1<<20), qp: qualityQP,
		frame: image.NewYCbCr(image.Rect(0, 0, opts.Width, opts.Height), image.YCbCrSubsampleRatio420),
	}
	return w, w.startEncoder()
}

func (w *Writer) startEncoder() (err error) {
	w.enc, err = openh264.NewEncoder(w.opts.Width, w.opts.Height, w.opts.FPS, w.qp, keySeconds*w.opts.FPS)
	return err
}

// WriteFrame encodes the next frame, which must have the video's size. The
// Writer keeps no reference to it.
func (w *Writer) WriteFrame(frame *image.RGBA) error {
	if w.err != nil {
		return w.err
	}
	if got := frame.Rect.Size(); got != image.Pt(w.opts.Width, w.opts.Height) {
		return fmt.Errorf("video: frame %d has %dx%d pixels, the video has %dx%d",
			len(w.track.sizes)+1, got.X, got.Y, w.opts.Width, w.opts.Height)
	}
	toYCbCr(w.frame, frame)
	w.err = w.write()
	return w.err
}

func (w *Writer) write() error {
	unit, err := w.encode()
	if err != nil {
		return fmt.Errorf("video: frame %d of %s: %w", len(w.track.sizes)+1, w.path, err)
	}
	sample, err := w.track.add(unit)
	if err != nil {
		return fmt.Errorf("video: frame %d of %s: %w", len(w.track.sizes)+1, w.path, err)
	}
	if _, err := w.out.Write(sample); err != nil {
		return output.Explain(w.path, err)
	}
	return nil
}

func (w *Writer) encode() ([]byte, error) {
	for {
		unit, err := w.enc.Encode(w.frame)
		if err == nil || w.qp+qpStep > maxQP {
			return unit, err
		}
		w.enc.Close()
		w.enc = nil
		w.qp += qpStep
		if err := w.startEncoder(); err != nil {
			return nil, err
		}
	}
}

// Close finishes the video and puts it at its path, over a file that is there.
// If anything failed, it returns that error and leaves the path as it was.
func (w *Writer) Close() error {
	defer w.Abort()
	if w.err != nil {
		return w.err
	}
	if len(w.track.sizes) == 0 {
		return fmt.Errorf("video: no frame for %s", w.path)
	}
	if err := w.out.Flush(); err != nil {
		return output.Explain(w.path, err)
	}
	return output.WriteFile(w.path, func(out io.Writer) error {
		if err := w.track.writeHeader(out, w.opts); err != nil {
			return err
		}
		if _, err := w.spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := io.Copy(out, w.spool)
		return err
	})
}

// Abort drops the video and frees what the Writer holds; the path is left as it
// was. After Close it does nothing.
func (w *Writer) Abort() {
	if w.enc != nil {
		w.enc.Close()
		w.enc = nil
	}
	if w.spool != nil {
		w.spool.Close()
		w.spool = nil
	}
	if w.err == nil {
		w.err = errors.New("video: the writer is closed")
	}
}
