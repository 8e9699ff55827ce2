package video

import (
	"errors"
	"image"
	"image/color"
	"io"
	"math"
	"strconv"

	"golang.org/x/image/draw"
	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/math/fixed"

	"gimbal/inference/output"
)

const (
	sheetGap    = 6   // pixels between and around the pictures
	sheetGrey   = 24  // brightness of the gaps
	sheetAspect = 1.6 // width to height, about a screen's
	minThumb    = 96  // the longer side of a picture, however small the frame is
)

// SheetOptions describe a contact sheet; zero values mean the defaults.
type SheetOptions struct {
	Frames int // pictures at most, 2 or more; 12
	Width  int // of the sheet in pixels at most; 1600
}

// Sheet collects a contact sheet while a video's frames pass by: some frames
// evenly picked, the first and the last among them, scaled down, numbered from
// 1. It keeps those small pictures only.
type Sheet struct {
	opts   SheetOptions
	picks  []int // indices of the frames to keep, ascending
	seen   int
	cols   int           // of the grid, known with the first frame
	thumbs []*image.RGBA // one a pick so far
}

// NewSheet returns a Sheet for a video of total frames, at least one.
func NewSheet(total int, opts SheetOptions) *Sheet {
	if opts.Frames == 0 {
		opts.Frames = 12
	}
	if opts.Width == 0 {
		opts.Width = 1600
	}
	n := max(min(opts.Frames, total), 1)
	s := &Sheet{opts: opts, picks: make([]int, n)}
	for i := 1; i < n; i++ {
		s.picks[i] = int(math.Round(float64(i) * float64(total-1) / float64(n-1)))
	}
	return s
}

// SheetBytes is what a sheet of a video of this many frames and pixels takes on disk at
// the most.
func SheetBytes(frames, width, height int) int64 {
	s := NewSheet(frames, SheetOptions{})
	size := image.Pt(width, height)
	s.cols = s.columns(size)
	cell := s.thumbSize(size).Add(image.Pt(sheetGap, sheetGap))
	rows := (len(s.picks) + s.cols - 1) / s.cols
	return 3*int64(s.cols*cell.X+sheetGap)*int64(rows*cell.Y+sheetGap) + 1<<12
}

// Add takes the next frame. All frames have the size of the first.
func (s *Sheet) Add(frame *image.RGBA) {
	index := s.seen
	s.seen++
	if len(s.thumbs) == len(s.picks) || index != s.picks[len(s.thumbs)] {
		return
	}
	if s.cols == 0 {
		s.cols = s.columns(frame.Rect.Size())
	}
	thumb := image.NewRGBA(image.Rectangle{Max: s.thumbSize(frame.Rect.Size())})
	draw.CatmullRom.Scale(thumb, thumb.Rect, frame, frame.Rect, draw.Src, nil)
	label(thumb, strconv.Itoa(index+1))
	s.thumbs = append(s.thumbs, thumb)
}

// columns chooses the grid whose shape is nearest to a screen's, with as few
// empty places as can be.
func (s *Sheet) columns(frame image.Point) int {
	best, bestCost := 1, math.Inf(1)
	for cols := 1; cols <= len(s.picks); cols++ {
		rows := (len(s.picks) + cols - 1) / cols
		aspect := float64(cols*frame.X) / float64(rows*frame.Y)
		empty := float64(rows*cols-len(s.picks)) / float64(len(s.picks))
		if cost := math.Abs(math.Log(aspect/sheetAspect)) + 2*empty; cost < bestCost {
			best, bestCost = cols, cost
		}
	}
	return best
}

func (s *Sheet) thumbSize(frame image.Point) image.Point {
	scale := min(float64((s.opts.Width-sheetGap)/s.cols-sheetGap)/float64(frame.X), 1)
	scale = max(scale, minThumb/float64(max(frame.X, frame.Y)))
	return image.Pt(
		max(int(math.Round(scale*float64(frame.X))), 1),
		max(int(math.Round(scale*float64(frame.Y))), 1))
}

// label writes text over a dark box in the picture's upper left corner.
func label(dst *image.RGBA, text string) {
	face := basicfont.Face7x13
	box := image.Rect(0, 0, len(text)*face.Advance+6, face.Height+2)
	draw.Draw(dst, box, image.NewUniform(color.RGBA{A: 160}), image.Point{}, draw.Over)
	d := font.Drawer{Dst: dst, Src: image.White, Face: face, Dot: fixed.P(3, face.Ascent+1)}
	d.DrawString(text)
}

// Image returns the sheet of the frames so far, or nil before the first.
func (s *Sheet) Image() *image.RGBA {
	if len(s.thumbs) == 0 {
		return nil
	}
	size := s.thumbs[0].Rect.Size()
	cols := min(s.cols, len(s.thumbs))
	rows := (len(s.thumbs) + cols - 1) / cols
	cell := size.Add(image.Pt(sheetGap, sheetGap))
	sheet := image.NewRGBA(image.Rect(0, 0, cols*cell.X+sheetGap, rows*cell.Y+sheetGap))
	draw.Draw(sheet, sheet.Rect, image.NewUniform(color.Gray{Y: sheetGrey}), image.Point{}, draw.Src)
	for i, thumb := range s.thumbs {
		at := image.Pt(sheetGap+i%cols*cell.X, sheetGap+i/cols*cell.Y)
		draw.Draw(sheet, thumb.Rect.Add(at), thumb, image.Point{}, draw.Src)
	}
	return sheet
}

// WriteFile writes the sheet to path as PNG, which MadeSheet knows again.
func (s *Sheet) WriteFile(path string) error {
	sheet := s.Image()
	if sheet == nil {
		return errors.New("video: no frame for the contact sheet " + path)
	}
	return output.WriteFile(path, func(w io.Writer) error { return output.EncodePNG(w, sheet) })
}
