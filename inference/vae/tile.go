package vae

import (
	"context"
	"fmt"

	"gimbal/inference/device"
)

// MinTile is the least side of a tile that makes sense.
const MinTile = 64

// span is a part of an axis, with the weight of each of its places, which is less
// than one where another part overlaps.
type span struct {
	from, n int
	weight  []float32
}

// cut cuts an axis of n places into parts of at most side that overlap by a quarter
// of side at least, 0 for one part.
func cut(n, side int) []span {
	if side == 0 || n <= side {
		return []span{{from: 0, n: n}}
	}
	step := side - max(1, side/4)
	list := make([]span, (n-side+step-1)/step+1)
	for i := range list {
		list[i] = span{from: i * (n - side) / (len(list) - 1), n: side}
	}
	return list
}

// weigh returns the parts, all places by as many times as many, with weights that
// rise over a quarter of a part and add up to 1 at every place.
func weigh(parts []span, by int) []span {
	list := make([]span, len(parts))
	last := parts[len(parts)-1]
	sum := make([]float64, (last.from+last.n)*by)
	for i, p := range parts {
		s := span{p.from * by, p.n * by, make([]float32, p.n*by)}
		ramp := float64(s.n/4 + 1)
		for j := range s.weight {
			weight := 1.0
			if i > 0 {
				weight = min(weight, float64(j+1)/ramp)
			}
			if i < len(parts)-1 {
				weight = min(weight, float64(s.n-j)/ramp)
			}
			s.weight[j] = float32(weight)
			sum[s.from+j] += weight
		}
		list[i] = s
	}
	for _, s := range list {
		for j := range s.weight {
			s.weight[j] = float32(float64(s.weight[j]) / sum[s.from+j])
		}
	}
	return list
}

// cells returns the side of tiles of so many pixels, in pixels of a latent.
func (v *VAE) cells(side int) int {
	if side == 0 {
		return 0
	}
	return max(2, side/v.stride)
}

// Tiles returns the number of tiles of side x side pixels that the pictures of a latent of
// h x w are cut into; 1 for a side of 0, or where a picture is no larger.
//
// Tiles overlap by a quarter at least and go one after the other through the network, which
// takes memory for one. Overlaps are blended linearly. The network's attention sees one tile
// at a time, so that tiles differ a little where they meet. The side is rounded to the VAE's
// stride.
func (v *VAE) Tiles(h, w, side int) int {
	cells := v.cells(side)
	return len(cut(h, cells)) * len(cut(w, cells))
}

// tile is an area of a latent with the weights of the rows and columns that come of it.
type tile struct {
	area
	row, col span
}

// tiles returns the tiles of a latent of h x w, whose weights are of as many times as many
// rows and columns; on a dry device the first one.
func (v *VAE) tiles(h, w, side, by int) (list []tile) {
	rows, cols := cut(h, v.cells(side)), cut(w, v.cells(side))
	weighedRows, weighedCols := weigh(rows, by), weigh(cols, by)
	for i, row := range rows {
		for j, col := range cols {
			list = append(list, tile{area{row.from, col.from, row.n, col.n}, weighedRows[i], weighedCols[j]})
		}
	}
	if v.dev.Info().Dry {
		list = list[:1]
	}
	return list
}

// decodeTiles decodes the tiles of whole, and then emits the pictures.
func (v *VAE) decodeTiles(ctx context.Context, whole latentPart, o DecodeOptions, done *progress, emit func(t int, rgb []float32) error) error {
	frames, size := v.Frames(whole.f), 3*whole.h*whole.w*v.stride*v.stride
	video := device.Floats(v.dev, frames*size)
	defer v.dev.Hold(-4 * int64(frames*size))
	picture := func(t int) []float32 {
		if video == nil {
			return nil
		}
		return video[t*size : (t+1)*size]
	}
	for i, tile := range v.tiles(whole.h, whole.w, o.Tile, v.stride) {
		cropped := whole
		cropped.area = tile.area
		err := v.decode(ctx, cropped, o.Chunk, func(t int, rgb []float32) error {
			blend(picture(t), rgb, whole.w*v.stride, tile.row, tile.col)
			done.step()
			return nil
		})
		if err != nil {
			return fmt.Errorf("tile %d of %d: %w", i+1, v.Tiles(whole.h, whole.w, o.Tile), err)
		}
	}
	for t := range frames {
		if err := emit(t, picture(t)); err != nil {
			return err
		}
	}
	return nil
}

// encodeTiles is Encode in more than one tile.
func (v *VAE) encodeTiles(ctx context.Context, frame func(t int, rgb []float32) error, frames, height, width, side int) ([]float32, error) {
	f, h, w := v.latent(frames, height, width)
	latent, whole := device.Floats(v.dev, v.channels*f*h*w), device.Floats(v.dev, 3*height*width)
	defer v.dev.Hold(-4 * int64(3*height*width))
	for _, tile := range v.tiles(h, w, side, 1) {
		pixels := area{tile.y * v.stride, tile.x * v.stride, tile.h * v.stride, tile.w * v.stride}
		part, err := v.encode(ctx, func(t int, rgb []float32) error {
			if err := frame(t, whole); err != nil {
				return err
			}
			crop(rgb, whole, height, width, pixels)
			return nil
		}, frames, pixels.h, pixels.w)
		if err != nil {
			v.dev.Hold(-4 * int64(v.channels*f*h*w))
			return nil, fmt.Errorf("tile at %d,%d: %w", pixels.x, pixels.y, err)
		}
		blend(latent, part, w, tile.row, tile.col)
		v.dev.Hold(-4 * int64(v.channels*f*tile.h*tile.w))
	}
	return latent, nil
}

// blend adds tile, planes of row.n x col.n, times its weights to the planes of to,
// whose rows have width values. Without values it does nothing.
func blend(to, tile []float32, width int, row, col span) {
	if tile == nil {
		return
	}
	planes := len(tile) / (row.n * col.n)
	plane := len(to) / planes
	for c := range planes {
		for y := range row.n {
			dst := to[c*plane+(row.from+y)*width+col.from:][:col.n]
			src := tile[(c*row.n+y)*col.n:][:col.n]
			for x, value := range src {
				dst[x] += value * row.weight[y] * col.weight[x]
			}
		}
	}
}

// crop copies part a of the planes of src, height x width, to dst.
func crop(dst, src []float32, height, width int, a area) {
	for c := range 3 {
		for y := range a.h {
			copy(dst[(c*a.h+y)*a.w:][:a.w], src[(c*height+a.y+y)*width+a.x:])
		}
	}
}
