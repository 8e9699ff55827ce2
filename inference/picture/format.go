package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"slices"
	"strings"

	"github.com/jsummers/gobmp"

	"gimbal/inference/picture/jpeg"
	"gimbal/inference/picture/tiff"
)

// format is a kind of file: what its data start with, how they are read and where its notes
// are.
type format struct {
	name   string
	files  []string // how files are called, after the dot
	magic  []string // "?" stands for any byte
	size   func(data []byte) (image.Point, error)
	decode func(data []byte) (image.Image, error)
	notes  func(data []byte) notes
}

var formats = []format{
	{"PNG", []string{"png"}, []string{"\x89PNG\r\n\x1a\n"}, sizeBy(png.DecodeConfig), decodeBy(png.Decode), pngNotes},
	{"JPEG", []string{"jpg", "jpeg", "jpe", "jfif"}, []string{"\xff\xd8"}, jpegSize, decodeJPEG, jpegNotes},
	{"WebP", []string{"webp"}, []string{"RIFF????WEBP"}, webpSize, decodeWebP, webpNotes},
	{"BMP", []string{"bmp", "dib"}, []string{"BM"}, sizeBy(gobmp.DecodeConfig), decodeBMP, bmpNotes},
	{"TIFF", []string{"tif", "tiff"}, []string{"II*\x00", "MM\x00*", "II+\x00", "MM\x00+"}, tiff.Size, tiff.Decode, tiffNotes},
	{"GIF", []string{"gif"}, []string{"GIF87a", "GIF89a"}, gifSize, decodeGIF, noNotes},
	{"PNM", []string{"ppm", "pgm", "pbm", "pnm", "pam"}, pnmMagic(), pnmSize, decodePNM, noNotes},
	{"ICO", []string{"ico"}, []string{"\x00\x00\x01\x00"}, icoSize, decodeICO, noNotes},
}

// targa has no magic bytes: it is what is none of the others and has a header that makes sense.
var targa = format{"TGA", []string{"tga"}, nil, tgaSize, decodeTGA, noNotes}

// Names lists the formats that are read, for a person.
func Names() string {
	names := Formats()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Formats returns the names of the formats that are read.
func Formats() (names []string) {
	for _, f := range formats {
		names = append(names, f.name)
	}
	names = append(names, targa.name)
	for _, o := range others {
		if o.files != nil && systemFormat(o.name, o.files) != nil {
			names = append(names, o.name)
		}
	}
	return names
}

// Extensions lists what the names of files that are read may end in, without the dot.
func Extensions() []string {
	all := slices.Clone(targa.files)
	for _, f := range formats {
		all = append(all, f.files...)
	}
	for _, o := range others {
		if systemFormat(o.name, o.files) != nil {
			all = append(all, o.files...)
		}
	}
	return all
}

// Extension returns what the name of a file with data is to end in, "" where that is no picture.
func Extension(data []byte) string {
	f, err := sniff(data)
	if err != nil {
		return ""
	}
	return f.files[0]
}

// sizeBy and decodeBy adapt decoders of the usual form.
func sizeBy(config func(io.Reader) (image.Config, error)) func([]byte) (image.Point, error) {
	return func(data []byte) (image.Point, error) {
		c, err := config(bytes.NewReader(data))
		return image.Pt(c.Width, c.Height), err
	}
}

func decodeBy(decode func(io.Reader) (image.Image, error)) func([]byte) (image.Image, error) {
	return func(data []byte) (image.Image, error) { return decode(bytes.NewReader(data)) }
}

func jpegSize(data []byte) (image.Point, error) {
	h, err := jpeg.DecodeHeader(data)
	return image.Pt(h.Width, h.Height), err
}

func decodeJPEG(data []byte) (image.Image, error) { return jpeg.Decode(data, jpeg.AsMarked) }

// decodeBMP decodes a file that holds what it says: the decoder leaves what is missing of run
// lengths black.
func decodeBMP(data []byte) (image.Image, error) {
	const offset, compression, size = 10, 30, 34
	if len(data) >= size+4 && (data[compression] == 1 || data[compression] == 2) &&
		uint64(binary.LittleEndian.Uint32(data[offset:]))+uint64(binary.LittleEndian.Uint32(data[size:])) > uint64(len(data)) {
		return nil, io.ErrUnexpectedEOF
	}
	return gobmp.Decode(bytes.NewReader(data))
}

// others are kinds of pictures that only the system may read, or that are told apart to say
// what they are.
var others = []struct {
	name  string
	files []string
	magic []string
}{
	{"AVIF", []string{"avif"}, isoMagic("avif", "avis")},
	{"HEIC", []string{"heic", "heif", "hif"}, isoMagic("heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1")},
	{"JPEG 2000", []string{"jp2", "j2k", "jpf", "jpx"}, []string{"\x00\x00\x00\x0cjP  \r\n\x87\n", "\xff\x4f\xff\x51"}},
	{"JPEG XL", []string{"jxl"}, []string{"\xff\x0a", "\x00\x00\x00\x0cJXL \r\n\x87\n"}},
	{"Photoshop", []string{"psd"}, []string{"8BPS"}},
	{"OpenEXR", []string{"exr"}, []string{"\x76\x2f\x31\x01"}},
	{"Radiance HDR", []string{"hdr"}, []string{"#?RADIANCE", "#?RGBE"}},
	{"DDS", []string{"dds"}, []string{"DDS "}},
	{"PDF", nil, []string{"%PDF"}},
	{"PostScript", nil, []string{"%!PS", "\xc5\xd0\xd3\xc6"}},
	{"Apple's icons", []string{"icns"}, []string{"icns"}},
	{"JPEG XR", nil, []string{"II\xbc\x01", "II\xbc\x00"}},
	{"PCX", nil, []string{"\n\x05\x01", "\n\x03\x01", "\n\x02\x01"}},
	{"SGI", []string{"sgi"}, []string{"\x01\xda\x00\x01", "\x01\xda\x01\x01", "\x01\xda\x00\x02", "\x01\xda\x01\x02"}},
	{"PFM", nil, []string{"PF\n", "Pf\n"}},
	{"DIB", nil, []string{"(\x00\x00\x00????????\x01\x00"}},
	{"GIMP", nil, []string{"gimp xcf"}},
	{"Windows Metafile", nil, []string{"\xd7\xcd\xc6\x9a"}},
	{"BPG", nil, []string{"BPG\xfb"}},
	{"FLIF", nil, []string{"FLIF"}},
	{"FITS", nil, []string{"SIMPLE  ="}},
	{"XPM", nil, []string{"/* XPM */"}},
	{"DjVu", nil, []string{"AT&TFORM"}},
	{"QOI", nil, []string{"qoif"}},
	{"Farbfeld", nil, []string{"farbfeld"}},
	{"a camera's raw format", []string{"raf", "cr3", "orf", "rw2", "dng", "nef", "arw", "cr2"}, []string{"FUJIFILMCCD-RAW", "????ftypcrx", "IIRO", "IIRS", "IIU\x00", "II*\x00????CR\x02\x00"}},
}

// UnreadError says that a file is whole, or looks so, but of a kind that is not read.
type UnreadError struct{ Kind string }

func (e UnreadError) Error() string {
	return "found " + e.Kind + ": valid, but of a kind that Gimbal does not read: export it as PNG"
}

// sniff returns the format of data.
func sniff(data []byte) (*format, error) {
	if len(data) == 0 {
		return nil, errors.New("the file is empty")
	}
	for _, o := range others {
		if !startsWith(data, o.magic) {
			continue
		}
		if f := systemFormat(o.name, o.files); f != nil {
			return f, nil
		}
		return nil, UnreadError{"a picture in " + o.name}
	}
	for i := range formats {
		if startsWith(data, formats[i].magic) {
			return &formats[i], nil
		}
	}
	if isSVG(data) {
		return nil, UnreadError{"a picture in SVG"}
	}
	if _, err := readTGA(data); err == nil {
		return &targa, nil
	}
	return nil, mistaken(data)
}

// isSVG reports whether data begin as XML in which a drawing comes soon.
func isSVG(data []byte) bool {
	start := bytes.TrimSpace(bytes.TrimPrefix(data[:min(len(data), 4096)], []byte("\xef\xbb\xbf")))
	return bytes.HasPrefix(start, []byte("<")) && bytes.Contains(start, []byte("<svg"))
}

// isoMagic returns what files of the ISO base media format start with that name one of these
// brands: first, or among the next few that they are compatible with.
func isoMagic(brands ...string) (magic []string) {
	const next = 8
	for _, b := range brands {
		magic = append(magic, "????ftyp"+b)
		for i := range next {
			magic = append(magic, "????ftyp"+strings.Repeat("?", 8+4*i)+b)
		}
	}
	return magic
}

func startsWith(data []byte, magic []string) bool {
	return slices.ContainsFunc(magic, func(m string) bool { return matches(data, m) })
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

// unread returns the kind of file that err says is not read, "" if it says other things.
func unread(err error) string {
	var kind interface{ Unsupported() string }
	if errors.As(err, &kind) {
		return kind.Unsupported()
	}
	return ""
}

// fallback returns the system's format where err says that this one does not read a file's
// kind, nil where it says other things or there is none.
func (f *format) fallback(err error) *format {
	if unread(err) == "" {
		return nil
	}
	return systemFormat(f.name, f.files)
}

// wrong says what is wrong with a picture: its kind or its data.
func (f *format) wrong(size string, err error) error {
	if kind := unread(err); kind != "" {
		return UnreadError{kind}
	}
	return fmt.Errorf("%s picture%s that is damaged or cut short: %w", f.name, size, err)
}
