// Package picturetest holds the corpus of small pictures that every way in must read alike:
// each with its right pixels by an independent decoder, or the words of its refusal.
package picturetest

import (
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// Case is a file of the corpus.
type Case struct {
	Name, What string
	File       string      // its path
	Right      *image.RGBA // its pixels; nil for one that is refused
	Bound      int         // how far a level may be off
	Refusal    string      // what the error says
}

// Cases returns the corpus.
func Cases(tb testing.TB) []Case {
	tb.Helper()
	_, here, _, _ := runtime.Caller(0)
	dir := filepath.Join(filepath.Dir(filepath.Dir(here)), "testdata")
	index, err := os.ReadFile(filepath.Join(dir, "index.tsv"))
	if err != nil {
		tb.Fatal(err)
	}
	var cases []Case
	for _, line := range strings.Split(strings.TrimSpace(string(index)), "\n")[1:] {
		field := strings.Split(line, "\t")
		c := Case{Name: field[0], File: filepath.Join(dir, field[0]), What: field[3]}
		if field[1] == "-" {
			c.Refusal = field[2]
		} else {
			c.Right = right(tb, filepath.Join(dir, field[1]))
			if c.Bound, err = strconv.Atoi(field[2]); err != nil {
				tb.Fatalf("%s: %v", c.Name, err)
			}
		}
		cases = append(cases, c)
	}
	if len(cases) < 100 {
		tb.Fatalf("the corpus has %d files, want all of them", len(cases))
	}
	return cases
}

// right reads pixels that an independent decoder wrote.
func right(tb testing.TB, file string) *image.RGBA {
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	decoded, err := png.Decode(f)
	if err != nil {
		tb.Fatal(err)
	}
	img := image.NewRGBA(decoded.Bounds())
	draw.Draw(img, img.Rect, decoded, image.Point{}, draw.Src)
	return img
}

// Data returns the file's contents.
func (c Case) Data(tb testing.TB) []byte {
	data, err := os.ReadFile(c.File)
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// Check fails the test unless the picture or the error is the right one.
func (c Case) Check(tb testing.TB, img *image.RGBA, err error) {
	tb.Helper()
	switch {
	case c.Right == nil && runtime.GOOS == "darwin" && c.Refusal != "cut short": // ImageIO may read it
	case c.Right == nil && err == nil:
		tb.Errorf("%s (%s) was read, want an error with %q", c.Name, c.What, c.Refusal)
	case c.Right == nil:
		if !strings.Contains(err.Error(), c.Refusal) {
			tb.Errorf("%s (%s): %v, want %q", c.Name, c.What, err, c.Refusal)
		}
	case err != nil:
		tb.Errorf("%s (%s): %v", c.Name, c.What, err)
	case img.Rect != c.Right.Rect:
		tb.Errorf("%s (%s) is of %v, want %v", c.Name, c.What, img.Rect, c.Right.Rect)
	default:
		for i, v := range img.Pix {
			if d := int(v) - int(c.Right.Pix[i]); d > c.Bound || d < -c.Bound {
				tb.Errorf("%s (%s): pixel (%d, %d) is %v, want %v to %d", c.Name, c.What,
					i/4%img.Rect.Dx(), i/4/img.Rect.Dx(), img.Pix[i/4*4:][:4], c.Right.Pix[i/4*4:][:4], c.Bound)
				return
			}
		}
	}
}
