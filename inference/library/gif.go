package library

import (
	"context"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/ericpauley/go-quantize/quantize"
	"github.com/google/renameio/v2"
)

// exportGIF writes the video as an animation of 256 colours, chosen by median cut
// over frames of the whole video so that they do not jump, with Floyd and
// Steinberg's dithering. Times are whole hundredths of a second that add up.
func exportGIF(ctx context.Context, v *Video, path string, progress func(done, total int)) error {
	palette, err := commonPalette(v)
	if err != nil {
		return err
	}
	animation := gif.GIF{Image: make([]*image.Paletted, v.Frames), Delay: make([]int, v.Frames)}
	for i := range v.Frames {
		animation.Delay[i] = 100*(i+1)/v.FPS - 100*i/v.FPS
	}
	if err := dither(ctx, v, palette, animation.Image, progress); err != nil {
		return err
	}
	out, err := renameio.NewPendingFile(path, renameio.WithTempDir(filepath.Dir(path)), renameio.WithPermissions(0o644))
	if err != nil {
		return err
	}
	defer out.Cleanup()
	if err := gif.EncodeAll(out, &animation); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return out.CloseAtomicallyReplace()
}

// commonPalette returns the colours for all frames, from a mosaic of some.
func commonPalette(v *Video) (color.Palette, error) {
	const samples, size = 9, 160
	var mosaic *image.RGBA
	for k := range samples {
		frame, err := readPNG(framePath(v.dir, k*(v.Frames-1)/(samples-1)))
		if err != nil {
			return nil, err
		}
		small := Shrink(frame, size)
		if mosaic == nil {
			mosaic = image.NewRGBA(image.Rect(0, 0, small.Rect.Dx(), samples*small.Rect.Dy()))
		}
		at := image.Pt(0, k*small.Rect.Dy())
		draw.Draw(mosaic, small.Rect.Add(at), small, image.Point{}, draw.Src)
	}
	q := quantize.MedianCutQuantizer{Aggregation: quantize.Mean}
	return q.Quantize(make(color.Palette, 0, 256), mosaic), nil
}

// dither fills pictures with the video's frames in the palette's colours, on all
// cores.
func dither(ctx context.Context, v *Video, palette color.Palette, pictures []*image.Paletted, progress func(done, total int)) error {
	var (
		mu    sync.Mutex
		done  int
		first error
		wg    sync.WaitGroup
	)
	frames := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range frames {
				frame, err := readPNG(framePath(v.dir, i))
				if err == nil {
					pictures[i] = image.NewPaletted(frame.Rect, palette)
					draw.FloydSteinberg.Draw(pictures[i], frame.Rect, frame, frame.Rect.Min)
				}
				mu.Lock()
				if done++; first == nil {
					first = err
				}
				progress(done, v.Frames)
				mu.Unlock()
			}
		})
	}
	for i := range v.Frames {
		if ctx.Err() != nil {
			break
		}
		frames <- i
	}
	close(frames)
	wg.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return first
}
