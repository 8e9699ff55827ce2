package metalkit

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"gimbal/inference/device"
	"gimbal/metalkit/kernels"
)

// variants are the kernels that multiply in a type, those of Options.Compute. The kernels'
// sources are the table that they come from: a variant is one line there for each type.
// Without timing, the first two tiles are taken, which waste the fewest columns or of which
// the others do not waste fewer, and the first attention that is as wide as a head. Those of the
// second source come last, on GPUs that have matmul2d, and are taken by timing only.
type variants struct {
	dtype        uint32
	linear, conv []tile
	attention    []attentionTile
	expand       string // the kernel that brings quantised weights to the type
}

// tile is how a kernel shares a product out, see kernels/tile.h.
type tile struct {
	kernel, name string
	rows, cols   int // of a threadgroup's part
	down, across int // simd-groups
	direct       int // how many of W and X, in this order, are read from device memory as they are
	matmul2d     bool
	int8         bool // it takes INT8 weights, and no others
}

func (t tile) threads() int { return simdWidth * t.down * t.across }

// attentionTile is how a kernel of attention shares a head out, see kernels/attention.metal.
type attentionTile struct {
	kernel, name string
	width        int  // columns of a head that a threadgroup takes
	simds        int  // simd-groups
	blocks       int  // of 8 queries each, in a simd-group
	sliced       bool // a head is wider: it takes several threadgroups
	direct       bool // K and V are read from device memory as they are
	matmul2d     bool
	keys         int // of a step of matmul2d, which there are at the least
}

func (t attentionTile) queries() int { return 8 * t.simds * t.blocks }

// elements are what the kernels call the types that they multiply in.
var elements = map[device.DType]string{device.F32: "float", device.F16: "half", device.BF16: "bfloat"}

// tables are the variants of every type that has kernels: the same ones in the same order.
var tables = sync.OnceValue(func() map[device.DType]variants {
	all := map[device.DType]variants{}
	for dtype, element := range elements {
		v := variants{dtype: uint32(dtype)}
		deeper := 1 // slices, and keys at a time, of 16-bit types, by which variants are called
		if dtype == device.F32 {
			deeper = 2
		}
		for _, k := range kernels.Instances("linear", element) {
			s := k.Sizes // rows, cols, depth, down, across, direct
			name := fmt.Sprintf("%dx%dx%dx%d%s", s[0], s[1], s[2]*deeper, s[3]*s[4], [...]string{"", "_w", "_xw"}[s[5]])
			v.linear = append(v.linear, tile{kernel: k.Name, name: name, rows: s[0], cols: s[1], down: s[3], across: s[4], direct: s[5]})
		}
		for _, int8 := range []bool{false, true} {
			function, called := "linear_matmul2d", "matmul2d"
			if int8 {
				function, called = "linear_matmul2d_int8", "matmul2d int8"
			}
			for _, k := range kernels.Instances(function, element) {
				s := k.Sizes // rows, cols, simds
				name := fmt.Sprintf("%s %dx%dx%d", called, s[0], s[1], s[2])
				v.linear = append(v.linear, tile{kernel: k.Name, name: name, rows: s[0], cols: s[1], down: s[2], across: 1, matmul2d: true, int8: int8})
			}
		}
		for _, k := range kernels.Instances("conv", element) {
			s := k.Sizes // rows, cols, depth, down, across
			name := fmt.Sprintf("%dx%dx%dx%d", s[0], s[1], s[2]*deeper, s[3]*s[4])
			v.conv = append(v.conv, tile{kernel: k.Name, name: name, rows: s[0], cols: s[1], down: s[3], across: s[4]})
		}
		for _, k := range kernels.Instances("conv_matmul2d", element) {
			s := k.Sizes // rows, cols, depth, simds
			name := fmt.Sprintf("matmul2d %dx%dx%dx%d", s[0], s[1], s[2], s[3])
			v.conv = append(v.conv, tile{kernel: k.Name, name: name, rows: s[0], cols: s[1], down: s[3], across: 1, matmul2d: true})
		}
		for _, k := range kernels.Instances("attention_shared", element) { // first: taken without timing
			s := k.Sizes // width, keys, simds, sliced, direct
			name := fmt.Sprintf("shared %dx%dx%d%s%s", s[0], s[1]*deeper, s[2], [...]string{"", "_s"}[s[3]], [...]string{"", "_kv"}[s[4]])
			v.attention = append(v.attention, attentionTile{kernel: k.Name, name: name, width: s[0], simds: s[2], blocks: 1, sliced: s[3] == 1, direct: s[4] == 1})
		}
		for _, k := range kernels.Instances("attention", element) {
			s := k.Sizes // width, keys, simds, blocks, sliced, direct
			name := fmt.Sprintf("%dx%dx%d", s[0], s[1]*deeper, s[2])
			if s[3] > 1 {
				name += fmt.Sprintf("x%d", s[3])
			}
			name += [...]string{"", "_s"}[s[4]] + [...]string{"", "_kv"}[s[5]]
			v.attention = append(v.attention, attentionTile{kernel: k.Name, name: name, width: s[0], simds: s[2], blocks: s[3], sliced: s[4] == 1, direct: s[5] == 1})
		}
		for _, k := range kernels.Instances("attention_matmul2d", element) {
			s := k.Sizes // width, keys, simds
			name := fmt.Sprintf("matmul2d %dx%dx%d", s[0], s[1], s[2])
			v.attention = append(v.attention, attentionTile{kernel: k.Name, name: name, width: s[0], simds: s[2], blocks: 2, matmul2d: true, keys: s[1]})
		}
		for _, k := range kernels.Instances("linear_expand", element) {
			v.expand = k.Name
			all[dtype] = v
		}
	}
	return all
})

// variantsIn returns the kernels that multiply in compute, F32 for 0.
func variantsIn(compute device.DType) (v variants, ok bool) {
	if compute == 0 {
		compute = device.F32
	}
	v, ok = tables()[compute]
	return v, ok
}

// fixedTile chooses between the first two of tiles for n columns: the fewest to
// waste, and the most of those.
func fixedTile(tiles []tile, n int) int {
	if ceilDiv(n, tiles[1].cols)*tiles[1].cols < ceilDiv(n, tiles[0].cols)*tiles[0].cols {
		return 1
	}
	return 0
}

// attentionWidth is what the kernels have for heads of so many columns: the least width
// that is enough, or the widest.
func (v variants) attentionWidth(head int) (width int, sliced bool) {
	for _, t := range v.attention {
		if head <= t.width {
			return t.width, false
		}
		width = max(width, t.width)
	}
	return width, true
}

// withoutMatmul2D is v on a GPU that does not have it.
func (v variants) withoutMatmul2D() variants {
	absent := func(t tile) bool { return t.matmul2d }
	v.linear, v.conv = slices.DeleteFunc(slices.Clone(v.linear), absent), slices.DeleteFunc(slices.Clone(v.conv), absent)
	v.attention = slices.DeleteFunc(slices.Clone(v.attention), func(t attentionTile) bool { return t.matmul2d })
	return v
}

// linearVariant is one way to run a Linear.
type linearVariant struct {
	name   string
	tile   int  // of variants.linear
	expand bool // the weights first
	wide   bool // by the kernels of F32, see wideTiles
}

// wideTiles are the tiles that Linear also runs with BF16 operands in F32's kernels, where the GPU has
// no arithmetic in BF16: widening costs nothing there, each product is exact either way, and the sums
// are added in the same order.
var wideTiles = []string{"64x64x32x4", "64x32x32x4", "64x64x32x2"}

// widens reports whether the GPU computes in BF16 by way of F32, as M1 and M2 do. One that is not
// timed runs whatever it is asked for.
func (d *gpu) widens() bool {
	old := strings.HasPrefix(d.chip.Name, "Apple M1") || strings.HasPrefix(d.chip.Name, "Apple M2")
	return d.variants.dtype == uint32(device.BF16) && (old || !d.limits.Timed)
}

// tileOf is the tile of v.
func (d *gpu) tileOf(v linearVariant) tile {
	if v.wide {
		return tables()[device.F32].linear[v.tile]
	}
	return d.variants.linear[v.tile]
}

// expandedTiles are the tiles that Linear also runs after an expansion of the weights.
var expandedTiles = []string{"128x64x32x8", "64x64x32x4_w", "64x64x32x4_xw", "matmul2d 64x128x4"}

// linearVariants are the tiles as they are, some after an expansion of the weights, and some in F32. They
// have the same numbers in every type, of which F32 lacks those of matmul2d.
var linearVariants = sync.OnceValue(func() (list []linearVariant) {
	tiles := tables()[device.BF16].linear
	for i, t := range tiles {
		list = append(list, linearVariant{name: t.name, tile: i})
	}
	find := func(name string) int { return slices.IndexFunc(tiles, func(t tile) bool { return t.name == name }) }
	for _, name := range expandedTiles {
		list = append(list, linearVariant{name: "expand " + name, tile: find(name), expand: true})
	}
	for _, name := range wideTiles {
		list = append(list, linearVariant{name: "f32 " + name, tile: find(name), wide: true})
	}
	return list
})
