package ui

import (
	"image"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/library"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/player"
	"gimbal/ui/studio"
)

// stage is the right side: nothing yet, the previews of a run, or a video.
type stage struct {
	w       *Window
	empty   fyne.CanvasObject
	get     fyne.CanvasObject // below it, while there is no model but the demo's
	waiting *part.Text
	preview *preview
	player  *player.Player
	title   *part.Text
	about   *part.Text
	head    fyne.CanvasObject
	back    *widget.Button
	loaded  library.ID     // whose video the player has
	video   *library.Video // of that
	beside  int            // videos that are shown with it
	view    fyne.CanvasObject
}

func newStage(w *Window) *stage {
	st := &stage{
		w: w, title: part.NewTitle("").Cut(), about: part.NewCaption("").Cut(), preview: newPreview(w.options.every),
		waiting: part.NewCaption("").Aligned(fyne.TextAlignCenter),
	}
	st.player = player.New(player.Words{
		First: tr("player.first"), Current: tr("player.current"), Broken: tr("player.broken"),
		Speeds: []string{"¼×", "½×", "1×", "2×"},
	}, w.options.every, w.options.aside)
	st.player.OnFull = w.toggleFull
	st.player.OnFrame = func(frame int) { w.inputs.camera.mark(w.now, frame) }
	st.back = widget.NewButton(tr("stage.back"), func() { w.studio.Show("") })
	download := widget.NewButtonWithIcon(tr("get.open"), theme.DownloadIcon(), w.showGet)
	st.get = part.Column(8, part.Gap(0, 6), container.NewCenter(part.Line(0, part.NewCaption(tr("get.first")))), container.NewCenter(download))
	st.empty = emptyStage(st.get)
	w.names["get.open"] = download
	st.head = part.Line(8, part.Spread(part.Column(2, st.title, st.about)), st.back)
	screen := container.NewStack(st.empty, st.waiting, st.preview.view, st.player)
	st.view = part.Dock(part.Inset(0, 10, 0, 0, st.head), nil, nil, nil, screen)
	w.names["stage"], w.names["player"], w.names["player.screen"] = st.view, st.player, st.player.Screen()
	w.names["preview"], w.names["stage.back"] = st.preview.view, st.back
	for name, o := range st.player.Parts() {
		w.names["player."+name] = o
	}
	return st
}

// emptyStage says what there is to do.
func emptyStage(below fyne.CanvasObject) fyne.CanvasObject {
	step := func(n, key string) fyne.CanvasObject {
		badge := part.NewBadge()
		badge.Set(n, look.ColorTint, theme.ColorNameHyperlink)
		return part.Line(10, badge, part.NewText(tr(key)).Colored(look.ColorSecondary))
	}
	icon := widget.NewIcon(theme.NewColoredResource(look.IconFilm, theme.ColorNamePlaceHolder))
	title := part.NewText(tr("empty.title")).Sized(theme.SizeNameSubHeadingText).Bold()
	steps := part.Column(10, step("1", "empty.picture"), step("2", "empty.camera"), step("3", "empty.prompt"), step("4", "empty.generate"))
	return container.NewCenter(part.Column(14, container.NewCenter(part.Sized(44, 44, icon)),
		container.NewCenter(part.Line(0, title)), part.Gap(0, 2), container.NewCenter(steps), below))
}

func (st *stage) show(s studio.Snapshot) {
	running := s.Run.Active()
	watching := s.Stage.Entry.ID != ""
	previewing := !watching && running
	st.showVideo(s.Stage)
	images := s.Run.Preview
	if s.Run.Frame != nil { // the video itself
		images = []image.Image{s.Run.Frame}
	}
	if !previewing {
		images = nil
	}
	st.preview.show(images)
	setVisible(st.player, watching && s.Stage.Video != nil)
	setVisible(st.preview.view, previewing && len(images) > 0)
	setVisible(st.empty, !watching && !running)
	setVisible(st.get, s.Get.Hub != "" && s.Model.Demo && s.Model.Folder == "" && s.Model.Server == "")
	waiting := ""
	switch {
	case watching && s.Stage.Loading:
		waiting = tr("stage.loading")
	case watching && s.Stage.Video == nil:
		waiting = tr("stage.no_frames")
	case previewing && len(images) == 0:
		waiting = tr("stage.first_preview")
	}
	st.waiting.SetText(waiting)
	setVisible(st.waiting, waiting != "")
	st.showHead(s, previewing, watching)
	setVisible(st.back, watching && running)
}

func (st *stage) showHead(s studio.Snapshot, previewing, watching bool) {
	title, about := "", ""
	switch {
	case watching:
		title, about = s.Stage.Entry.Title(), runSummary(s.Stage.Entry)
		if len(s.Stage.Compared) > 1 {
			title, about = tr("stage.compared", map[string]any{"N": len(s.Stage.Compared)}), differences(s.Stage.Compared)
		}
	case previewing:
		title, about = s.Run.Entry.Title(), tr("stage.preview_about")
		if s.Run.Frame != nil {
			about = tr("stage.frame_about")
		}
	}
	st.title.SetText(title)
	st.about.SetText(about)
	setVisible(st.head, watching || previewing)
}

// showVideo gives the player another video when the stage has another.
func (st *stage) showVideo(s studio.Stage) {
	if s.Entry.ID == st.loaded && s.Video == st.video && len(s.Compared) == st.beside {
		return
	}
	st.loaded, st.video, st.beside = s.Entry.ID, s.Video, len(s.Compared)
	if s.Video == nil {
		st.player.Clear()
		return
	}
	seen := st.w.editor == nil
	var videos []player.Video
	for _, c := range s.Compared {
		if c.Video != nil {
			videos = append(videos, player.Video{Source: c.Video, Frames: c.Video.Frames, FPS: c.Video.FPS})
		}
	}
	if len(videos) > 1 {
		st.player.SetVideo(player.Beside(videos...), seen)
		return
	}
	st.player.SetVideo(player.Video{Source: s.Video, Frames: s.Video.Frames, FPS: s.Video.FPS}, seen)
}

// runSummary says in a line how a run's video was made.
func runSummary(e library.Entry) string {
	job := e.Settings.Job
	return join(
		sizeText(e),
		tr("run.frames", map[string]any{"N": framesOf(e)}),
		tr("run.steps", map[string]any{"N": job.Steps}),
		tr("run.seed", map[string]any{"Seed": job.Seed}),
	)
}
