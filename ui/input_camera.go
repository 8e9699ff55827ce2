package ui

import (
	"fmt"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

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
	tiles     map[string]*part.Tile // by the name of a built-in path; "" for none
	folder    *part.Tile
	name      *part.Text
	edit      *widget.Button
	top, side *plot.Panel
	plots     fyne.CanvasObject
	way       *part.Hint // where the path goes, in words
	shown     []studio.Point
	view      fyne.CanvasObject
}

func newCameraInput(w *Window, f *form) *cameraInput {
	c := &cameraInput{w: w, tiles: map[string]*part.Tile{}, name: part.NewCaption(""), top: plot.NewTop(), side: plot.NewSide()}
	grid := container.NewGridWithColumns(5)
	add := func(name string, face fyne.CanvasObject, tapped func()) *part.Tile {
		tile := part.NewTile(face, fyne.NewSize(50, 40), tr("camera."+name), tapped)
		w.names["camera."+name] = tile
		grid.Add(tile)
		return tile
	}
	c.tiles[""] = add("none", tileIcon(theme.ContentClearIcon()), func() { w.studio.SetCamera("") })
	for _, name := range studio.BuiltinCameras() {
		path := studio.BuiltinCamera(name, thumbFrames)
		c.tiles[name] = add(name, plot.NewThumb(plotPoints(path.Points)), func() { w.studio.SetCamera(name) })
	}
	c.folder = add("folder", tileIcon(theme.FolderOpenIcon()), w.openCamera)
	c.plots = container.NewGridWithColumns(2, framed(c.top, tr("camera.top")), framed(c.side, tr("camera.side")))
	c.plots.Hide()
	c.way = part.NewHint(columnWidth)
	c.edit = widget.NewButtonWithIcon(tr("path.edit"), theme.DocumentCreateIcon(), w.editPath)
	w.names["camera.edit"] = c.edit
	c.view = measures.Section(tr("camera"), c.name, grid, c.edit, f.entry("action_string"), f.hint(studio.FieldCamera, columnWidth), c.plots, c.way)
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

func plotPoints(points []studio.Point) []plot.Point {
	out := make([]plot.Point, len(points))
	for i, p := range points {
		out[i] = plot.Point(p)
	}
	return out
}

func (c *cameraInput) show(s studio.Snapshot) {
	path := s.Form.Camera
	for name, tile := range c.tiles {
		tile.SetSelected(name == path.Name && path.Folder == "" && path.Actions == "")
	}
	c.folder.SetSelected(path.Folder != "")
	name := ""
	if path.Folder != "" {
		name = shortPath(path.Folder)
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
	c.way.Set(look.ColorSecondary, wayText(path)...)
	c.mark(s, c.w.stage.player.Frame())
}

// wayText says where a path of the user's own goes: what is wrong with its axes shows there.
func wayText(path studio.CameraPath) []string {
	if path.Poses == 0 || path.Name != "" {
		return nil
	}
	parts := make([]string, 0, len(path.Legs))
	for _, l := range path.Legs {
		parts = append(parts, tr("way."+string(l.Direction), map[string]any{"N": fmt.Sprintf("%.3g", l.Amount)}))
	}
	if len(parts) == 0 {
		parts = append(parts, tr("way.rest"))
	}
	return []string{strings.Join(parts, tr("way.then"))}
}

// mark moves the marker to where the camera is at a frame of the video on the stage, as
// long as that was made on the path that is shown.
func (c *cameraInput) mark(s studio.Snapshot, frame int) {
	made := s.Stage.Camera
	if frame < 0 || s.Stage.Video == nil || len(made.Points) == 0 || made.Folder != s.Form.Camera.Folder || made.Actions != s.Form.Camera.Actions || made.Name != s.Form.Camera.Name {
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
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("camera.choose")}, w.studio.SetCameraFolder)
}
