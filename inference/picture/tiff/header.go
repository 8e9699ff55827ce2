package tiff

import (
	"errors"
	"fmt"
	"io"
)

// Tags, TIFF 6.0, appendix A, and those of its technical notes.
const (
	tagSubfile      = 254
	tagWidth        = 256
	tagHeight       = 257
	tagBits         = 258
	tagCompression  = 259
	tagPhotometric  = 262
	tagFillOrder    = 266
	tagStripOffsets = 273
	tagSamples      = 277
	tagRowsPerStrip = 278
	tagStripCounts  = 279
	tagPlanar       = 284
	tagFaxOptions   = 292
	tagPredictor    = 317
	tagColourMap    = 320
	tagTileWidth    = 322
	tagTileHeight   = 323
	tagTileOffsets  = 324
	tagTileCounts   = 325
	tagInks         = 332
	tagExtra        = 338
	tagFormat       = 339
	tagJPEGTables   = 347
	tagJPEG         = 513
	tagCoefficients = 529
	tagSubsampling  = 530
	tagBlackWhite   = 532
	tagCFA          = 33421
	tagDNG          = 50706
)

// Values of the photometric interpretation.
const (
	whiteIsZero = iota
	blackIsZero
	rgb
	palette
	mask
	separated
	ycbcr
	_
	cieLab
	iccLab
	ituLab

	colourFilter = 32803
)

// Kinds of samples.
const (
	unsigned = 1
	floating = 3
)

// UnsupportedError names the kind of a sound file that this package does not read.
type UnsupportedError string

func (e UnsupportedError) Error() string { return "a TIFF " + string(e) }

// Unsupported returns the kind of file that is not read.
func (e UnsupportedError) Unsupported() string { return e.Error() }

// header is how the first picture of a file is stored.
type header struct {
	*Directory
	width, height          int
	samples, bits, format  int
	compression            int
	photometric, predictor int
	planes                 int // chunks that a part of the picture is spread over
	chunk                  struct{ width, height, across, down int }
	offsets, counts        []float64
	premultiplied          bool
	subsampling            [2]int // of YCbCr samples that are packed in units
}

// photometrics are how many samples a pixel has at least.
var photometrics = map[int]int{
	whiteIsZero: 1, blackIsZero: 1, rgb: 3, palette: 1, separated: 4, ycbcr: 3, cieLab: 3, iccLab: 3,
}

func readHeader(data []byte) (*header, error) {
	d, err := First(data)
	if err != nil {
		return nil, err
	}
	h := &header{Directory: d,
		width: d.Int(tagWidth, 0), height: d.Int(tagHeight, 0),
		samples: d.Int(tagSamples, 1), bits: d.Int(tagBits, 1), format: d.Int(tagFormat, unsigned),
		compression: d.Int(tagCompression, 1), photometric: d.Int(tagPhotometric, whiteIsZero),
		predictor: d.Int(tagPredictor, 1), planes: 1,
		subsampling: [2]int{1, 1},
	}
	if d.cut {
		return nil, fmt.Errorf("tags are missing: %w", io.ErrUnexpectedEOF)
	}
	if h.width < 1 || h.height < 1 || h.samples < 1 {
		return nil, errors.New("the size is missing")
	}
	return h, nil
}

// check refuses what is not read, and readies the rest.
func (h *header) check() error {
	if h.Int(tagSubfile, 0)&1 == 1 || h.Bytes(tagDNG) != nil || h.Bytes(tagCFA) != nil || h.photometric == colourFilter {
		return UnsupportedError("with a preview before the picture, such as a camera's raw file")
	}
	if h.Int(tagPlanar, 1) == 2 {
		h.planes = h.samples
	}
	least, ok := photometrics[h.photometric]
	unpack, packed := packings[h.compression]
	if h.compression == jpegOld && h.Bytes(tagJPEG) == nil {
		packed = false
	}
	switch {
	case !ok:
		return UnsupportedError(fmt.Sprintf("of photometric interpretation %d", h.photometric))
	case !packed || unpack == nil:
		return UnsupportedError("of compression " + compressionName(h.compression))
	case h.samples < least || h.samples > 64:
		return UnsupportedError(fmt.Sprintf("of %d samples a pixel", h.samples))
	case h.photometric == separated && h.Int(tagInks, 1) != 1:
		return UnsupportedError("of other inks than CMYK")
	case h.format == floating && h.bits != 16 && h.bits != 24 && h.bits != 32 && h.bits != 64,
		h.format != floating && (h.bits < 1 || h.bits > 32), h.format == floating && h.photometric > rgb:
		return UnsupportedError(fmt.Sprintf("of %d bits a sample", h.bits))
	case h.format != unsigned && h.format != floating && h.format != 4 && h.photometric != cieLab:
		return UnsupportedError(fmt.Sprintf("of signed or complex numbers (sample format %d)", h.format))
	case h.photometric == palette && h.bits > 16:
		return UnsupportedError("with a palette of too many colours")
	case (h.photometric == cieLab || h.photometric == iccLab) && h.bits != 8 && h.bits != 16:
		return UnsupportedError(fmt.Sprintf("in CIE L*a*b* of %d bits a sample", h.bits))
	case h.predictor < 1 || h.predictor > 3, h.predictor == 3 && h.format != floating:
		return UnsupportedError(fmt.Sprintf("of predictor %d", h.predictor))
	case h.predictor == 2 && h.bits%8 != 0:
		return UnsupportedError(fmt.Sprintf("with a predictor and %d bits a sample", h.bits))
	}
	for _, b := range h.Numbers(tagBits) {
		if int(b) != h.bits {
			return UnsupportedError("whose samples differ in size")
		}
	}
	if extra := h.Numbers(tagExtra); len(extra) > 0 && extra[0] == 1 {
		h.premultiplied = h.photometric <= rgb && h.samples > least
	}
	if h.photometric == ycbcr && h.compression != jpegNew && h.compression != jpegOld {
		if err := h.units(); err != nil {
			return err
		}
	}
	return h.layOut()
}

// units readies YCbCr samples in units of several lumas, a blue and a red one.
func (h *header) units() error {
	h.subsampling = [2]int{2, 2}
	for i, n := range h.Numbers(tagSubsampling) {
		if i < 2 {
			h.subsampling[i] = int(n)
		}
	}
	for _, n := range h.subsampling {
		if n != 1 && n != 2 && n != 4 {
			return errors.New("the subsampling is out of range")
		}
	}
	if h.bits != 8 || h.samples != 3 || h.planes > 1 && h.subsampling != [2]int{1, 1} || h.predictor != 1 && h.subsampling != [2]int{1, 1} {
		return UnsupportedError("of subsampled colours that are packed in an unusual way")
	}
	if h.planes > 1 {
		h.subsampling = [2]int{1, 1}
	}
	return nil
}

// layOut finds the chunks: strips or tiles.
func (h *header) layOut() error {
	c := &h.chunk
	if h.Bytes(tagTileWidth) != nil {
		c.width, c.height = h.Int(tagTileWidth, 0), h.Int(tagTileHeight, 0)
		h.offsets, h.counts = h.Numbers(tagTileOffsets), h.Numbers(tagTileCounts)
	} else {
		c.width, c.height = h.width, h.Int(tagRowsPerStrip, h.height)
		if c.height < 1 || c.height > h.height {
			c.height = h.height
		}
		h.offsets, h.counts = h.Numbers(tagStripOffsets), h.Numbers(tagStripCounts)
	}
	if h.compression == jpegOld {
		c.width, c.height = h.width, h.height
		h.offsets, h.counts = h.Numbers(tagJPEG), nil
	}
	const spare = 1 << 22 // a small picture may lie in a larger tile
	if c.width < 1 || c.height < 1 || c.width > 1<<16 || c.height > 1<<16 || c.width*c.height > 4*h.width*h.height+spare {
		return errors.New("the tiles' size is out of range")
	}
	if c.width*c.height*((h.samples*h.bits+7)/8) > 1<<31 {
		return errors.New("the picture takes too much memory")
	}
	c.across, c.down = ceil(h.width, c.width), ceil(h.height, c.height)
	if need := c.across * c.down * h.planes; len(h.offsets) < need {
		return fmt.Errorf("there are %d strips or tiles, expected %d", len(h.offsets), need)
	}
	return nil
}

func ceil(a, b int) int { return (a + b - 1) / b }
