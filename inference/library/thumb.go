package library

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/image/draw"
)

// thumbSize bounds the width and height of a thumbnail, in pixels.
const thumbSize = 256

// Shrink returns img scaled down to at most size pixels in width and height.
func Shrink(img image.Image, size int) *image.RGBA {
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	if longest := max(w, h); longest > size {
		w, h = max(1, w*size/longest), max(1, h*size/longest)
	}
	small := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.ApproxBiLinear.Scale(small, small.Rect, img, img.Bounds(), draw.Src, nil)
	return small
}

// SetThumbnail keeps img, scaled down, as the run's thumbnail.
func (l *Library) SetThumbnail(id ID, img image.Image) error {
	var data bytes.Buffer
	if err := jpeg.Encode(&data, Shrink(img, thumbSize), &jpeg.Options{Quality: 85}); err != nil {
		return fmt.Errorf("library: %w", err)
	}
	if err := renameio.WriteFile(filepath.Join(l.Folder(id), thumbName), data.Bytes(), 0o644); err != nil {
		return fmt.Errorf("library: %w", err)
	}
	return nil
}

// Thumbnail returns the run's thumbnail.
func (l *Library) Thumbnail(id ID) (image.Image, error) {
	f, err := os.Open(filepath.Join(l.Folder(id), thumbName))
	if err != nil {
		return nil, fmt.Errorf("library: %w", err)
	}
	defer f.Close()
	img, err := jpeg.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("library: %s: %w", f.Name(), err)
	}
	return img, nil
}
