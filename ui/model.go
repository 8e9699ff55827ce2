package ui

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/weights"
	"gimbal/ui/desktop"
	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// modelCard says at the top of the form which model runs.
type modelCard struct {
	name   *part.Text
	about  *part.Text
	back   *part.Backdrop
	view   fyne.CanvasObject
	choose *widget.Button
	assets *widget.Button // chooses where text encoder and VAE are
	mode   fyne.CanvasObject
	kinds  *part.Segmented
	task   fyne.CanvasObject // the download under way
	loads  *part.Text
	meter  *part.Meter
}

// modes are the ways to run a model, in the order in which they are offered.
var modes = []string{"", inference.CausalFast, inference.CausalPretrain}

func newModelCard(w *Window, f *form) *modelCard {
	m := &modelCard{name: part.NewTitle(""), about: part.NewNote("", columnWidth-24), back: part.Background(look.ColorSunken, "", 9)}
	m.choose = widget.NewButton(tr("model.choose"), func() {
		if w.now.Model.Server != "" {
			w.showSettings()
			return
		}
		w.chooseModel()
	})
	details := widget.NewButton(tr("details"), w.showModel)
	details.Importance = widget.LowImportance
	m.assets = widget.NewButton(tr("model.assets_choose"), w.chooseAssets)
	m.kinds = f.segmented(studio.FieldMode, tr("mode.experts"), tr("mode.fast"), tr("mode.pretrain"))
	m.mode = part.Column(4, m.kinds, f.hint(studio.FieldMode, columnWidth-24))
	m.loads, m.meter = part.NewCaption("").Cut(), part.NewMeter()
	m.task = part.NewPick(part.Column(4, m.loads, m.meter), w.showGet)
	card := part.Column(6, m.name, m.about, m.mode, part.Line(6, m.choose, details), m.assets, f.hint(studio.FieldModel, columnWidth-24), m.task)
	m.view = container.NewStack(m.back, part.Inset(11, 11, 12, 12, card))
	w.names["model.choose"], w.names["model.details"], w.names["model.assets"], w.names["model.task"] = m.choose, details, m.assets, m.task
	return m
}

func (m *modelCard) show(s studio.Snapshot) {
	name, about, fill := shortPath(s.Model.Folder), "", look.ColorSunken
	switch {
	case s.Model.Demo:
		name, about, fill = tr("model.demo"), tr("model.demo_about"), look.ColorTint
	case s.Model.Checking:
		about = tr("model.checking")
	case s.Model.Whole:
		about = modelSummary(s.Model)
	case s.Model.Missing || s.Model.Details != "":
		about = join(tr("model.unusable"), lacking(s.Model.Parts))
	}
	choose := tr("model.choose")
	if s.Model.Server != "" {
		choose = tr("server.choose")
		if !s.Model.Demo {
			name = s.Model.Folder
			if name == "" {
				name = tr("server")
			}
			about = join(tr("server.on", map[string]any{"Server": serverName(s.Model.Server)}), about)
		}
	}
	if m.choose.Text != choose {
		m.choose.SetText(choose)
	}
	m.name.SetText(name)
	m.about.SetText(about)
	m.back.SetColors(fill, "")
	setVisible(m.about, about != "")
	setVisible(m.assets, !s.Model.Demo && s.Model.LacksAssets)
	setVisible(m.mode, len(s.Model.Modes) > 1)
	if setVisible(m.task, s.Get.Task.Unfinished()); s.Get.Task.Unfinished() {
		m.loads.SetText(tr("get.card", map[string]any{"Title": s.Get.Task.Title}))
		m.meter.Set(share(s.Get.Task), taskInk(s.Get.Task))
	}
	for i, mode := range modes {
		m.kinds.SetDisabled(i, !slices.Contains(s.Model.Modes, mode))
	}
	if s.Form.Inputs.Job.Causal.Mode == "" && !slices.Contains(s.Model.Modes, "") {
		m.kinds.SetSelected(slices.Index(modes, s.Model.Recipe.Causal.Mode))
	}
}

// serverName is an address without what is the same for all.
func serverName(address string) string {
	_, name, _ := strings.Cut(address, "://")
	return name
}

// lacking names the parts of a model that are missing or damaged.
func lacking(parts []engine.Part) string {
	var missing, damaged []string
	for _, p := range parts {
		switch name := translated("part."+p.Name, p.Name, nil); {
		case p.Err != nil && p.Path == "":
			missing = append(missing, name)
		case p.Err != nil:
			damaged = append(damaged, name)
		}
	}
	text := ""
	if len(missing) > 0 {
		text = tr("model.missing", map[string]any{"Parts": strings.Join(missing, ", ")})
	}
	if len(damaged) > 0 {
		text = join(text, tr("model.damaged", map[string]any{"Parts": strings.Join(damaged, ", ")}))
	}
	return text
}

// modelSummary says in a few lines which model it is and what it can do.
func modelSummary(m studio.Model) string {
	var size int64
	for _, p := range m.Parts {
		if !p.Other {
			size += p.Bytes
		}
	}
	text := join(bytesText(size), controlText(m))
	if m.Variant.Title != "" {
		text = m.Variant.Title + "\n" + text + "\n" + recipeText(m.Recipe) + "\n" + licenceText(m)
	}
	if m.Assets != "" {
		text += "\n" + tr("model.assets", map[string]any{"Path": shortPath(m.Assets)})
	}
	return text
}

// controlText says what a model follows.
func controlText(m studio.Model) string { return followsText(m.ReadsKeys, m.HasCamera) }

func followsText(keys, camera bool) string {
	switch {
	case keys:
		return tr("model.keys")
	case camera:
		return tr("model.camera")
	}
	return tr("model.no_camera")
}

// recipeText says how a model is sampled.
func recipeText(r inference.Recipe) string {
	args := map[string]any{"Steps": r.Steps, "Chunk": r.Chunk, "Pictures": r.Chunk * inference.Wan.FrameStride}
	switch r.Causal.Mode {
	case inference.CausalFast:
		return tr("recipe.fast", args)
	case inference.CausalPretrain:
		return tr("recipe.pretrain", args)
	}
	return tr("recipe.whole", args)
}

// licenceText names a model's licence and says what it forbids.
func licenceText(m studio.Model) string {
	text := tr("model.licence", map[string]any{"Licence": m.Variant.Licence})
	if !m.Variant.Commercial() {
		text = join(text, tr("model.non_commercial"))
	}
	return text
}

// chooseAssets asks for the folder of the text encoder and the VAE.
func (w *Window) chooseAssets() {
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("model.assets_title")}, w.studio.SetAssetsFolder)
}

// chooseModel asks for the model folder.
func (w *Window) chooseModel() {
	w.pick(desktop.Panel{Kind: desktop.PickFolder, Title: tr("model.choose_title")}, w.studio.SetModelFolder)
}

// chooseModelFile asks for a file of a model, such as an expert, which with what lies around it,
// or else with the rest of the model in use, makes one.
func (w *Window) chooseModelFile() {
	w.pick(desktop.Panel{Kind: desktop.PickFile, Title: tr("model.file_title"), Extensions: weights.Extensions()}, func(path string) { w.studio.Drop([]string{path}) })
}

// showModel shows what is in the model folder and what is missing.
func (w *Window) showModel() {
	s := w.now
	rows := part.Column(7)
	folder := s.Model.Folder
	if s.Model.Demo {
		folder = tr("model.demo")
	}
	rows.Add(part.NewCaption(folder))
	if s.Model.Whole && !s.Model.Demo {
		rows.Add(part.NewNote(modelSummary(s.Model), 460))
	}
	for _, p := range s.Model.Parts {
		rows.Add(partRow(p))
	}
	var cached []string
	for _, q := range s.Model.Cached {
		cached = append(cached, strings.ToUpper(q.String()))
	}
	if len(cached) > 0 {
		rows.Add(part.NewCaption(tr("model.cached", map[string]any{"Kinds": strings.Join(cached, ", ")})))
	}
	if s.Model.Details != "" {
		rows.Add(widget.NewButton(tr("copy_details"), func() { w.app.Clipboard().SetContent(s.Model.Details) }))
	}
	var d *dialog.CustomDialog
	choose := primary(widget.NewButton(tr("model.choose"), func() { d.Hide(); w.chooseModel() }))
	if s.Model.Server != "" {
		choose = primary(widget.NewButton(tr("server.choose"), func() { d.Hide(); w.showSettings() }))
	}
	buttons := []fyne.CanvasObject{widget.NewButton(tr("close"), func() { d.Hide() })}
	if s.Model.Server == "" {
		buttons = append(buttons, widget.NewButton(tr("model.choose_file"), func() { d.Hide(); w.chooseModelFile() }))
	}
	switch {
	case s.Model.Folder != "" && s.Model.Demo:
		buttons = append(buttons, widget.NewButton(tr("model.leave_demo"), func() { d.Hide(); w.studio.SetDemo(false) }))
	case s.Model.Folder != "":
		buttons = append(buttons, widget.NewButton(tr("model.use_demo"), func() { d.Hide(); w.studio.SetDemo(true) }))
	}
	if s.Model.Folder != "" && !s.Model.Demo {
		rows.Add(part.Line(6, widget.NewButton(tr("model.assets_choose"), func() { d.Hide(); w.chooseAssets() }), part.Spread(part.Gap(0, 0))))
	}
	d = dialog.NewCustomWithoutButtons(tr("model"), part.Sized(460, 0, rows), w.window)
	d.SetButtons(append(buttons, choose))
	w.open(d)
}

// partRow is one part of the model: there, damaged or missing.
func partRow(p engine.Part) fyne.CanvasObject {
	icon, text, color := fyne.Resource(theme.NewSuccessThemedResource(theme.ConfirmIcon())), bytesText(p.Bytes), look.ColorSecondary
	if p.Err != nil {
		icon, text, color = theme.NewErrorThemedResource(theme.ErrorIcon()), p.Err.Error(), theme.ColorNameError
	}
	name := translated("part."+p.Name, p.Name, nil)
	if p.Err == nil {
		return part.Line(8, part.Sized(16, 16, widget.NewIcon(icon)), part.Spread(part.NewText(name)), part.NewCaption(text))
	}
	return part.Column(2, part.Line(8, part.Sized(16, 16, widget.NewIcon(icon)), part.Spread(part.NewText(name))),
		part.Inset(0, 0, 24, 0, part.NewNote(text, 430).Colored(color)))
}
