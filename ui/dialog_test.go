package ui

import (
	"os"
	"path/filepath"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/storage"
	"fyne.io/fyne/v2/test"

	"gimbal/ui/studio"
)

// TestEscape closes what is in front, without doing what it asks about.
func TestEscape(t *testing.T) {
	s := filled(t)
	s.Presets = append(s.Presets, studio.Preset{ID: "u1", Name: "Mine"})
	w, f := newTestWindow(t, s, 1280, 800)
	escape := &fyne.KeyEvent{Name: fyne.KeyEscape}
	for name, open := range map[string]func(){
		"presets": func() { test.Tap(w.presets.button) }, "settings": w.showSettings, "model": w.showModel, "name": w.savePreset,
		"delete": func() { w.deletePreset(s.Presets[len(s.Presets)-1]) }, "import": func() { w.importPath(nil) },
	} {
		open()
		canvas := w.window.Canvas()
		if canvas.Overlays().Top() == nil {
			t.Fatalf("%s: nothing opens", name)
		}
		if entry := canvas.Focused(); entry != nil {
			entry.TypedKey(escape)
		} else {
			canvas.OnTypedKey()(escape)
		}
		if canvas.Overlays().Top() != nil || w.settings != nil {
			t.Fatalf("%s: it stays", name)
		}
	}
	if len(f.calls) > 0 {
		t.Errorf("Escape asks for %q", f.calls)
	}
}

// TestSavePanelLeavesNothing has nothing where a path was chosen, which may become a folder.
func TestSavePanelLeavesNothing(t *testing.T) {
	newTestWindow(t, filled(t), 1280, 800)
	path := filepath.Join(t.TempDir(), "camera-path")
	file, err := storage.Writer(storage.NewFileURI(path)) // as the dialog does
	if err != nil {
		t.Fatal(err)
	}
	if got := newPath(file); got != path {
		t.Errorf("chosen was %q", got)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("there is something at the path: %v", err)
	}
}

// TestShortcuts holds the menu to the shortcuts that Fyne makes of the keys: it has its own for some.
func TestShortcuts(t *testing.T) {
	w, f := newTestWindow(t, filled(t), 1280, 800)
	own := map[fyne.KeyName]fyne.Shortcut{
		fyne.KeyZ: &fyne.ShortcutUndo{}, fyne.KeyY: &fyne.ShortcutRedo{}, fyne.KeyV: &fyne.ShortcutPaste{},
		fyne.KeyC: &fyne.ShortcutCopy{}, fyne.KeyX: &fyne.ShortcutCut{}, fyne.KeyA: &fyne.ShortcutSelectAll{},
	}
	undo := false
	for _, m := range w.window.MainMenu().Items {
		for _, i := range m.Items {
			s, ok := i.Shortcut.(fyne.KeyboardShortcut)
			if !ok {
				continue
			}
			var made fyne.Shortcut = &desktop.CustomShortcut{KeyName: s.Key(), Modifier: s.Mod()}
			if of := own[s.Key()]; of != nil && s.Mod() == command {
				made = of
			}
			if s.ShortcutName() != made.ShortcutName() {
				t.Errorf("%q waits for %q, its keys make %q", i.Label, s.ShortcutName(), made.ShortcutName())
			}
			if _, ok := i.Shortcut.(*fyne.ShortcutUndo); ok {
				i.Action()
				undo = true
			}
		}
	}
	if !undo || !f.asked("undo") {
		t.Error("nothing is taken back by keys")
	}
}
