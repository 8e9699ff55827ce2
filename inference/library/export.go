package library

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"gimbal/inference/video"
)

// ExportKind is a kind of file that a video can be exported as.
type ExportKind string

// The kinds of export.
const (
	ExportMP4   ExportKind = "mp4"   // a copy of the video
	ExportGIF   ExportKind = "gif"   // an animation that loops
	ExportPNGs  ExportKind = "png"   // a folder of numbered pictures
	ExportSheet ExportKind = "sheet" // one picture of evenly picked frames
)

// Export writes a finished run's video to path: a file, over one that is there, or
// for ExportPNGs a folder, which it makes. It tells progress how many frames of all
// are done. A file appears only when it is complete.
func (l *Library) Export(ctx context.Context, id ID, kind ExportKind, path string, progress func(done, total int)) error {
	e, ok := l.Get(id)
	if !ok || e.State != Done {
		return fmt.Errorf("library: run %s has no video yet", id)
	}
	if kind == ExportMP4 {
		return copyFile(ctx, path, e.Video)
	}
	v, err := l.Video(id)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("the frames of this video are not in the library any more: %w", err)
	}
	if err != nil {
		return err
	}
	switch kind {
	case ExportGIF:
		return exportGIF(ctx, v, path, progress)
	case ExportPNGs:
		return exportPNGs(ctx, v, path, progress)
	case ExportSheet:
		return exportSheet(ctx, v, path, progress)
	}
	return fmt.Errorf("library: no export called %q", kind)
}

// each gives every frame in turn, without keeping them in memory.
func each(ctx context.Context, v *Video, progress func(done, total int), f func(i int) error) error {
	for i := range v.Frames {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(i); err != nil {
			return err
		}
		progress(i+1, v.Frames)
	}
	return nil
}

// exportPNGs copies the frames' files as they are: they are PNG already.
func exportPNGs(ctx context.Context, v *Video, dir string, progress func(done, total int)) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := video.CheckPNGs(dir); err != nil {
		return err
	}
	return each(ctx, v, progress, func(i int) error {
		return copyFile(ctx, framePath(dir, i), framePath(v.dir, i))
	})
}

func exportSheet(ctx context.Context, v *Video, path string, progress func(done, total int)) error {
	sheet := video.NewSheet(v.Frames, video.SheetOptions{})
	err := each(ctx, v, progress, func(i int) error {
		frame, err := readPNG(framePath(v.dir, i))
		if err == nil {
			sheet.Add(frame)
		}
		return err
	})
	if err != nil {
		return err
	}
	return sheet.WriteFile(path)
}

// copyFile copies src to dst, which appears when it is complete.
func copyFile(ctx context.Context, dst, src string) error {
	in, err := os.Open(src)
	if err != nil {
		return err
	}
	defer in.Close()
	info, err := in.Stat()
	if err != nil {
		return err
	}
	if there, err := os.Stat(dst); err == nil && os.SameFile(info, there) {
		return fmt.Errorf("%s is the file itself: choose another place", dst)
	}
	out, err := renameio.NewPendingFile(dst, renameio.WithTempDir(filepath.Dir(dst)), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer out.Cleanup()
	if _, err := io.Copy(out, readerFunc(func(p []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return in.Read(p)
	})); err != nil {
		return fmt.Errorf("copying to %s: %w", dst, err)
	}
	return out.CloseAtomicallyReplace()
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }
