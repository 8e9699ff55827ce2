package vae

import (
	"context"
	"fmt"
)

// Tiles cuts pictures into overlapping tiles, one after the other through the
// network, which takes memory for one. Overlaps are blended linearly. The network's
// attention sees one tile at a time, so that tiles differ a little where they meet.
type Tiles struct {
	// Side is the height and width of a tile in pixels, of which a quarter overlaps
	// the next one; 0 for no tiles. It is rounded to the VAE's stride, and a picture
	// that is no larger has one tile.
	Side int
}

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

// cells returns the side of a tile in pixels of a latent.
func (v *VAE) cells(t Tiles) int {
	if t.Side == 0 {
		return 0
	}
	return max(2, t.Side/v.stride)
}

// Count returns the number of tiles of a latent of h x w.
func (v *VAE) Count(t Tiles, h, w int) int {
	side := v.cells(t)
	return len(cut(h, side)) * len(cut(w, side))
}

// DecodeTiles is Decode in tiles. It holds all pictures on the host until the last
// tile is done, then hands them to emit. progress is told how many of the tiles'
// frames are done.
func (v *VAE) DecodeTiles(ctx context.Context, latent []float32, f, h, w, chunk int, t Tiles, progress func(done, total int), emit func(t int, rgb []float32) error) error {
	if v.Count(t, h, w) == 1 {
		return v.Decode(ctx, latent, f, h, w, chunk, emit)
	}
	if err := v.checkDecode(latent, f, h, w, chunk); err != nil {
		return err
	}
	plane := h * w * v.stride * v.stride
	rows, cols := cut(h, v.cells(t)), cut(w, v.cells(t))
	fine, wide := weigh(rows, v.stride), weigh(cols, v.stride)
	video := make([]float32, v.Frames(f)*3*plane)
	in, out := room{dev: v.dev}, pictures{room{dev: v.dev}, room{dev: v.dev}, 0}
	done, total := 0, len(rows)*len(cols)*v.Frames(f)
	for i, row := range rows {
		for j, col := range cols {
			out.done = 0
			part := area{row.from, col.from, row.n, col.n}
			err := v.decode(ctx, f, row.n, col.n, chunk,
				func(t, n int) []float32 { return v.denormalise(&in, latent, part, f, h*w, w, t, n) },
				func(y clip) error {
					return out.emit(ctx, y, func(t int, rgb []float32) error {
						blend(video[t*3*plane:(t+1)*3*plane], rgb, w*v.stride, fine[i], wide[j])
						done++
						progress(done, total)
						return nil
					})
				})
			if err != nil {
				return fmt.Errorf("tile %d of %d: %w", i*len(cols)+j+1, len(rows)*len(cols), err)
			}
		}
	}
	for t := range v.Frames(f) {
		if err := emit(t, video[t*3*plane:(t+1)*3*plane]); err != nil {
			return err
		}
	}
	return nil
}

// DryDecodeTiles records one of the tiles of DecodeTiles, all of which are equal, on
// a dry device.
func (v *VAE) DryDecodeTiles(ctx context.Context, f, h, w, chunk int, t Tiles) error {
	if v.Count(t, h, w) == 1 {
		return v.DryDecode(ctx, f, h, w, chunk)
	}
	video := room{dev: v.dev}
	video.floats(v.Frames(f) * 3 * h * w * v.stride * v.stride)
	defer video.free()
	side := v.cells(t)
	return v.DryDecode(ctx, f, min(h, side), min(w, side), chunk)
}

// EncodeTiles is Encode in tiles. It asks for every picture once a tile.
func (v *VAE) EncodeTiles(ctx context.Context, frame func(t int, rgb []float32) error, frames, height, width int, t Tiles) ([]float32, error) {
	f, h, w := v.latent(frames, height, width)
	if v.Count(t, h, w) == 1 {
		return v.Encode(ctx, frame, frames, height, width)
	}
	if err := v.checkEncode(frames, height, width); err != nil {
		return nil, err
	}
	latent := make([]float32, v.channels*f*h*w)
	whole := make([]float32, 3*height*width)
	rows, cols := weigh(cut(h, v.cells(t)), 1), weigh(cut(w, v.cells(t)), 1)
	for _, row := range rows {
		for _, col := range cols {
			part := area{row.from * v.stride, col.from * v.stride, row.n * v.stride, col.n * v.stride}
			in := newSource(v.dev, part.h, part.w)
			tile := make([]float32, v.channels*row.n*col.n)
			err := v.encode(ctx, frames, part.h, part.w,
				func(t int) ([]float32, int, error) {
					return in.next(t, func(t int, rgb []float32) error {
						if err := frame(t, whole); err != nil {
							return err
						}
						crop(rgb, whole, height, width, part)
						return nil
					})
				},
				func(mu []float32, t int) {
					v.normalise(tile, mu, 1, row.n*col.n, 0)
					for z := range v.channels {
						blend(latent[(z*f+t)*h*w:(z*f+t+1)*h*w], tile[z*row.n*col.n:(z+1)*row.n*col.n], w, row, col)
					}
				})
			if err != nil {
				return nil, fmt.Errorf("tile at %d,%d: %w", part.x, part.y, err)
			}
		}
	}
	return latent, nil
}

// DryEncodeTiles records one of the tiles of EncodeTiles, on a dry device.
func (v *VAE) DryEncodeTiles(ctx context.Context, frames, height, width int, t Tiles) error {
	f, h, w := v.latent(frames, height, width)
	if v.Count(t, h, w) == 1 {
		return v.DryEncode(ctx, frames, height, width)
	}
	held := 4 * int64(v.channels*f*h*w+3*height*width)
	v.dev.Hold(held)
	defer v.dev.Hold(-held)
	side := v.cells(t)
	return v.DryEncode(ctx, frames, min(h, side)*v.stride, min(w, side)*v.stride)
}

// blend adds tile, planes of row.n x col.n, times its weights to the planes of to,
// whose rows have width values.
func blend(to, tile []float32, width int, row, col span) {
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
