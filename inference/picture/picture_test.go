package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"gimbal/inference/picture/picturetest"
)

// quarters draws a picture of w x h with one colour in each quarter: red, green, blue
// and yellow, row by row.
func quarters(w, h int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			img.SetNRGBA(x, y, quarterColours[2*(2*y/h)+2*x/w])
		}
	}
	return img
}

var quarterColours = [4]color.NRGBA{{230, 20, 30, 255}, {20, 210, 40, 255}, {30, 40, 220, 255}, {220, 210, 10, 255}}

func encode(tb testing.TB, f func(io.Writer) error) []byte {
	tb.Helper()
	var b bytes.Buffer
	if err := f(&b); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(tb testing.TB, img image.Image) []byte {
	return encode(tb, func(w io.Writer) error { return png.Encode(w, img) })
}

func encodeJPEG(tb testing.TB, img image.Image) []byte {
	return encode(tb, func(w io.Writer) error { return jpeg.Encode(w, img, &jpeg.Options{Quality: 95}) })
}

// exifBlock returns EXIF data with an orientation.
func exifBlock(order binary.AppendByteOrder, orientation int) []byte {
	b := []byte("Exif\x00\x00II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("Exif\x00\x00MM\x00*")
	}
	b = order.AppendUint32(b, 8)
	b = order.AppendUint16(b, 2)
	for _, e := range [][2]uint16{{0x010e, 7}, {0x0112, uint16(orientation)}} {
		b = order.AppendUint16(b, e[0])
		b = order.AppendUint16(b, 3)
		b = order.AppendUint32(b, 1)
		b = order.AppendUint16(b, e[1])
		b = order.AppendUint16(b, 0)
	}
	return order.AppendUint32(b, 0)
}

func withJPEGEXIF(file, exif []byte) []byte {
	b := []byte{0xff, 0xd8, 0xff, 0xe1}
	b = binary.BigEndian.AppendUint16(b, uint16(2+len(exif)))
	return append(append(b, exif...), file[2:]...)
}

func withPNGEXIF(file, exif []byte) []byte {
	chunk := append([]byte("eXIf"), exif[6:]...)
	const header = 8 + 25 // signature and IHDR
	b := binary.BigEndian.AppendUint32(bytes.Clone(file[:header]), uint32(len(chunk)-4))
	b = binary.BigEndian.AppendUint32(append(b, chunk...), crc32.ChecksumIEEE(chunk))
	return append(b, file[header:]...)
}

// near fails the test unless the pixel is within bound of the colour and opaque.
func near(t *testing.T, what string, img *image.RGBA, x, y int, want color.NRGBA, bound int) {
	t.Helper()
	got := img.RGBAAt(x, y)
	for _, d := range []int{int(got.R) - int(want.R), int(got.G) - int(want.G), int(got.B) - int(want.B), int(got.A) - 255} {
		if d > bound || d < -bound {
			t.Errorf("%s: pixel (%d, %d) is %v, want %v", what, x, y, got, want)
			return
		}
	}
}

func mustDecode(t *testing.T, what string, data []byte) *image.RGBA {
	t.Helper()
	img, err := Decode(data)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return img
}

func TestFormats(t *testing.T) {
	const w, h = 34, 22
	src := quarters(w, h)
	alpha, deep, deepAlpha, gray := image.NewNRGBA(src.Rect), image.NewRGBA64(src.Rect), image.NewNRGBA64(src.Rect), image.NewGray16(src.Rect)
	palette := color.Palette{}
	for i, c := range quarterColours {
		palette = append(palette, color.NRGBA{c.R, c.G, c.B, uint8(85 * i)})
	}
	paletted := image.NewPaletted(src.Rect, palette)
	for y := range h {
		for x := range w {
			c := src.NRGBAAt(x, y)
			deep.Set(x, y, c)
			alpha.SetNRGBA(x, y, color.NRGBA{c.R, c.G, c.B, uint8(x)}) // the first column is transparent
			deepAlpha.SetNRGBA64(x, y, color.NRGBA64{uint16(c.R) << 8, uint16(c.G) << 8, uint16(c.B) << 8, uint16(x)})
			gray.SetGray16(x, y, color.Gray16{uint16(c.R)<<8 | 0xff})
			paletted.SetColorIndex(x, y, uint8(2*(2*y/h)+2*x/w))
		}
	}
	solid := image.NewPaletted(src.Rect, opaquePalette(palette))
	copy(solid.Pix, paletted.Pix)
	for name, data := range map[string][]byte{
		"PNG":                  encodePNG(t, src),
		"PNG with alpha":       encodePNG(t, alpha),
		"PNG, 16 bit":          encodePNG(t, deep),
		"PNG, 16 bit, alpha":   encodePNG(t, deepAlpha),
		"PNG, alpha palette":   encodePNG(t, paletted),
		"BMP":                  encode(t, func(w io.Writer) error { return bmp.Encode(w, src) }),
		"GIF":                  encode(t, func(w io.Writer) error { return gif.Encode(w, solid, nil) }),
		"TIFF":                 encode(t, func(w io.Writer) error { return tiff.Encode(w, src, nil) }),
		"TIFF, deflate, alpha": encode(t, func(w io.Writer) error { return tiff.Encode(w, alpha, &tiff.Options{Compression: tiff.Deflate}) }),
	} {
		img := mustDecode(t, name, data)
		if img.Rect != src.Rect {
			t.Errorf("%s: %v, want %v", name, img.Rect, src.Rect)
			continue
		}
		for y := range h {
			for x := range w {
				near(t, name, img, x, y, src.NRGBAAt(x, y), 0)
			}
		}
	}
	img := mustDecode(t, "JPEG", encodeJPEG(t, src))
	for i, c := range quarterColours {
		near(t, "JPEG", img, w/4+i%2*w/2, h/4+i/2*h/2, c, 8)
	}
	near(t, "gray, 16 bit", mustDecode(t, "gray, 16 bit", encodePNG(t, gray)), 0, 0, color.NRGBA{230, 230, 230, 255}, 0)
}

// TestGIFFrame checks that a first frame smaller than the picture lies where it should.
func TestGIFFrame(t *testing.T) {
	frame := image.NewPaletted(image.Rect(3, 2, 6, 4), color.Palette{color.Black, color.White})
	for i := range frame.Pix {
		frame.Pix[i] = 1
	}
	data := encode(t, func(w io.Writer) error {
		return gif.EncodeAll(w, &gif.GIF{Image: []*image.Paletted{frame}, Delay: []int{0}, Config: image.Config{Width: 9, Height: 7, ColorModel: frame.Palette}})
	})
	img := mustDecode(t, "GIF", data)
	if img.Rect != image.Rect(0, 0, 9, 7) {
		t.Fatalf("%v, want 9x7", img.Rect)
	}
	near(t, "GIF", img, 3, 2, color.NRGBA{255, 255, 255, 255}, 0)
	near(t, "GIF", img, 5, 3, color.NRGBA{255, 255, 255, 255}, 0)
	near(t, "GIF", img, 6, 3, color.NRGBA{0, 0, 0, 255}, 0) // the palette's first colour
}

func TestOrientation(t *testing.T) {
	const w, h = 48, 32
	// Where the quarters of the stored picture are seen, row by row.
	seen := [9][4]int{1: {0, 1, 2, 3}, 2: {1, 0, 3, 2}, 3: {3, 2, 1, 0}, 4: {2, 3, 0, 1}, 5: {0, 2, 1, 3}, 6: {2, 0, 3, 1}, 7: {3, 1, 2, 0}, 8: {1, 3, 0, 2}}
	jpg, lossless := encodeJPEG(t, quarters(w, h)), encodePNG(t, quarters(w, h))
	for o := 1; o <= 8; o++ {
		for name, data := range map[string][]byte{
			"JPEG, little-endian": withJPEGEXIF(jpg, exifBlock(binary.LittleEndian, o)),
			"JPEG, big-endian":    withJPEGEXIF(jpg, exifBlock(binary.BigEndian, o)),
			"PNG":                 withPNGEXIF(lossless, exifBlock(binary.BigEndian, o)),
		} {
			img := mustDecode(t, name, data)
			size := image.Pt(w, h)
			if o >= 5 {
				size = image.Pt(h, w)
			}
			if img.Rect.Size() != size {
				t.Errorf("%s, orientation %d: %v, want %v", name, o, img.Rect.Size(), size)
				continue
			}
			for i, q := range seen[o] {
				near(t, fmt.Sprintf("%s, orientation %d", name, o), img, size.X/4+i%2*size.X/2, size.Y/4+i/2*size.Y/2, quarterColours[q], 8)
			}
		}
	}
}

func TestOddEXIFIsIgnored(t *testing.T) {
	jpg := encodeJPEG(t, quarters(16, 8))
	good := exifBlock(binary.LittleEndian, 6)
	for name, exif := range map[string][]byte{
		"orientation 0":    exifBlock(binary.LittleEndian, 0),
		"orientation 9":    exifBlock(binary.BigEndian, 9),
		"cut short":        good[:20],
		"no directory":     good[:14],
		"far directory":    append(append([]byte{}, good[:10]...), 0xff, 0xff, 0xff, 0xff),
		"empty":            good[:6],
		"orientation text": bytes.Replace(good, []byte{0x12, 0x01, 3, 0}, []byte{0x12, 0x01, 2, 0}, 1),
	} {
		if img := mustDecode(t, name, withJPEGEXIF(jpg, exif)); img.Rect != image.Rect(0, 0, 16, 8) {
			t.Errorf("%s: turned the picture to %v", name, img.Rect)
		}
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return file
	}
	good := encodePNG(t, quarters(30, 20))
	if img, err := Load(write("good.txt", good)); err != nil || img.Rect != image.Rect(0, 0, 30, 20) {
		t.Errorf("a PNG of another name: %v", err)
	}
	huge := bytes.Clone(good) // the header says 30,000 x 20
	binary.BigEndian.PutUint32(huge[16:], 30_000)
	binary.BigEndian.PutUint32(huge[29:], crc32.ChecksumIEEE(huge[12:29]))
	zero := bytes.Clone(good)
	binary.BigEndian.PutUint32(zero[16:], 0)
	binary.BigEndian.PutUint32(zero[29:], crc32.ChecksumIEEE(zero[12:29]))
	hollow := bytes.Clone(good) // 10,000 x 10,000 in 200 bytes
	binary.BigEndian.PutUint32(hollow[16:], 10_000)
	binary.BigEndian.PutUint32(hollow[20:], 10_000)
	binary.BigEndian.PutUint32(hollow[29:], crc32.ChecksumIEEE(hollow[12:29]))
	jpg := encodeJPEG(t, quarters(64, 64))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty.png":   {nil, "empty"},
		"text.png":    {[]byte("not a picture at all"), `found a text, "not a picture at"`},
		"huge.png":    {huge, "30000x20"},
		"zero.png":    {zero, "non-positive"},
		"hollow.png":  {hollow, "10000x10000 pixels in"},
		"cut.png":     {good[:len(good)/2], "cut short"},
		"header.png":  {good[:20], "cut short"},
		"cut.jpg":     {jpg[:len(jpg)/2], "cut short"},
		"magic.jpg":   {jpg[:2], "cut short"},
		"broken.webp": {[]byte("RIFF\x04\x00\x00\x00WEBP"), "WebP"},
		"photo.heic":  {[]byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), "export it as PNG"},
	} {
		file := write(name, c.data)
		_, err := Load(file)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: %v, want an error with the file's name and %q", name, err, c.want)
		}
	}
	for _, file := range []string{dir, filepath.Join(dir, "none.png")} {
		if _, err := Load(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("Load(%s): %v, want an error that names it", file, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	src := quarters(6, 4)
	f.Add(encodePNG(f, src))
	f.Add(withPNGEXIF(encodePNG(f, src), exifBlock(binary.BigEndian, 5)))
	f.Add(withJPEGEXIF(encodeJPEG(f, src), exifBlock(binary.LittleEndian, 6)))
	f.Add(encode(f, func(w io.Writer) error { return gif.Encode(w, src, nil) }))
	f.Add(encode(f, func(w io.Writer) error { return bmp.Encode(w, src) }))
	f.Add(encode(f, func(w io.Writer) error { return tiff.Encode(w, src, nil) }))
	for _, c := range picturetest.Cases(f) {
		f.Add(c.Data(f))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		small := limits{bytes: 1 << 16, side: 512, pixels: 1 << 16}
		img, err := decode(data, small)
		if err != nil {
			return
		}
		if n := img.Rect.Dx() * img.Rect.Dy(); n < 1 || n > small.pixels || !img.Opaque() {
			t.Fatalf("a picture of %v, opaque %v", img.Rect, img.Opaque())
		}
		Tensor(img, 4, 3)
	})
}
