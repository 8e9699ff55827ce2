// Command icon draws Gimbal's icon, three rings round a small world, into a file: one
// picture as .png, those that a Mac wants as .icns.
//
//	go run ./assets/mac/icon assets/icon.png
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"sync"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: icon FILE.png|FILE.icns")
		os.Exit(2)
	}
	var file []byte
	var err error
	if filepath.Ext(os.Args[1]) == ".icns" {
		file, err = icns(elements)
	} else {
		file, err = encode(draw(512))
	}
	if err == nil {
		err = os.WriteFile(os.Args[1], file, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "icon:", err)
		os.Exit(1)
	}
}

// element is one picture of an .icns file: its type and the picture's side.
type element struct {
	kind string
	side int
}

var elements = []element{
	{"icp4", 16}, {"icp5", 32}, {"ic11", 32}, {"ic12", 64}, {"ic07", 128},
	{"ic13", 256}, {"ic08", 256}, {"ic14", 512}, {"ic09", 512}, {"ic10", 1024},
}

// icns returns an .icns file: pictures behind each other, each behind its type and length.
func icns(elements []element) ([]byte, error) {
	drawn := map[int][]byte{}
	var body []byte
	for _, e := range elements {
		if drawn[e.side] == nil {
			var err error
			if drawn[e.side], err = encode(draw(e.side)); err != nil {
				return nil, err
			}
		}
		body = append(body, chunk(e.kind, drawn[e.side])...)
	}
	return chunk("icns", body), nil
}

func chunk(kind string, data []byte) []byte {
	return append(binary.BigEndian.AppendUint32([]byte(kind), uint32(8+len(data))), data...)
}

func encode(img image.Image) ([]byte, error) {
	var buf bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	err := encoder.Encode(&buf, img)
	return buf.Bytes(), err
}

// small is the largest side drawn with fewer and thicker rings.
const small = 64

// draw returns the icon of a side, each pixel from several rays.
func draw(side int) image.Image {
	rays := 12
	if side > small {
		rays = max(2, 2048/side)
	}
	img := image.NewNRGBA(image.Rect(0, 0, side, side))
	var rows sync.WaitGroup
	for y := range side {
		rows.Go(func() {
			for x := range side {
				img.SetNRGBA(x, y, pixel(x, y, side, rays))
			}
		})
	}
	rows.Wait()
	return img
}

func pixel(x, y, side, rays int) color.NRGBA {
	var sum vec
	var alpha float64
	for i := range rays * rays {
		u := (float64(x) + (float64(i%rays)+0.5)/float64(rays)) / float64(side)
		v := (float64(y) + (float64(i/rays)+0.5)/float64(rays)) / float64(side)
		c, a := sample(2*u-1, 1-2*v, side <= small)
		sum, alpha = sum.add(c.scale(a)), alpha+a
	}
	if alpha == 0 {
		return color.NRGBA{}
	}
	c := sum.scale(1 / alpha)
	return color.NRGBA{srgb(c.x), srgb(c.y), srgb(c.z), uint8(math.Round(255 * alpha / float64(rays*rays)))}
}

// sample returns the icon's linear colour and opacity at (x, y), from -1 to 1.
func sample(x, y float64, simple bool) (vec, float64) {
	// Apple's grid: the tile takes 824 of 1024 pixels. A small icon fills more.
	tile, gimbal := 0.805, detailed
	if simple {
		tile, gimbal = 0.90, bold
	}
	d := squircle(x/tile, y/tile)
	if d > 1 {
		shadow := 0.35 * smooth(1.09, 0.93, squircle(x/tile, (y+0.035)/tile))
		return vec{}, shadow
	}
	if c, hit := gimbal.trace(x/(tile*0.84), y/(tile*0.84)); hit {
		return c, 1
	}
	return background(x/tile, y/tile, d), 1
}

// squircle is at most 1 inside the tile, a superellipse.
func squircle(x, y float64) float64 {
	return math.Pow(math.Pow(math.Abs(x), 5)+math.Pow(math.Abs(y), 5), 1.0/5)
}

// background is a night sky over a glow, with a lit upper edge.
func background(x, y, d float64) vec {
	c := vec{0.010, 0.018, 0.065}.mix(vec{0.035, 0.085, 0.26}, smooth(-1, 1, y))
	glow := math.Exp(-3.2 * (x*x + y*y))
	c = c.add(vec{0.30, 0.07, 0.16}.scale(0.75 * glow))
	return c.add(vec{0.35, 0.5, 0.9}.scale(0.22 * smooth(0.965, 1, d) * smooth(-0.2, 1, y)))
}

// srgb maps a linear value through a soft shoulder to sRGB's 8 bits.
func srgb(v float64) uint8 {
	v = min(v/(1+0.12*v), 1)
	if v <= 0.0031308 {
		v *= 12.92
	} else {
		v = 1.055*math.Pow(v, 1/2.4) - 0.055
	}
	return uint8(math.Round(255 * max(v, 0)))
}
