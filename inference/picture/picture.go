package picture

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// limits bound what is decoded.
type limits struct {
	bytes        int64
	side, pixels int
}

// userLimits hold the pictures of every camera but a few of 200 megapixels.
var userLimits = limits{bytes: 512 << 20, side: 20_000, pixels: 120_000_000}

// From solidPixels on, a picture of more than solidRatio pixels a byte is not worth its
// memory: PNG of one colour and one bit comes to 8256.
const (
	solidPixels = 1 << 24
	solidRatio  = 10_000
)

// Load reads the picture in a file: upright, by its EXIF orientation, with colours as
// stored and alpha dropped.
func Load(file string) (*image.RGBA, error) {
	data, err := read(file)
	if err != nil {
		return nil, err
	}
	img, err := decode(data, userLimits)
	if err != nil {
		return nil, fmt.Errorf("picture: %s: %w", file, err)
	}
	return img, nil
}

// Bounds returns the size in pixels of the picture in a file as Load would return it. It
// does not decode the picture, which may yet be damaged.
func Bounds(file string) (width, height int, err error) {
	data, err := read(file)
	if err != nil {
		return 0, 0, err
	}
	h, err := readHead(data, userLimits)
	if err != nil {
		return 0, 0, fmt.Errorf("picture: %s: %w", file, err)
	}
	if orientation(h.exif(data)) >= 5 {
		return h.height, h.width, nil
	}
	return h.width, h.height, nil
}

// read returns what is in a file of a size that a picture may have.
func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("picture: %s: found a folder or device, expected a file", file)
	}
	if info.Size() > userLimits.bytes {
		return nil, fmt.Errorf("picture: %s: found %d bytes, expected at most %d", file, info.Size(), userLimits.bytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return data, nil
}

// Decode reads the picture in data as Load does.
func Decode(data []byte) (*image.RGBA, error) {
	img, err := decode(data, userLimits)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	return img, nil
}

// format is a kind of file: what its data starts with, how it is read, where its EXIF
// data are and how its luma and chroma become colours.
type format struct {
	name   string
	magic  []string // "?" stands for any byte
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
	exif   func([]byte) []byte
	colour yccMatrix
}

var formats = []format{
	{"PNG", []string{"\x89PNG\r\n\x1a\n"}, png.DecodeConfig, png.Decode, pngEXIF, jfif},
	{"JPEG", []string{"\xff\xd8"}, jpeg.DecodeConfig, jpeg.Decode, jpegEXIF, jfif},
	{"WebP", []string{"RIFF????WEBP"}, webp.DecodeConfig, webp.Decode, webpEXIF, studio},
	{"BMP", []string{"BM"}, bmp.DecodeConfig, bmp.Decode, noEXIF, jfif},
	{"TIFF", []string{"II*\x00", "MM\x00*"}, tiff.DecodeConfig, tiff.Decode, tiffEXIF, jfif},
	{"GIF", []string{"GIF8?a"}, gif.DecodeConfig, gif.Decode, noEXIF, jfif},
}

// sniff returns the format of data.
func sniff(data []byte) (*format, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	for i := range formats {
		for _, magic := range formats[i].magic {
			if matches(data, magic) {
				return &formats[i], nil
			}
		}
	}
	if matches(data, "????ftyp") {
		return nil, errors.New("found a HEIC, AVIF or video file, expected PNG, JPEG, WebP, BMP, TIFF or GIF: export it as JPEG or PNG")
	}
	return nil, fmt.Errorf("found a file that starts with %.16q, expected PNG, JPEG, WebP, BMP, TIFF or GIF", data)
}

func matches(data []byte, magic string) bool {
	if len(data) < len(magic) {
		return false
	}
	for i := range magic {
		if magic[i] != '?' && magic[i] != data[i] {
			return false
		}
	}
	return true
}

// head is what the beginning of a picture's data says.
type head struct {
	*format
	width, height int // as stored
}

// readHead reads the size and checks that it is within limits.
func readHead(data []byte, l limits) (head, error) {
	f, err := sniff(data)
	if err != nil {
		return head{}, err
	}
	config, err := guard(f, func() (image.Config, error) { return f.config(bytes.NewReader(data)) })
	if err != nil {
		return head{}, fmt.Errorf("%s picture that is damaged, cut short or of an unknown kind: %w", f.name, err)
	}
	w, h := config.Width, config.Height
	switch {
	case w < 1 || h < 1:
		return head{}, fmt.Errorf("found a %s picture of %dx%d pixels, expected at least one", f.name, w, h)
	case w > l.side || h > l.side || w*h > l.pixels:
		return head{}, fmt.Errorf("found a %s picture of %dx%d pixels, expected sides of at most %d and at most %d million pixels: make it smaller",
			f.name, w, h, l.side, l.pixels/1_000_000)
	case w*h > solidPixels && w*h/solidRatio > len(data):
		return head{}, fmt.Errorf("found a %s picture of %dx%d pixels in %d bytes: it is cut short or of one colour", f.name, w, h, len(data))
	}
	return head{f, w, h}, nil
}

// guard calls a decoder, which is others' code on a stranger's file: a bug there is a bad
// picture to the user, not the end of the app.
func guard[T any](f *format, call func() (T, error)) (result T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%s picture that is damaged: %v", f.name, r)
		}
	}()
	return call()
}

func decode(data []byte, l limits) (*image.RGBA, error) {
	h, err := readHead(data, l)
	if err != nil {
		return nil, err
	}
	decoded, err := guard(h.format, func() (image.Image, error) { return h.decode(bytes.NewReader(data)) })
	if err != nil {
		return nil, fmt.Errorf("%s picture of %dx%d pixels that is damaged, cut short or of an unknown kind: %w", h.name, h.width, h.height, err)
	}
	if size := decoded.Bounds().Size(); size.X > h.width || size.Y > h.height {
		return nil, fmt.Errorf("found %v pixels in a %s picture of %dx%d", size, h.name, h.width, h.height)
	}
	return guard(h.format, func() (*image.RGBA, error) {
		return orient(opaque(decoded, image.Rect(0, 0, h.width, h.height), h.colour), orientation(h.exif(data))), nil
	})
}
