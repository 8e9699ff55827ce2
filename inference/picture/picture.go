package picture

import (
	"fmt"
	"image"
	"os"
	"strings"
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

// Load reads the picture in a file: upright, by its EXIF orientation, in sRGB, and with
// alpha dropped. Its errors may be an UnreadError.
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
	if h.notes(data).orientation() >= 5 {
		return h.height, h.width, nil
	}
	return h.width, h.height, nil
}

// read returns what is in a file of a size that a picture may have.
func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		if target, link := os.Readlink(file); link == nil {
			return nil, fmt.Errorf("picture: %s: found a link to %s, which is not there (is its disk connected?)", file, target)
		}
		if address := strings.Index(file, "://"); address > 0 && !strings.Contains(file[:address], "/") {
			return nil, fmt.Errorf("picture: %s: found an address, expected a file: download it first", file)
		}
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
	size, err := guard(func() (image.Point, error) { return f.size(data) })
	if system := f.fallback(err); system != nil {
		if systemSize, systemErr := guard(func() (image.Point, error) { return system.size(data) }); systemErr == nil {
			f, size, err = system, systemSize, nil
		}
	}
	if err != nil {
		return head{}, f.wrong("", err)
	}
	w, h := size.X, size.Y
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
func guard[T any](call func() (T, error)) (result T, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return call()
}

func decode(data []byte, l limits) (*image.RGBA, error) {
	h, err := readHead(data, l)
	if err != nil {
		return nil, err
	}
	img, err := guard(func() (*image.RGBA, error) { return h.pixels(data) })
	if system := h.fallback(err); system != nil {
		if read, systemErr := guard(func() (*image.RGBA, error) { return (head{system, h.width, h.height}).pixels(data) }); systemErr == nil {
			return read, nil
		}
	}
	if err != nil {
		return nil, h.wrong(fmt.Sprintf(" of %dx%d pixels", h.width, h.height), err)
	}
	return img, nil
}

// pixels decodes the picture.
func (h head) pixels(data []byte) (*image.RGBA, error) {
	decoded, err := h.decode(data)
	if err != nil {
		return nil, err
	}
	if size := decoded.Bounds().Size(); size != image.Pt(h.width, h.height) {
		return nil, fmt.Errorf("found %v pixels", size)
	}
	notes := h.notes(data)
	img := opaque
	if t := notes.transform(); t != nil {
		img = func(src image.Image) *image.RGBA { return toSRGB(src, t) }
	}
	return orient(img(decoded), notes.orientation()), nil
}
