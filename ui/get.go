package ui

import (
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// pageWidth is the least width of the page's content.
const pageWidth = minWidth - columnWidth - 90

// getView is the page where models are downloaded, in place of the stage: the download under way,
// what there is, and where the one that is chosen goes.
type getView struct {
	w       *Window
	open    bool
	running bool // a video was being made at the last Snapshot
	seen    bool // a download of before was shown

	from  *part.Text
	list  *fyne.Container
	rows  []*offerRow
	task  *taskCard
	order *orderForm
	edges float32 // height of what is above and below the list
	view  *fyne.Container
}

func newGetView(w *Window) *getView {
	v := &getView{w: w, from: part.NewCaption("").Cut(), list: part.Column(2)}
	v.task, v.order = newTaskCard(w), newOrderForm(w)
	closing := part.IconButton(theme.CancelIcon(), w.closeGet)
	title := part.NewText(tr("get")).Sized(theme.SizeNameSubHeadingText).Bold()
	head := part.Line(8, part.Spread(part.Column(2, title, v.from)), closing)
	w.names["get.close"] = closing
	top := part.Column(12, head, v.task.view, part.Gap(0, 0))
	list := container.NewVScroll(v.list)
	v.view = part.Dock(top, part.Column(10, part.Rule(), v.order.view), nil, nil, list)
	v.view.Hide()
	return v
}

// showGet opens the page and asks the hub what there is.
func (w *Window) showGet() {
	if w.editor != nil {
		w.editor.Close()
	}
	w.stage.player.Pause()
	w.turn(pageCreate)
	w.get.open = true
	w.studio.AskHub()
	w.arrange()
	w.get.show(w.now)
}

// closeGet gives the stage, or the editor of the path, its room again. A download goes on.
func (w *Window) closeGet() {
	if w.get.open {
		w.get.open = false
		w.arrange()
	}
}

func (v *getView) show(s studio.Snapshot) {
	if s.Get.Task.Resumed && s.Get.Task.Unfinished() && !v.seen {
		v.seen = true
		v.w.showGet()
	}
	if s.Run.Active() && !v.running { // whoever makes a video wants to see it
		v.w.closeGet()
	}
	if v.running = s.Run.Active(); !v.open {
		return
	}
	v.from.SetText(tr("get.from", map[string]any{"Hub": serverName(s.Get.Hub)}))
	for len(v.rows) < len(s.Get.Offers) {
		row := newOfferRow(v.w, s.Get.Offers[len(v.rows)])
		v.rows = append(v.rows, row)
		v.list.Add(row.view)
	}
	for i, row := range v.rows {
		row.show(s.Get.Offers[i], s.Get.Chosen)
	}
	v.task.show(s.Get.Task)
	v.order.show(s.Get)
	if edges := v.task.height() + v.order.view.MinSize().Height; edges != v.edges {
		v.edges = edges
		v.view.Refresh()
	}
}

// offerRow is a model that can be downloaded.
type offerRow struct {
	icon  *widget.Icon
	size  *part.Text
	about *part.Text
	view  fyne.CanvasObject
}

func newOfferRow(w *Window, o studio.Offer) *offerRow {
	r := &offerRow{icon: widget.NewIcon(theme.RadioButtonIcon()), size: part.NewText("").Colored(look.ColorSecondary), about: part.NewCaption("").Cut()}
	name := part.NewText(o.Model.Title).Bold()
	text := part.Column(2, part.Line(8, part.Spread(name), r.size), r.about)
	pick := part.NewPick(part.Line(10, part.Sized(18, 18, r.icon), part.Spread(text)), func() { w.studio.ChooseGet(o.Model.Name) })
	w.names["get."+o.Model.Name] = pick
	r.view = pick
	return r
}

func (r *offerRow) show(o studio.Offer, chosen string) {
	icon := theme.RadioButtonIcon()
	if o.Model.Name == chosen {
		icon = theme.NewPrimaryThemedResource(theme.RadioButtonCheckedIcon())
	}
	if r.icon.Resource.Name() != icon.Name() {
		r.icon.SetResource(icon)
	}
	size := ""
	switch {
	case o.Checking:
		size = tr("get.asking")
	case o.Problem.Code != "":
		size = tr("get.none")
	case o.Bytes > 0:
		size = bytesText(o.Bytes)
	}
	r.size.SetText(size)
	r.about.SetText(offerText(o))
}

// offerText says what a model follows, which memory it wants, its licence and how it is sampled.
func offerText(o studio.Offer) string {
	dims := o.Variant.Dims
	memory := ""
	if o.Estimate.Known {
		memory = tr("get.memory", map[string]any{"Memory": bytesText(o.Estimate.Resident)})
		if o.Estimate.Fit == inference.TooMuch {
			memory = tr("get.too_much", map[string]any{"Memory": bytesText(o.Estimate.Memory)})
		}
	}
	return join(followsText(dims.Keys, !dims.Plain), memory, o.Licence, recipeText(o.Variant.Recipe))
}

// taskCard is the download under way.
type taskCard struct {
	title, state *part.Text
	meter        *part.Meter
	problem      *part.Hint
	pause        *widget.Button // or goes on
	cancel       *widget.Button
	active       bool
	line         *fyne.Container // of all this
	view         *fyne.Container
}

func newTaskCard(w *Window) *taskCard {
	c := &taskCard{title: part.NewTitle("").Cut(), state: part.NewCaption("").Cut(), meter: part.NewMeter(), problem: part.NewHint(pageWidth - 28)}
	c.pause = widget.NewButton("", func() {
		if c.active {
			w.studio.PauseGet()
		} else {
			w.studio.ResumeGet()
		}
	})
	c.cancel = widget.NewButton(tr("get.cancel"), w.cancelGet)
	w.names["get.task"], w.names["get.pause"], w.names["get.cancel"] = c.title, c.pause, c.cancel
	text := part.Column(6, c.title, c.meter, c.state)
	c.line = part.Line(8, part.Spread(part.Inset(0, 0, 0, 8, text)), c.pause, c.cancel)
	c.view = container.NewStack(part.Background(look.ColorTint, "", 9), part.Inset(12, 12, 14, 14, part.Column(6, c.line, c.problem)))
	c.view.Hide()
	return c
}

// height returns the room that the card takes.
func (c *taskCard) height() float32 {
	if !c.view.Visible() {
		return 0
	}
	return c.view.MinSize().Height
}

func (c *taskCard) show(t studio.Task) {
	setVisible(c.view, t.State != studio.TaskNone)
	c.active = t.Active()
	c.title.SetText(t.Title)
	c.meter.Set(share(t), taskInk(t))
	c.state.SetText(taskText(t))
	if c.problem.Set(theme.ColorNameError); t.Problem.Code != "" {
		c.problem.Set(theme.ColorNameError, withDetails(problemText(t.Problem), detailsOf(t.Problem)))
	}
	pause := tr("get.resume")
	if c.active {
		pause = tr("get.pause")
	}
	if c.pause.Text != pause {
		c.pause.SetText(pause)
	}
	if c.pause.Visible() != t.Unfinished() {
		setVisible(c.pause, t.Unfinished())
		setVisible(c.cancel, t.Unfinished())
		c.line.Refresh()
	}
}

// detailsOf are what lies behind a problem where its own words leave that open.
func detailsOf(p studio.Problem) string {
	if p.Code == studio.GetFailed || p.Code == studio.GetAway {
		return p.Details
	}
	return ""
}

// taskInk is the colour of a download's meter.
func taskInk(t studio.Task) fyne.ThemeColorName {
	switch t.State {
	case studio.TaskFailed:
		return theme.ColorNameError
	case studio.TaskPaused, studio.TaskWaiting:
		return theme.ColorNamePlaceHolder
	case studio.TaskDone:
		return theme.ColorNameSuccess
	}
	return theme.ColorNamePrimary
}

// share is how much of a download is done.
func share(t studio.Task) float64 {
	if t.Total == 0 {
		return 0
	}
	return float64(t.Done) / float64(t.Total)
}

// taskText says how far a download is.
func taskText(t studio.Task) string {
	if t.Resumed && t.Active() {
		return join(tr("get.resumed"), progressText(t))
	}
	return progressText(t)
}

func progressText(t studio.Task) string {
	done := ""
	if t.Total > 0 {
		done = tr("get.progress", map[string]any{"Done": bytesText(t.Done), "Total": bytesText(t.Total)})
	}
	switch t.State {
	case studio.TaskChecking:
		return join(tr("get.checking"), done)
	case studio.TaskWaiting:
		return join(tr("get.waiting"), done)
	case studio.TaskPaused:
		return join(tr("get.paused"), done)
	case studio.TaskFailed:
		return join(tr("get.failed"), done)
	case studio.TaskDone:
		return join(tr("get.done"), t.Folder)
	}
	rate, left := "", ""
	if t.Rate > 0 {
		rate = tr("get.rate", map[string]any{"Rate": bytesText(int64(t.Rate))})
	}
	if t.Left > 0 {
		left = tr("get.left", map[string]any{"Time": duration(t.Left)})
	}
	return join(done, rate, left)
}

// cancelGet asks before a download is given up.
func (w *Window) cancelGet() {
	t := w.now.Get.Task
	text := widget.NewLabel(tr("get.cancel_text", map[string]any{"Path": t.Folder}))
	text.Wrapping = fyne.TextWrapWord
	d := dialog.NewCustomConfirm(tr("get.cancel_title"), tr("get.cancel_yes"), tr("get.cancel_no"), part.Sized(420, 0, text), func(yes bool) {
		if yes {
			w.studio.CancelGet()
		}
	}, w.window)
	d.SetConfirmImportance(widget.DangerImportance)
	w.open(d)
}

// orderForm is where the chosen model goes, under which licence, and the button that begins.
type orderForm struct {
	w       *Window
	folder  *part.Text
	place   fyne.CanvasObject // with the folder
	room    *part.Text
	token   fyne.CanvasObject
	page    *widget.Button
	address string // of the page that the button opens
	terms   *widget.Label
	licence *fyne.Container
	accept  *widget.Check
	begin   *widget.Button
	setting bool
	view    fyne.CanvasObject
}

// deed is where the licence that forbids commercial use is.
const deed = "https://creativecommons.org/licenses/by-nc-sa/4.0/"

func newOrderForm(w *Window) *orderForm {
	measures := part.Form{Width: pageWidth, Label: 96}
	f := &orderForm{w: w, folder: part.NewText("").Cut(), room: part.NewNote("", pageWidth-90), terms: widget.NewLabel("")}
	choose := widget.NewButton(tr("choose"), func() {
		w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("get.folder_title")}, w.studio.SetModelsFolder)
	})
	entry := widget.NewPasswordEntry()
	entry.SetPlaceHolder("hf_…")
	use := func() {
		if text := strings.TrimSpace(entry.Text); text != "" {
			w.studio.SetHubToken(text)
			entry.SetText("")
		}
	}
	entry.OnSubmitted = func(string) { use() }
	f.page = widget.NewButton(tr("get.page"), func() { w.ask(func() error { return w.options.Desktop.Open(f.address) }) })
	f.token = part.Column(4, measures.Row(tr("get.token"), part.Line(6, part.Spread(entry), widget.NewButton(tr("get.token_use"), use), f.page), nil),
		part.Inset(0, 0, measures.Label, 0, part.NewNote(tr("get.token_note"), measures.Width-measures.Label)))
	f.terms.SizeName, f.terms.Wrapping, f.terms.Selectable = theme.SizeNameCaptionText, fyne.TextWrapWord, true
	scroll := container.NewVScroll(f.terms)
	scroll.SetMinSize(fyne.NewSize(0, 92))
	f.accept = widget.NewCheck("", func(on bool) {
		if !f.setting {
			w.studio.AcceptLicence(on)
		}
	})
	f.licence = part.Column(4, container.NewStack(part.Background(look.ColorSunken, "", 8), scroll), part.Line(0, f.accept))
	f.begin = primary(widget.NewButton(tr("get.begin"), w.studio.BeginGet))
	f.place = measures.Row(tr("get.folder"), part.Line(6, part.Spread(f.folder), choose), nil)
	f.view = part.Column(10, f.place, f.token, f.licence,
		part.Line(10, part.Spread(f.room), f.begin))
	w.names["get.folder"], w.names["get.token"], w.names["get.accept"], w.names["get.begin"] = choose, entry, f.accept, f.begin
	return f
}

func (f *orderForm) show(g studio.Get) {
	o := g.Of()
	f.folder.SetText(g.Folder)
	setVisible(f.place, g.Chosen != "")
	text, color := "", look.ColorSecondary
	switch {
	case g.Chosen == "":
		text = tr("get.choose")
	case o.Checking:
		text = tr("get.asking")
	case g.Task.Unfinished():
		text = tr("get.one")
	case len(g.Problems) > 0:
		p := g.Problems[0]
		if text = withDetails(problemText(p), detailsOf(p)); p.Level == studio.Error {
			color = theme.ColorNameError
		}
	case g.InUse:
		text = tr("get.in_use")
	case g.Need == 0:
		text = tr("get.there")
	default:
		text = tr("get.room", map[string]any{"Need": bytesText(g.Need), "Free": bytesText(g.Free)})
	}
	f.room.SetText(strings.ReplaceAll(text, "\n", " "))
	f.room.SetColor(color)
	f.address, _ = o.Problem.Args["Address"].(string)
	setVisible(f.token, f.address != "" || g.Task.Problem.Args["Address"] != nil)
	f.showLicence(g, o)
	setEnabled(f.begin, g.CanBegin)
}

// showLicence shows what is to be accepted of the chosen model.
func (f *orderForm) showLicence(g studio.Get, o studio.Offer) {
	setVisible(f.licence, o.Model.NonCommercial && !g.Task.Unfinished())
	text := tr("get.terms", map[string]any{"Licence": o.Licence, "Address": deed})
	if o.Text != "" {
		text += "\n\n" + o.Text
	}
	if f.terms.Text != text {
		f.terms.SetText(text)
	}
	if label := tr("get.accept", map[string]any{"Licence": o.Licence}); f.accept.Text != label {
		f.accept.SetText(label)
	}
	f.setting = true
	f.accept.SetChecked(g.Accepted)
	f.setting = false
}
