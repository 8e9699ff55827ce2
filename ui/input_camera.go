package ui

import (
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/camera"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/plot"
	"gimbal/ui/studio"
)

// thumbFrames is the length of the built-in paths on their tiles: long enough to see
// where a slow turn goes.
const thumbFrames = 161

// cameraInput is the section of the camera path.
type cameraInput struct {
	w         *Window
	tiles     map[studio.Camera]*part.Tile
	folder    *part.Tile
	name      *part.Text
	top, side *plot.Panel
	plots     fyne.CanvasObject
	shown     []studio.Point
	view      fyne.CanvasObject
}

func newCameraInput(w *Window, h *hints) *cameraInput {
	c := &cameraInput{w: w, tiles: map[studio.Camera]*part.Tile{}, name: part.NewCaption(""), top: plot.NewTop(), side: plot.NewSide()}
	grid := container.NewGridWithColumns(5)
	add := func(name string, face fyne.CanvasObject, tapped func()) *part.Tile {
		tile := part.NewTile(face, fyne.NewSize(50, 40), tr("camera."+name), tapped)
		w.names["camera."+name] = tile
		grid.Add(tile)
		return tile
	}
	none := studio.Camera{Kind: studio.CameraNone}
	c.tiles[none] = add("none", tileIcon(theme.ContentClearIcon()), func() { w.studio.SetCamera(none) })
	for _, name := range camera.BuiltinNames() {
		choice := studio.Camera{Kind: studio.CameraBuiltin, Name: name}
		c.tiles[choice] = add(name, plot.NewThumb(builtinPoints(name)), func() { w.studio.SetCamera(choice) })
	}
	c.folder = add("folder", tileIcon(theme.FolderOpenIcon()), w.openCamera)
	c.plots = container.NewGridWithColumns(2, framed(c.top, tr("camera.top")), framed(c.side, tr("camera.side")))
	c.plots.Hide()
	c.view = measures.Section(tr("camera"), c.name, grid, h.add(studio.FieldCamera, columnWidth), c.plots)
	return c
}

func tileIcon(icon fyne.Resource) fyne.CanvasObject {
	return container.NewCenter(widget.NewIcon(icon))
}

// framed puts a plot on a ground with a caption in its corner.
func framed(p *plot.Panel, caption string) fyne.CanvasObject {
	text := part.Inset(6, 0, 9, 9, container.NewVBox(part.NewCaption(caption)))
	return part.Sized(0, 112, container.NewStack(part.Background(look.ColorSunken, "", 8), p, text))
}

// builtinPoints is a built-in path as the model sees it.
func builtinPoints(name string) []plot.Point {
	path, err := camera.Builtin(name, thumbFrames)
	if err != nil {
		return nil
	}
	var points []plot.Point
	for _, m := range path.Motion(thumbFrames).Poses() {
		points = append(points, plot.Point{
			X: float64(m[0][3]), Y: float64(m[1][3]), Z: float64(m[2][3]),
			Forward: [3]float64{float64(m[0][2]), float64(m[1][2]), float64(m[2][2])},
		})
	}
	return points
}

func plotPoints(points []studio.Point) []plot.Point {
	out := make([]plot.Point, len(points))
	for i, p := range points {
		out[i] = plot.Point(p)
	}
	return out
}

func (c *cameraInput) show(s studio.Snapshot) {
	path := s.Form.Camera
	chosen := s.Form.Inputs.Camera
	if chosen.Kind == "" {
		chosen.Kind = studio.CameraNone
	}
	for choice, tile := range c.tiles {
		tile.SetSelected(choice == chosen)
	}
	c.folder.SetSelected(chosen.Kind == studio.CameraFolder)
	name := ""
	if chosen.Kind == studio.CameraFolder {
		name = shortPath(chosen.Folder)
		if path.Poses > 0 {
			name = join(name, tr("camera.poses", map[string]any{"N": path.Poses}))
		}
	}
	c.name.SetText(name)
	if !slices.Equal(c.shown, path.Points) {
		c.shown = path.Points
		points := plotPoints(path.Points)
		c.top.SetPath(points)
		c.side.SetPath(points)
		setVisible(c.plots, len(points) > 0)
	}
	c.mark(s, c.w.stage.player.Frame())
}

// mark moves the marker to where the camera is at a frame of the video on the stage, as
// long as that was made on the path that is shown.
func (c *cameraInput) mark(s studio.Snapshot, frame int) {
	made := s.Stage.Camera
	if frame < 0 || s.Stage.Video == nil || len(made.Points) == 0 || made.Path != s.Form.Camera.Path || made.Name != s.Form.Camera.Name {
		if c.top.Marker() != nil {
			c.top.SetMarker(nil)
			c.side.SetMarker(nil)
		}
		return
	}
	at := plot.Point(made.At(float64(frame)))
	c.top.SetMarker(&at)
	c.side.SetMarker(&at)
}

// openCamera asks for an action folder.
func (w *Window) openCamera() {
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("camera.choose")}, func(path string) {
		w.studio.SetCamera(studio.Camera{Kind: studio.CameraFolder, Folder: path})
	})
}
