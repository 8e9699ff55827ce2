package library

import (
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"sync"
)

// cacheBytes is how much memory the decoded frames of one Video may take; one frame
// of 480x832 takes 1.6 MB.
const cacheBytes = 96 << 20

// Video is a finished run's video, frame by frame and exactly as the model made it.
// Frames lie as PNG files in the library and are decoded when they are asked for;
// those used last stay in memory. It may be used from several goroutines, holds no
// files open and needs no closing.
type Video struct {
	Width, Height int // pixels
	Frames        int
	FPS           int    // frames per second
	Path          string // of the .mp4

	dir string

	mu      sync.Mutex
	decoded map[int]*image.RGBA
	used    []int // frames in decoded, the one used last at the end
	ahead   bool  // a goroutine is decoding ahead
}

// openVideo returns the video whose frames are in dir.
func openVideo(dir, mp4 string, fps int) (*Video, error) {
	first, err := os.Open(framePath(dir, 0))
	if err != nil {
		return nil, err
	}
	defer first.Close()
	config, err := png.DecodeConfig(first)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", first.Name(), err)
	}
	v := &Video{Width: config.Width, Height: config.Height, FPS: fps, Path: mp4, dir: dir, decoded: map[int]*image.RGBA{}}
	for {
		if _, err := os.Stat(framePath(dir, v.Frames)); err != nil {
			return v, nil
		}
		v.Frames++
	}
}

// framePath returns the file of frame i, counted from 0, as video.PNGs names it.
func framePath(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("frame_%05d.png", i+1))
}

// Frame returns frame i, 0 for the first. It reads a file unless the frame was used
// lately, 15 ms at 480x832: call it in the background. The picture must not be
// written to.
func (v *Video) Frame(i int) (*image.RGBA, error) {
	if i < 0 || i >= v.Frames {
		return nil, fmt.Errorf("frame %d of a video of %d", i+1, v.Frames)
	}
	if frame := v.Cached(i); frame != nil {
		return frame, nil
	}
	frame, err := readPNG(framePath(v.dir, i))
	if err != nil {
		return nil, err
	}
	return v.cache(i, frame), nil
}

// Cached returns frame i if it is in memory, and nil otherwise.
func (v *Video) Cached(i int) *image.RGBA {
	v.mu.Lock()
	defer v.mu.Unlock()
	frame := v.decoded[i]
	if frame != nil {
		v.markUsed(i)
	}
	return frame
}

// Prefetch decodes the n frames from frame i on, round the end, in the background
// and returns at once. While it works, further calls do nothing.
func (v *Video) Prefetch(i, n int) {
	n = min(n, v.Frames, v.capacity()-1)
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.ahead {
		return
	}
	v.ahead = true
	go func() {
		for k := range n {
			if _, err := v.Frame((i + k) % v.Frames); err != nil {
				break // whoever needs the frame gets the error
			}
		}
		v.mu.Lock()
		v.ahead = false
		v.mu.Unlock()
	}()
}

// capacity returns how many frames stay in memory.
func (v *Video) capacity() int { return max(4, cacheBytes/max(1, 4*v.Width*v.Height)) }

// cache puts frame i into memory and returns it, or what is there already.
func (v *Video) cache(i int, frame *image.RGBA) *image.RGBA {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.decoded[i] == nil {
		v.decoded[i] = frame
	}
	frame = v.decoded[i]
	v.markUsed(i)
	for len(v.used) > v.capacity() {
		delete(v.decoded, v.used[0])
		v.used = v.used[1:]
	}
	return frame
}

// markUsed makes i the frame used last.
func (v *Video) markUsed(i int) {
	for k, j := range v.used {
		if j == i {
			v.used = append(v.used[:k], v.used[k+1:]...)
			break
		}
	}
	v.used = append(v.used, i)
}

func readPNG(path string) (*image.RGBA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if rgba, ok := img.(*image.RGBA); ok {
		return rgba, nil
	}
	rgba := image.NewRGBA(img.Bounds())
	draw.Draw(rgba, rgba.Rect, img, img.Bounds().Min, draw.Src)
	return rgba, nil
}
