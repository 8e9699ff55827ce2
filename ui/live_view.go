package ui

import (
	"fmt"
	"image"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	keys "fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/live"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// liveView is the page of walks: what they begin with and those that are kept at the left,
// the world at the right.
type liveView struct {
	w      *Window
	form   *form
	model  *part.Text
	zone   *part.Zone
	prompt *promptInput
	why    *part.Text
	make   *widget.Button // the path for Create, where the model cannot be walked by
	start  *widget.Button
	end    *widget.Button
	idle   *widget.Check
	kept   *keptWalks

	screen  *liveScreen
	hint    *part.Text
	keys    *part.Text
	numbers *part.Text
	say     *escapable
	pause   *widget.Button
	again   *widget.Button
	save    *widget.Button
	create  *widget.Button // gives the camera's way to Create
	folder  *widget.Button
	ways    *widget.Select
	tips    []int // of the ways
	name    *widget.Button
	strip   *walkStrip
	walking fyne.CanvasObject
	view    fyne.CanvasObject

	now  studio.Walk
	held live.Input // by keys
	all  live.Input // and by the gamepad
	pad  *livePad
}

func newLiveView(w *Window) *liveView {
	l := &liveView{w: w, form: newForm(w), pad: &livePad{w: w}}
	l.screen = newLiveScreen(w)
	l.strip = newWalkStrip(w)
	aside := l.newAside()
	world := l.newWorld()
	l.view = part.Dock(nil, nil, part.Dock(nil, nil, nil, part.Rule(), aside), nil, part.Inset(16, 16, 20, 20, w.notices.above(pageLive, world)))
	for name, o := range map[string]fyne.CanvasObject{
		"live.start": l.start, "live.end": l.end, "live.screen": l.screen, "live.say": l.say, "live.pause": l.pause,
		"live.again": l.again, "live.save": l.save, "live.create": l.create, "live.folder": l.folder, "live.ways": l.ways, "live.idle": l.idle, "live.why": l.why, "live.make": l.make,
	} {
		w.names[name] = o
	}
	w.studio.OnWalkPicture(func(p live.Picture) { fyne.Do(func() { l.screen.setImage(p.Image) }) })
	return l
}

// newAside makes the left side.
func (l *liveView) newAside() fyne.CanvasObject {
	w := l.w
	l.model = part.NewCaption("").Cut()
	choose := widget.NewButton(tr("model.choose"), w.chooseModel)
	l.zone = part.NewZone(tr("picture.drop"), tr("picture.drop_hint"), 150, w.openPicture)
	create := w.names["prompt"]
	l.prompt = newPromptInput(l.form) // the same setting as in Create, in another entry
	w.names["prompt"], w.names["live.prompt"], w.names["live.picture"] = create, l.prompt.entry, l.zone
	l.why = part.NewNote("", columnWidth)
	l.make = widget.NewButton(tr("live.make_path"), func() { w.turn(pageCreate) })
	l.start = primary(widget.NewButton(tr("live.start"), l.begin))
	l.end = widget.NewButton(tr("live.end"), w.studio.EndWalk)
	l.idle = widget.NewCheck(tr("live.idle"), w.studio.IdleWalk)
	l.kept = newKeptWalks(w)
	column := part.Column(22, part.Line(8, part.Spread(l.model), choose), l.zone, l.prompt.view,
		part.Column(8, l.why, l.make, l.start, l.end, l.idle), l.kept.view)
	scroll := container.NewVScroll(part.Inset(16, 24, 18, 18, column))
	return container.NewStack(part.Background(look.ColorSidebar, "", 0), part.ScrollThrough(part.Sized(columnWidth+36, 0, scroll), scroll.Scrolled))
}

// newWorld makes the right side.
func (l *liveView) newWorld() fyne.CanvasObject {
	w := l.w
	l.hint = part.NewCaption(tr("live.keys")).Aligned(fyne.TextAlignCenter)
	l.keys, l.numbers = part.NewText("").Bold(), part.NewCaption("").Aligned(fyne.TextAlignTrailing)
	l.say = newEscapable(w.window.Canvas().Unfocus)
	l.say.SetPlaceHolder(tr("live.say"))
	l.say.OnSubmitted = func(text string) {
		w.studio.SayWalk(text)
		w.window.Canvas().Unfocus()
	}
	l.pause = widget.NewButtonWithIcon(tr("live.pause"), theme.MediaPauseIcon(), l.togglePause)
	l.again = widget.NewButton(tr("live.start_over"), func() { w.studio.GoWalk(-1) })
	l.save = widget.NewButton(tr("live.save_video"), w.studio.SaveWalk)
	l.create = widget.NewButton(tr("live.use_camera"), func() { w.studio.UseWalkCamera(); w.turn(pageCreate) })
	l.folder = part.IconButton(theme.FolderOpenIcon(), l.saveCamera)
	l.ways = widget.NewSelect(nil, func(string) {
		if i := l.ways.SelectedIndex(); i >= 0 && i < len(l.tips) && !l.onTip(l.tips[i]) {
			w.studio.GoWalk(l.tips[i])
		}
	})
	l.ways.PlaceHolder = tr("live.ways")
	l.name = part.IconButton(theme.DocumentCreateIcon(), l.nameWay)
	buttons := part.Line(8, l.pause, l.again, part.Sized(150, 0, l.ways), l.name, part.Spread(part.Gap(0, 0)), l.save, l.create, l.folder)
	l.walking = part.Column(10, part.Line(12, l.keys, part.Spread(l.numbers)), l.strip.view, l.say, buttons)
	return part.Dock(nil, part.Inset(12, 0, 0, 0, part.Column(8, l.hint, l.walking)), nil, nil, l.screen)
}

func (l *liveView) show(s studio.Snapshot) {
	before := l.now
	l.now = s.Walk
	l.form.show(s)
	l.model.SetText(modelName(s.Model))
	l.zone.SetImage(s.Form.Picture.Thumb)
	l.prompt.show(s)
	l.kept.show(s.Walk)
	why := ""
	if s.Walk.Can != studio.WalkReady {
		why = tr("live.can." + string(s.Walk.Can))
	}
	if s.Walk.On && s.Busy() {
		why = tr("live.queue")
	}
	if s.Walk.On && s.Walk.Phase == live.Failed {
		why = tr("live.failed", map[string]any{"Text": s.Walk.Err.Error()})
	}
	l.why.SetText(why)
	setVisible(l.why, why != "")
	setVisible(l.make, s.Walk.Can == studio.WalkWhole)
	setEnabled(l.start, s.Walk.Can == studio.WalkReady)
	setVisible(l.start, !s.Walk.On)
	setVisible(l.prompt.view, !s.Walk.On) // the walk has an entry of its own
	setVisible(l.end, s.Walk.On)
	if l.idle.Checked != s.Walk.Idle {
		l.idle.Checked = s.Walk.Idle
		l.idle.Refresh()
	}
	setVisible(l.walking, s.Walk.On)
	if !s.Walk.On {
		l.screen.setImage(s.Form.Picture.Thumb)
		if before.On {
			l.say.SetText("")
		}
		return
	}
	begun := !before.On || before.Dir != s.Walk.Dir
	if begun || l.screen.image == nil {
		l.screen.setImage(begins(s))
	}
	if begun {
		l.hold() // what was let go of before that
	}
	l.showWalk(s.Walk, before)
}

// begins returns what is seen of a walk that was just opened: of one that goes on, where it was.
func begins(s studio.Snapshot) image.Image {
	for _, kept := range s.Walk.Kept {
		if kept.Dir == s.Walk.Dir && kept.Thumb != nil {
			return kept.Thumb
		}
	}
	return s.Form.Picture.Thumb
}

// showWalk shows the walk that is on.
func (l *liveView) showWalk(n, before studio.Walk) {
	l.keys.SetText(keysText(n))
	l.numbers.SetText(walkNumbers(n))
	if n.Prompt != before.Prompt && l.w.window.Canvas().Focused() != l.say {
		l.say.SetText(n.Prompt)
	}
	label, icon := tr("live.pause"), theme.MediaPauseIcon()
	if n.Paused {
		label, icon = tr("live.go_on"), theme.MediaPlayIcon()
	}
	if l.pause.Text != label {
		l.pause.SetText(label)
		l.pause.SetIcon(icon)
	}
	setEnabled(l.save, n.At >= 0 && n.Saving == "")
	setEnabled(l.create, n.At >= 0)
	setEnabled(l.folder, n.At >= 0)
	l.showWays(n)
	l.strip.show(n)
}

// showWays lists the ways and marks the one that the walk is on.
func (l *liveView) showWays(n studio.Walk) {
	var names []string
	var tips []int
	on := -1
	for i, w := range n.Ways {
		names, tips = append(names, fmt.Sprintf("%d. %s", w.Number, wayName(w))), append(tips, w.Tip)
		if l.onTip(w.Tip) {
			on = i
		}
	}
	l.tips = tips
	setVisible(l.ways, len(names) > 0)
	setVisible(l.name, len(names) > 0)
	if !slices.Equal(names, l.ways.Options) {
		l.ways.SetOptions(names)
	}
	if on >= 0 && l.ways.SelectedIndex() != on {
		l.ways.SetSelectedIndex(on)
	}
}

// onTip reports whether the walk is on the way that ends at a chunk.
func (l *liveView) onTip(tip int) bool {
	way := l.now.Way
	return len(way) > 0 && way[len(way)-1] == tip
}

func wayName(w live.Way) string {
	if w.Name != "" {
		return w.Name
	}
	return tr("live.way", map[string]any{"N": w.Chunks})
}

// keysText names the keys that will act, and what the walk is at.
func keysText(n studio.Walk) string {
	var keys []string
	for i, name := range []string{"W", "A", "S", "D"} {
		if n.Held.Move[i] > 0 {
			keys = append(keys, name)
		}
	}
	for i, name := range []string{"I", "J", "K", "L"} {
		if n.Held.Turn[i] > 0 {
			keys = append(keys, name)
		}
	}
	if n.Held.Slow {
		keys = append(keys, "⇧")
	}
	text := strings.Join(keys, " ")
	switch {
	case n.Phase == live.Opening && n.Replay > 0:
		return tr("live.replaying", map[string]any{"N": n.Replayed, "Of": n.Replay})
	case n.Phase == live.Opening:
		return tr("live.opening")
	case n.Saving != "" && n.Total > 0:
		return join(text, tr("live.saving", map[string]any{"N": n.Saved, "Of": n.Total}))
	case n.Paused:
		return tr("live.paused")
	case n.Encoding:
		return join(text, tr("live.encoding"))
	case text == "" && n.Waiting:
		return tr("live.waiting")
	}
	return text
}

// walkNumbers says how fast the walk goes.
func walkNumbers(n studio.Walk) string {
	if n.Made == 0 && n.Latency == 0 {
		return bytesText(n.Memory) // the rest is not known yet
	}
	return join(
		tr("live.chunk", map[string]any{"N": len(n.Way)}),
		tr("live.latency", map[string]any{"S": fmt.Sprintf("%.1f", n.Latency.Seconds())}),
		tr("live.ahead", map[string]any{"N": fmt.Sprintf("%.1f", n.Ahead)}),
		tr("live.fps", map[string]any{"N": fmt.Sprintf("%.1f", n.FPS)}),
		tr("live.made", map[string]any{"S": fmt.Sprintf("%.1f", n.Made.Round(10*time.Millisecond).Seconds())}),
		bytesText(n.Memory),
	)
}

func (l *liveView) togglePause() { l.w.studio.PauseWalk(!l.now.Paused) }

// begin begins a walk and gives the world the keys.
func (l *liveView) begin() {
	l.w.window.Canvas().Unfocus()
	l.w.studio.StartWalk(l.all)
}

// saveCamera asks for a folder for the camera's way.
func (l *liveView) saveCamera() {
	l.w.pick(desktop.Panel{Kind: desktop.SaveFile, Title: tr("path.export_title"), Name: tr("path.export_name")}, l.w.studio.SaveWalkCamera)
}

// nameWay asks for the name of the way that the walk is on.
func (l *liveView) nameWay() {
	if l.now.At < 0 {
		return
	}
	at := l.now.At
	entry := newEscapable(l.w.escape)
	d := dialog.NewForm(tr("live.name"), tr("save"), tr("cancel"), []*widget.FormItem{widget.NewFormItem(tr("live.name_of"), entry)}, func(ok bool) {
		if ok {
			l.w.studio.NameWalk(at, entry.Text)
		}
	}, l.w.window)
	d.Resize(fyne.NewSize(380, 0))
	l.w.open(d)
	l.w.window.Canvas().Focus(entry)
}

// key takes a key that goes down or up while no entry has the focus. It reports whether it is
// one of the walk's.
func (l *liveView) key(name fyne.KeyName, down bool) bool {
	v := 0.0
	if down {
		v = 1
	}
	switch name {
	case fyne.KeyW:
		l.held.Move[0] = v
	case fyne.KeyA:
		l.held.Move[1] = v
	case fyne.KeyS:
		l.held.Move[2] = v
	case fyne.KeyD:
		l.held.Move[3] = v
	case fyne.KeyI, fyne.KeyUp:
		l.held.Turn[0] = v
	case fyne.KeyJ, fyne.KeyLeft:
		l.held.Turn[1] = v
	case fyne.KeyK, fyne.KeyDown:
		l.held.Turn[2] = v
	case fyne.KeyL, fyne.KeyRight:
		l.held.Turn[3] = v
	case keys.KeyShiftLeft, keys.KeyShiftRight:
		l.held.Slow = down
	case fyne.KeySpace:
		if down && l.now.On {
			l.togglePause()
		}
		return true
	default:
		return false
	}
	l.hold()
	return true
}

// hold tells the walk what is held, of the keys and of the gamepad. The first of them begins one.
func (l *liveView) hold() {
	before := l.all
	l.all = l.held.With(l.pad.held)
	switch {
	case l.now.On:
		l.w.studio.HoldWalk(l.all)
	case before.Still() && !l.all.Still():
		l.begin()
	}
}

// release lets go of everything.
func (l *liveView) release() {
	l.pad.leave()
	l.held = live.Input{}
	if l.all != l.held {
		l.hold()
	}
}

// modelName names the model that runs.
func modelName(m studio.Model) string {
	if m.Demo {
		return tr("model.demo")
	}
	return shortPath(m.Folder)
}
