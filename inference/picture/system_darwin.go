package picture

import (
	"errors"
	"fmt"
	"image"
	"runtime"
	"sync"

	"github.com/ebitengine/purego"
)

// imageIO is what is called of the frameworks by which Preview reads pictures. They are opened
// when a picture first needs them. References are uintptr, as CoreFoundation counts them.
type imageIO struct {
	release        func(ref uintptr)                                        // CFRelease
	newData        func(allocator uintptr, bytes *byte, length int) uintptr // CFDataCreate
	newString      func(allocator uintptr, text string, encoding uint32) uintptr
	valueOf        func(dictionary, key uintptr) uintptr
	number         func(number uintptr, kind int, value *int64) bool
	newSource      func(data, options uintptr) uintptr
	primary        func(source uintptr) uintptr
	status         func(source uintptr) int32
	properties     func(source, index, options uintptr) uintptr
	newImage       func(source, index, options uintptr) uintptr
	newColourSpace func(name uintptr) uintptr
	newContext     func(pixels *byte, width, height, bits, stride, space uintptr, info uint32) uintptr
	draw           func(context uintptr, place rectangle, image uintptr)
}

// rectangle is a CGRect.
type rectangle struct{ X, Y, Width, Height float64 }

// openImageIO opens the frameworks.
var openImageIO = sync.OnceValues(func() (*imageIO, error) {
	c := &imageIO{}
	for framework, functions := range map[string]map[string]any{
		"CoreFoundation": {
			"CFRelease": &c.release, "CFDataCreate": &c.newData, "CFStringCreateWithCString": &c.newString,
			"CFDictionaryGetValue": &c.valueOf, "CFNumberGetValue": &c.number,
		},
		"ImageIO": {
			"CGImageSourceCreateWithData": &c.newSource, "CGImageSourceGetPrimaryImageIndex": &c.primary,
			"CGImageSourceGetStatus": &c.status, "CGImageSourceCopyPropertiesAtIndex": &c.properties,
			"CGImageSourceCreateImageAtIndex": &c.newImage,
		},
		"CoreGraphics": {
			"CGColorSpaceCreateWithName": &c.newColourSpace, "CGBitmapContextCreate": &c.newContext, "CGContextDrawImage": &c.draw,
		},
	} {
		lib, err := purego.Dlopen("/System/Library/Frameworks/"+framework+".framework/"+framework, purego.RTLD_LAZY|purego.RTLD_GLOBAL)
		if err != nil {
			return nil, err
		}
		for name, function := range functions {
			symbol, err := purego.Dlsym(lib, name)
			if err != nil {
				return nil, err
			}
			purego.RegisterFunc(function, symbol)
		}
	}
	return c, nil
})

// systemFormat returns how the system reads pictures of a kind that this package does not.
func systemFormat(name string, files []string) *format {
	return &format{name, files, nil, systemSize, decodeBySystem, systemNotes}
}

func systemSize(data []byte) (size image.Point, err error) {
	err = withSource(data, func(c *imageIO, source, index uintptr) error {
		size = image.Pt(c.property(source, index, "PixelWidth"), c.property(source, index, "PixelHeight"))
		if size.X == 0 || size.Y == 0 {
			return errSystem
		}
		return nil
	})
	return size, err
}

// systemNotes returns which way up the picture is; the system takes care of its colours.
func systemNotes(data []byte) (n notes) {
	withSource(data, func(c *imageIO, source, index uintptr) error {
		n.turned = c.property(source, index, "Orientation")
		return nil
	})
	return n
}

// withSource calls f with the picture in data that the file holds to be the main one.
func withSource(data []byte, f func(c *imageIO, source, index uintptr) error) error {
	c, err := openImageIO()
	if err != nil {
		return err
	}
	if len(data) == 0 {
		return errors.New("there are no data")
	}
	copied := c.newData(0, &data[0], len(data))
	defer c.release(copied)
	source := c.newSource(copied, 0)
	if source == 0 {
		return errSystem
	}
	defer c.release(source)
	const unknown, invalid, unexpectedEnd = -3, -4, -5
	switch status := c.status(source); status {
	case unknown:
		return errSystem
	case invalid, unexpectedEnd:
		return fmt.Errorf("ImageIO's status is %d", status)
	}
	return f(c, source, c.primary(source))
}

// unsupported is an error like those of the decoders, of a file whose kind is not read.
type unsupported string

func (e unsupported) Error() string       { return string(e) }
func (e unsupported) Unsupported() string { return string(e) }

// errSystem says that the system does not know a kind of picture either.
var errSystem = unsupported("a picture of a kind that this Mac does not read")

// property returns a number of a picture's properties, 0 if it has none of that name.
func (c *imageIO) property(source, index uintptr, name string) int {
	properties := c.properties(source, index, 0)
	if properties == 0 {
		return 0
	}
	defer c.release(properties)
	key := c.text(name)
	defer c.release(key)
	const kind = 4 // kCFNumberSInt64Type
	var v int64
	if number := c.valueOf(properties, key); number == 0 || !c.number(number, kind, &v) {
		return 0
	}
	return int(v)
}

func (c *imageIO) text(s string) uintptr {
	const utf8 = 0x08000100
	return c.newString(0, s, utf8)
}

// decodeBySystem decodes a picture to sRGB, as it is stored.
func decodeBySystem(data []byte) (image.Image, error) {
	var img *image.NRGBA
	err := withSource(data, func(c *imageIO, source, index uintptr) error {
		decoded := c.newImage(source, index, 0)
		if decoded == 0 {
			return errors.New("ImageIO finds no pixels")
		}
		defer c.release(decoded)
		w, h := c.property(source, index, "PixelWidth"), c.property(source, index, "PixelHeight")
		img = image.NewNRGBA(image.Rect(0, 0, w, h))
		return c.paint(img, decoded)
	})
	if err != nil {
		return nil, err
	}
	return img, nil
}

// paint draws a picture of the system's, and takes its colours' share of alpha away.
func (c *imageIO) paint(img *image.NRGBA, decoded uintptr) error {
	if len(img.Pix) == 0 {
		return errors.New("ImageIO finds no size")
	}
	name := c.text("kCGColorSpaceSRGB")
	defer c.release(name)
	space := c.newColourSpace(name)
	if space == 0 {
		return errors.New("CoreGraphics has no sRGB")
	}
	defer c.release(space)
	var pin runtime.Pinner
	pin.Pin(&img.Pix[0])
	defer pin.Unpin()
	const premultipliedLast = 1
	w, h := img.Rect.Dx(), img.Rect.Dy()
	context := c.newContext(&img.Pix[0], uintptr(w), uintptr(h), 8, uintptr(img.Stride), space, premultipliedLast)
	if context == 0 {
		return errors.New("CoreGraphics makes no bitmap of this size")
	}
	c.draw(context, rectangle{0, 0, float64(w), float64(h)}, decoded)
	c.release(context) // which finishes the drawing
	for i := 0; i < len(img.Pix); i += 4 {
		if alpha := int(img.Pix[i+3]); alpha > 0 && alpha < 255 {
			for j := range 3 {
				img.Pix[i+j] = uint8(min(255, (int(img.Pix[i+j])*255+alpha/2)/alpha))
			}
		}
	}
	return nil
}
