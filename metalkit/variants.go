package metalkit

import (
	"fmt"

	"gimbal/inference/device"
)

// tile is how a kernel shares a product out, see kernels/tile.h.
type tile struct {
	rows, cols   int // of a threadgroup's part
	depth        int // of a slice of both factors, of 16 bits; half of it of 32
	down, across int // simd-groups
	direct       int // how many of W and X, in this order, are read from device memory as they are
}

func (t tile) threads() int { return 32 * t.down * t.across }

// name is the end of the kernel's name, after operation and type.
func (t tile) name(compute device.DType) string {
	if compute == device.F32 {
		t.depth /= 2
	}
	return fmt.Sprintf("%dx%dx%dx%d%s", t.rows, t.cols, t.depth, t.down*t.across, [...]string{"", "_w", "_xw"}[t.direct])
}

// The tiles of kernels/linear.metal and conv.metal. Without timing, the first two
// are taken: they waste the fewest columns, or the others do not waste fewer.
var (
	linearTiles = []tile{
		{64, 64, 32, 2, 2, 0}, {64, 32, 32, 2, 2, 0}, {32, 32, 32, 2, 2, 0}, {64, 64, 16, 2, 2, 0},
		{128, 64, 32, 4, 2, 0}, {128, 64, 32, 2, 2, 0},
		{64, 64, 32, 2, 2, 1}, {128, 64, 32, 4, 2, 1}, {32, 32, 32, 1, 1, 2}, {64, 64, 32, 2, 2, 2},
	}
	convTiles = []tile{
		{64, 64, 32, 2, 2, 0}, {64, 32, 32, 2, 2, 0}, {64, 96, 32, 2, 2, 0}, {128, 32, 32, 4, 1, 0},
		{128, 64, 32, 4, 2, 0}, {32, 32, 32, 2, 2, 0},
	}
)

// fixedTile chooses between the first two of tiles for n columns: the fewest to
// waste, and the most of those.
func fixedTile(tiles []tile, n int) int {
	if ceilDiv(n, tiles[1].cols)*tiles[1].cols < ceilDiv(n, tiles[0].cols)*tiles[0].cols {
		return 1
	}
	return 0
}

// flash is a variant of kernels/attention.metal.
type flash struct {
	width  int // columns of a head that a threadgroup takes
	keys   int // at a time, in 16 bits; half of it in 32
	simds  int // simd-groups, of 8 queries each
	sliced bool
	direct bool // K and V are read from device memory as they are
}

func (f flash) queries() int { return 8 * f.simds }

func (f flash) name(compute device.DType) string {
	if compute == device.F32 {
		f.keys /= 2
	}
	end := ""
	switch {
	case f.sliced:
		end = "_s"
	case f.direct:
		end = "_kv"
	}
	return fmt.Sprintf("%dx%dx%d%s", f.width, f.keys, f.simds, end)
}

// flashes are the variants of attention. Without timing, the first one that fits a head
// is taken.
var flashes = []flash{
	{32, 32, 4, false, false}, {32, 64, 8, false, false}, {32, 32, 4, false, true},
	{64, 32, 4, false, false}, {64, 64, 4, false, false}, {64, 32, 8, false, false}, {64, 32, 4, false, true},
	{128, 32, 4, false, false}, {128, 16, 4, false, false}, {128, 32, 8, false, false}, {128, 32, 4, false, true},
	{128, 32, 4, true, false},
}

// widthOf is what the kernels have for heads of so many columns: the least width that
// is enough, or the widest.
func widthOf(head int) (width int, sliced bool) {
	for _, f := range flashes {
		if head <= f.width {
			return f.width, false
		}
	}
	return flashes[len(flashes)-1].width, true
}

// kernelNames are the kernels that multiply in the type of Options.Compute, by
// number of their variant.
type kernelNames struct {
	dtype                   uint32
	linear, conv, attention []string
	expand                  string
}

func kernelsFor(compute device.DType) (names kernelNames, ok bool) {
	if compute == 0 {
		compute = device.F32
	}
	suffix, ok := map[device.DType]string{device.F32: "_f32_", device.F16: "_f16_", device.BF16: "_bf16_"}[compute]
	if !ok {
		return names, false
	}
	names.dtype = uint32(compute)
	for _, t := range linearTiles {
		names.linear = append(names.linear, "linear"+suffix+t.name(compute))
	}
	for _, t := range convTiles {
		names.conv = append(names.conv, "conv"+suffix+t.name(compute))
	}
	for _, f := range flashes {
		names.attention = append(names.attention, "attention"+suffix+f.name(compute))
	}
	names.expand = "linear_expand" + suffix[:len(suffix)-1]
	return names, true
}

// order says how a grid of tiles is gone through: in bands of so many rows of tiles,
// or columns where it is turned, across each band.
type order struct {
	band   int
	turned bool
	moved  int64 // bytes of both factors that come from memory
}

// orderOf chooses the order that moves the fewest bytes, if the cache keeps what a
// band shares until it ends, and the tiles that run at once go through the depth
// together. A row of tiles reads rowBytes of X, a column colBytes of W.
func orderOf(wide, high int, rowBytes, colBytes, cache int64) order {
	byRows, byCols := bandOf(high, wide, rowBytes, colBytes, cache), bandOf(wide, high, colBytes, rowBytes, cache)
	if byCols.moved < byRows.moved {
		byCols.turned = true
		return byCols
	}
	return byRows
}

// bandOf cuts n rows of bytes each into as few bands as fit the cache and makes
// these equal; other columns of otherBytes are read for each band.
func bandOf(n, other int, bytes, otherBytes, cache int64) order {
	fit := min(int64(n), max(1, cache/max(bytes, 1)))
	bands := ceilDiv(n, int(fit))
	return order{band: ceilDiv(n, bands), moved: int64(n)*bytes + int64(bands)*int64(other)*otherBytes}
}

func numberOf(turned bool) uint32 {
	if turned {
		return 1
	}
	return 0
}

// favoured are the numbers of the variants that are taken without timing where they
// fit, -1 for none: what tests take each of them by.
type favoured struct{ linear, attention, conv int }

var noFavourites = favoured{-1, -1, -1}
