package ui

import (
	"fmt"
	"strconv"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"

	"gimbal/inference/library"
	"gimbal/ui/look"
	"gimbal/ui/studio"
)

// shortcutKeys is how many presets have a shortcut.
const shortcutKeys = 9

// menu is the menu bar. It is built anew only when what it shows changed: Fyne knows no
// smaller change.
type menu struct {
	w     *Window
	shown string
}

func newMenu(w *Window) *menu { return &menu{w: w} }

// state is what the menu's items depend on.
func (m *menu) state(s studio.Snapshot) string {
	text := fmt.Sprint(s.Run.Active(), s.Run.Entry.CanResume() && s.Run.Entry.State.Finished(), s.Stage.Entry.ID, s.Stage.Entry.State,
		s.Settings.Appearance, s.Model.Demo, s.Model.Folder, s.Form.CanUndo, s.Form.CanRedo)
	for _, p := range s.Presets {
		text += "\n" + fmt.Sprint(p.ID, p.Name, p.Current, presetSummary(p))
	}
	return text
}

func (m *menu) show(s studio.Snapshot) {
	if state := m.state(s); state != m.shown {
		m.shown = state
		m.w.window.SetMainMenu(m.build(s))
	}
}

// item is a menu item with a shortcut; key "" is for none.
func item(label string, key fyne.KeyName, mod fyne.KeyModifier, action func()) *fyne.MenuItem {
	i := fyne.NewMenuItem(label, action)
	if key != "" {
		i.Shortcut = &desktop.CustomShortcut{KeyName: key, Modifier: mod}
	}
	return i
}

const (
	command = fyne.KeyModifierShortcutDefault
	shifted = fyne.KeyModifierShortcutDefault | fyne.KeyModifierShift
)

func (m *menu) build(s studio.Snapshot) *fyne.MainMenu {
	w := m.w
	separator := fyne.NewMenuItemSeparator
	export := fyne.NewMenuItem(tr("menu.export"), nil)
	export.ChildMenu = fyne.NewMenu("", w.exportItems(s.Stage.Entry)...)
	export.ChildMenu.Items[0].Shortcut = &desktop.CustomShortcut{KeyName: fyne.KeyE, Modifier: command}
	export.Disabled = s.Stage.Entry.State != library.Done
	quit := item(tr("menu.quit"), fyne.KeyQ, command, w.Close)
	quit.IsQuit = true
	file := fyne.NewMenu(tr("menu.file"),
		item(tr("menu.open_picture"), fyne.KeyO, command, w.openPicture),
		item(tr("menu.open_camera"), fyne.KeyO, shifted, w.openCamera),
		item(tr("menu.paste"), fyne.KeyV, shifted, w.paste),
		separator(),
		item(tr("menu.get"), fyne.KeyG, command, w.showGet),
		item(tr("menu.model"), fyne.KeyM, shifted, w.chooseModel),
		item(tr("menu.model_file"), "", 0, w.chooseModelFile),
		item(tr("menu.output"), "", 0, w.chooseOutput),
		separator(),
		export,
		separator(),
		item(tr("menu.settings"), fyne.KeyComma, command, w.showSettings),
		quit,
	)
	undo := fyne.NewMenuItem(tr("menu.undo"), w.undo)
	undo.Shortcut = &fyne.ShortcutUndo{} // Fyne makes this, and nothing else, of the keys
	edit := fyne.NewMenu(tr("menu.edit"), undo, item(tr("menu.redo"), fyne.KeyZ, shifted, w.redo))
	return fyne.NewMainMenu(file, edit, m.runMenu(s), m.presetMenu(s), m.viewMenu(s), m.helpMenu())
}

func (m *menu) runMenu(s studio.Snapshot) *fyne.Menu {
	w := m.w
	cancel := item(tr("menu.cancel"), fyne.KeyPeriod, command, w.cancel)
	cancel.Disabled = !s.Run.Active()
	resume := item(tr("menu.resume"), fyne.KeyR, command, func() { w.studio.Resume(w.now.Run.Entry.ID) })
	resume.Disabled = !s.Run.Entry.State.Finished() || !s.Run.Entry.CanResume()
	return fyne.NewMenu(tr("menu.run"),
		item(tr("menu.generate"), fyne.KeyReturn, command, w.generate), cancel, resume,
		fyne.NewMenuItemSeparator(), item(tr("menu.new_seed"), fyne.KeyD, command, w.studio.NewSeed))
}

func (m *menu) presetMenu(s studio.Snapshot) *fyne.Menu {
	var items []*fyne.MenuItem
	for i, p := range s.Presets {
		key := fyne.KeyName("")
		if i < shortcutKeys {
			key = fyne.KeyName(strconv.Itoa(i + 1))
		}
		it := item(presetName(p)+"   "+presetSummary(p), key, command, func() { m.w.studio.UsePreset(p.ID) })
		it.Checked = p.Current
		items = append(items, it)
	}
	items = append(items, fyne.NewMenuItemSeparator(), item(tr("preset.save"), fyne.KeyS, command, m.w.savePreset))
	return fyne.NewMenu(tr("presets"), items...)
}

func (m *menu) viewMenu(s studio.Snapshot) *fyne.Menu {
	w := m.w
	appearance := func(name, key string) *fyne.MenuItem {
		it := fyne.NewMenuItem(tr(key), func() { w.studio.SetAppearance(name) })
		it.Checked = s.Settings.Appearance == name
		return it
	}
	return fyne.NewMenu(tr("menu.view"),
		item(tr("page.create"), fyne.KeyN, command, func() { w.turn(pageCreate) }),
		item(tr("page.library"), fyne.KeyL, command, func() { w.turn(pageLibrary) }),
		item(tr("page.live"), fyne.KeyT, command, func() { w.turn(pageLive) }),
		fyne.NewMenuItemSeparator(),
		item(tr("menu.play"), fyne.KeyP, command, w.stage.player.Toggle),
		item(tr("menu.full"), fyne.KeyF, shifted, w.toggleFull),
		fyne.NewMenuItemSeparator(),
		appearance(look.System, "appearance.system"), appearance(look.Light, "appearance.light"), appearance(look.Dark, "appearance.dark"),
	)
}

func (m *menu) helpMenu() *fyne.Menu {
	w := m.w
	return fyne.NewMenu(tr("menu.help"),
		item(tr("menu.logs"), "", 0, func() {
			w.ask(func() error { return w.options.Desktop.Open(w.options.Desktop.Folders().Log) })
		}),
		item(tr("menu.about"), "", 0, w.showAbout))
}

// walkKey gives a key to the page Live where that is in front; going up, in any case.
func (w *Window) walkKey(name fyne.KeyName, down bool) {
	if w.page == pageLive && !w.covered() || !down {
		w.live.key(name, down)
	}
}

// keys are those that work while no entry has the focus.
func (w *Window) keys() {
	w.window.Canvas().AddShortcut(&fyne.ShortcutPaste{}, func(fyne.Shortcut) { w.paste() })
	if c, ok := w.window.Canvas().(desktop.Canvas); ok {
		c.SetOnKeyDown(func(e *fyne.KeyEvent) { w.walkKey(e.Name, true) })
		c.SetOnKeyUp(func(e *fyne.KeyEvent) { w.walkKey(e.Name, false) })
	}
	w.window.Canvas().SetOnTypedKey(func(e *fyne.KeyEvent) {
		if e.Name == fyne.KeyEscape {
			w.escape()
			return
		}
		if e.Name == fyne.KeyDelete || e.Name == fyne.KeyBackspace {
			w.deleteKey()
			return
		}
		if w.covered() || w.page != pageCreate || w.editor != nil || w.now.Stage.Video == nil || !w.stage.player.Visible() {
			return
		}
		switch e.Name {
		case fyne.KeySpace:
			w.stage.player.Toggle()
		case fyne.KeyLeft:
			w.stage.player.Step(-1)
		case fyne.KeyRight:
			w.stage.player.Step(1)
		case fyne.KeyHome:
			w.stage.player.Seek(0)
		}
	})
}
