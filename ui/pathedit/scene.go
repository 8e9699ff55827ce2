package pathedit

import (
	"image"
	"math"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/canvas"
	"fyne.io/fyne/v2/widget"
	"golang.org/x/image/draw"

	"gimbal/inference/clip"
	"gimbal/inference/keyframes"
)

// scene is the path in perspective: over the picture, as its camera sees it, or through the
// camera at the frame that is looked at.
type scene struct {
	widget.BaseWidget
	s       *session
	picture image.Image // nil for none
	aspect  float64     // width by height of the video
	through bool
	scaled  *image.RGBA // the picture, as large as it is shown
	raster  *canvas.Raster
}

func newScene(s *session, picture image.Image, aspect float64) *scene {
	c := &scene{s: s, picture: picture, aspect: aspect}
	c.raster = canvas.NewRaster(c.draw)
	c.ExtendBaseWidget(c)
	return c
}

// CreateRenderer implements fyne.Widget.
func (c *scene) CreateRenderer() fyne.WidgetRenderer { return widget.NewSimpleRenderer(c.raster) }

// MinSize implements fyne.CanvasObject.
func (c *scene) MinSize() fyne.Size { return fyne.NewSize(160, 90) }

// eyes is a camera that looks at the world.
type eyes struct {
	pose   clip.Pose
	focal  float64 // pixels
	middle point
}

// nearest is what a camera sees of the world from, in units of the path.
const nearest = 0.05

// seen returns a place in the camera's axes.
func (e eyes) seen(x, y, z float64) (v [3]float64) {
	d := [3]float64{x - e.pose[0][3], y - e.pose[1][3], z - e.pose[2][3]}
	for i := range v {
		v[i] = e.pose[0][i]*d[0] + e.pose[1][i]*d[1] + e.pose[2][i]*d[2]
	}
	return v
}

func (e eyes) project(v [3]float64) point {
	return point{e.middle.x + e.focal*v[0]/v[2], e.middle.y + e.focal*v[1]/v[2]}
}

// line returns the part of a line in the world that is in front of the camera.
func (e eyes) line(a, b [3]float64) []point {
	from, to := e.seen(a[0], a[1], a[2]), e.seen(b[0], b[1], b[2])
	if from[2] < nearest && to[2] < nearest {
		return nil
	}
	clipped := func(in, out [3]float64) [3]float64 {
		t := (nearest - in[2]) / (out[2] - in[2])
		for i := range in {
			in[i] += t * (out[i] - in[i])
		}
		return in
	}
	if from[2] < nearest {
		from = clipped(from, to)
	} else if to[2] < nearest {
		to = clipped(to, from)
	}
	return []point{e.project(from), e.project(to)}
}

// frame returns where the video's frame is in a picture of w x h pixels.
func (c *scene) frame(w, h int) image.Rectangle {
	width, height := float64(w), float64(w)/c.aspect
	if height > float64(h) {
		width, height = float64(h)*c.aspect, float64(h)
	}
	x, y := (float64(w)-width)/2, (float64(h)-height)/2
	return image.Rect(int(x), int(y), int(x+width), int(y+height))
}

func (c *scene) draw(w, h int) image.Image {
	img := image.NewRGBA(image.Rect(0, 0, w, h))
	if c.Size().Width == 0 || w < 2 || h < 2 {
		return img
	}
	room := c.frame(w, h)
	in := img.SubImage(room).(*image.RGBA)
	key := c.s.path().Keys[0]
	if c.through {
		key = c.s.path().At(float64(c.s.frame))
	} else {
		c.drawPicture(in)
	}
	e := eyes{key.Pose(), float64(room.Dx()) / 2 / math.Tan(key.FOV*math.Pi/360), point{float64(room.Dx()) / 2, float64(room.Dy()) / 2}}
	canvas := image.NewRGBA(image.Rect(0, 0, room.Dx(), room.Dy()))
	c.drawWorld(pen{canvas, float64(w) / float64(c.Size().Width)}, e)
	draw.Draw(img, room, canvas, image.Point{}, draw.Over)
	return img
}

// drawPicture draws the picture that the video starts from, a little faint.
func (c *scene) drawPicture(to *image.RGBA) {
	if c.picture == nil {
		return
	}
	b := to.Bounds()
	if c.scaled == nil || c.scaled.Bounds().Size() != b.Size() {
		c.scaled = image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
		draw.ApproxBiLinear.Scale(c.scaled, c.scaled.Bounds(), c.picture, c.picture.Bounds(), draw.Src, nil)
		for i := 3; i < len(c.scaled.Pix); i += 4 {
			for k := i - 3; k <= i; k++ {
				c.scaled.Pix[k] = uint8(int(c.scaled.Pix[k]) * 7 / 10)
			}
		}
	}
	draw.Draw(to, b, c.scaled, image.Point{}, draw.Src)
}

// extent returns how far the path goes, at least a few units.
func (c *scene) extent() float64 {
	most := 4.
	for _, k := range way(c.s.path(), c.s.frames) {
		most = max(most, math.Abs(k.X), math.Abs(k.Y), math.Abs(k.Z))
	}
	return most
}

// drawWorld draws the ground, the path and the keys' cameras.
func (c *scene) drawWorld(p pen, e eyes) {
	ink, path, reach := themeInks(c.Theme()), c.s.path(), c.extent()
	ground := reach / 8 // below the first camera: nobody knows how high that is
	step := math.Pow(10, math.Floor(math.Log10(reach)))
	if reach/step < 3 {
		step /= 2
	}
	var grid [][]point
	n := int(math.Ceil(3 * reach / step))
	for i := -n; i <= n; i++ {
		at, end := float64(i)*step, float64(n)*step
		grid = append(grid, e.line([3]float64{at, ground, -end}, [3]float64{at, ground, end}), e.line([3]float64{-end, ground, at}, [3]float64{end, ground, at}))
	}
	p.lines(ink.faint, 0.75, grid...)
	var line, drops [][]point
	all := way(path, c.s.frames)
	for i := 1; i < len(all); i++ {
		line = append(line, e.line(placeOf(all[i-1]), placeOf(all[i])))
	}
	p.lines(ink.path, 2.5, line...)
	for i, k := range path.Keys {
		if i > 0 {
			drops = append(drops, e.line(placeOf(k), [3]float64{k.X, ground, k.Z}))
		}
	}
	p.lines(ink.faint, 1, drops...)
	for i, k := range path.Keys {
		if i > 0 && (!c.through || k.Frame != c.s.frame) {
			colour, width := ink.path, 1.25
			if i == c.s.selected {
				colour, width = ink.warn, 2
			}
			p.lines(colour, width, c.frustum(e, k, reach/14)...)
		}
	}
	if now := path.At(float64(c.s.frame)); !c.through {
		p.lines(ink.warn, 1.5, c.frustum(e, now, reach/18)...)
	} else {
		p.lines(ink.path, 1.25, c.frustum(e, path.Keys[0], reach/14)...)
	}
}

func placeOf(k keyframes.Key) [3]float64 { return [3]float64{k.X, k.Y, k.Z} }

// frustum returns the lines of what a key's camera sees, so deep.
func (c *scene) frustum(e eyes, k keyframes.Key, depth float64) (lines [][]point) {
	pose := k.Pose()
	half := depth * math.Tan(k.FOV*math.Pi/360)
	var corners [4][3]float64
	for i := range corners {
		x, y := half, half/c.aspect
		if i == 0 || i == 3 {
			x = -x
		}
		if i < 2 {
			y = -y
		}
		for r := range 3 {
			corners[i][r] = pose[r][3] + pose[r][0]*x + pose[r][1]*y + pose[r][2]*depth
		}
	}
	for i, a := range corners {
		lines = append(lines, e.line(a, corners[(i+1)%4]), e.line(placeOf(k), a))
	}
	return lines
}
