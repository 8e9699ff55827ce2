package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/pathedit"
	"gimbal/ui/player"
	"gimbal/ui/studio"
	"gimbal/ui/translation"
)

// The window's size until the user chooses another, and the smallest that makes sense.
const (
	defaultWidth, defaultHeight = 1280, 800
	minWidth, minHeight         = 960, 640
)

// The pages of the window.
const (
	pageCreate = iota
	pageLibrary
	pageLive
)

// Window is Gimbal's main window.
type Window struct {
	app     fyne.App
	window  fyne.Window
	studio  Studio
	options Options
	names   names
	now     studio.Snapshot // what is shown
	stop    func()          // ends the subscription

	appearance string
	pages      *part.Segmented
	create     fyne.CanvasObject
	inputs     *inputs
	stage      *stage
	stagePage  *fyne.Container
	editor     *pathedit.Editor // of the camera path, in place of the stage; nil for none
	editorPage *fyne.Container
	progress   *progress
	queue      *queueList // nil while it is not shown
	notices    *notices
	get        *getView
	library    *libraryView
	live       *liveView
	page       int
	presets    *presetsMenu
	undoing    *undoButtons
	menu       *menu
	settings   *serverSettings              // while they are shown; else nil
	dismiss    map[fyne.CanvasObject]func() // of dialogs, by what is shown of them
	attendant  attendant
	content    fyne.CanvasObject
	full       bool
	closing    bool
}

// New builds the window, to be shown with Show or run with Run.
func New(o Options) (*Window, error) {
	if o.every == nil {
		o.every = player.Ticker
	}
	if o.aside == nil {
		o.aside = player.Background
	}
	now := o.Studio.Snapshot()
	if err := translation.Load(now.Settings.Language); err != nil {
		return nil, err
	}
	w := &Window{app: o.App, studio: o.Studio, options: o, names: names{}, dismiss: map[fyne.CanvasObject]func(){}, now: now, appearance: now.Settings.Appearance, attendant: attendant{desktop: o.Desktop}}
	o.App.Settings().SetTheme(look.New(w.appearance))
	w.window = o.App.NewWindow("Gimbal")
	w.window.SetPadded(false)
	w.window.SetMaster()
	w.build()
	w.window.SetContent(w.content)
	width, height := now.Settings.WindowWidth, now.Settings.WindowHeight
	if width < minWidth || height < minHeight {
		width, height = defaultWidth, defaultHeight
	}
	w.window.Resize(fyne.NewSize(width, height))
	w.window.SetOnDropped(func(_ fyne.Position, uris []fyne.URI) { w.drop(uris) })
	w.window.SetCloseIntercept(w.Close)
	w.menu = newMenu(w)
	w.keys()
	w.show(now)
	return w, nil
}

// build makes the views and puts them in their places.
func (w *Window) build() {
	w.stage = newStage(w)
	w.inputs = newInputs(w)
	w.progress = newProgress(w)
	w.notices = newNotices(w)
	w.library = newLibraryView(w)
	w.live = newLiveView(w)
	w.presets = newPresetsMenu(w)
	w.undoing = newUndoButtons(w)
	w.pages = part.NewSegmented([]string{tr("page.create"), tr("page.library"), tr("page.live")}, w.turn)
	w.names["pages"] = w.pages

	bar := container.NewStack(part.Background(look.ColorSidebar, "", 0), part.Inset(8, 8, 18, 18,
		container.NewStack(
			container.NewCenter(part.Sized(330, 0, w.pages)),
			part.Line(6, w.presets.button, w.undoing.view, part.Spread(part.Gap(0, 0)), w.settingsButton()))))
	w.get = newGetView(w)
	w.stagePage = container.NewStack(w.stage.view)
	w.editorPage = container.NewStack()
	w.editorPage.Hide()
	left := part.Dock(nil, nil, nil, part.Rule(), w.inputs.view)
	w.create = part.Dock(nil, nil, left, nil, part.Inset(16, 16, 20, 20, w.notices.above(pageCreate, container.NewStack(w.stagePage, w.editorPage, w.get.view))))
	w.notices.turn(pageCreate)
	w.library.view.Hide()
	w.live.view.Hide()
	middle := container.NewStack(w.create, w.library.view, w.live.view)
	w.content = part.Dock(bar, w.progress.view, nil, nil, part.Dock(part.Rule(), part.Rule(), nil, nil, middle))
}

// Run shows the window, keeps it up to date and returns when the program ends.
func (w *Window) Run() {
	w.follow()
	w.window.ShowAndRun()
}

// follow takes over every Snapshot that comes.
func (w *Window) follow() {
	w.options.Desktop.OnOpen(func(paths []string) { w.studio.Drop(paths) })
	w.stop = w.studio.Subscribe(func(s studio.Snapshot) { fyne.Do(func() { w.show(s) }) })
}

// show takes over a Snapshot.
func (w *Window) show(s studio.Snapshot) {
	if s.Version < w.now.Version {
		return
	}
	w.now = s
	if s.Settings.Appearance != w.appearance {
		w.appearance = s.Settings.Appearance
		w.app.Settings().SetTheme(look.New(w.appearance))
	}
	w.stage.show(s)
	w.inputs.show(s)
	w.progress.show(s)
	if w.queue != nil {
		w.queue.show(s)
	}
	w.notices.show(s)
	w.presets.show(s)
	w.undoing.show(s)
	w.get.show(s)
	w.library.show(s)
	w.live.show(s)
	w.menu.show(s)
	if w.settings != nil {
		w.settings.show(s)
	}
	w.attendant.show(s)
}

// turn shows a page.
func (w *Window) turn(page int) {
	w.page = page
	w.pages.SetSelected(page)
	w.progress.show(w.now)
	w.undoing.show(w.now)
	w.notices.turn(page)
	setVisible(w.live.view, page == pageLive)
	setVisible(w.library.view, page == pageLibrary)
	setVisible(w.create, page == pageCreate)
	if page != pageCreate {
		w.stage.player.Pause()
	}
	if page == pageLibrary {
		w.library.enter()
	}
	if page == pageLive {
		w.window.Canvas().Unfocus()
		w.live.pad.enter()
	} else {
		w.live.release()
	}
}

// arrange shows what is in front on the page Create: the models to download, the editor of the
// path or the stage.
func (w *Window) arrange() {
	setVisible(w.get.view, w.get.open)
	setVisible(w.editorPage, w.editor != nil && !w.get.open)
	setVisible(w.stagePage, w.editor == nil && !w.get.open)
	w.undoing.show(w.now)
}

// toggleFull gives the stage the whole screen, or takes it back.
func (w *Window) toggleFull() {
	w.full = !w.full
	w.window.SetFullScreen(w.full)
	if w.full {
		w.stage.head.Hide()
		w.window.SetContent(container.NewStack(part.Background(look.ColorStage, "", 0), part.Inset(12, 12, 16, 16, w.stage.player)))
		return
	}
	w.window.SetContent(w.content)
	w.stage.view.Refresh()
	w.stage.show(w.now)
}

// drop takes what was dropped on the window.
func (w *Window) drop(uris []fyne.URI) {
	paths := make([]string, 0, len(uris))
	for _, u := range uris {
		if u.Scheme() == "file" {
			paths = append(paths, u.Path())
		}
	}
	if len(paths) > 0 {
		if w.page == pageLibrary {
			w.turn(pageCreate)
		}
		w.studio.Drop(paths)
	}
}
