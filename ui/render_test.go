package ui

import (
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/keyframes"
	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/ui/look"
	"gimbal/ui/studio"
)

// TestRender writes pictures of the window's states to the folder GIMBAL_UI_RENDER, to
// be looked at.
func TestRender(t *testing.T) {
	dir := os.Getenv("GIMBAL_UI_RENDER")
	if dir == "" {
		t.Skip("GIMBAL_UI_RENDER names no folder")
	}
	attempted := empty()
	attempted.Form.Attempted = true
	attempted.Notices = []studio.Notice{{ID: 1, Level: studio.Warning, Code: studio.DroppedUnknown, Args: map[string]any{"Path": "notes.docx"}, Details: "a Word file"}}
	failed := running(t)
	failed.Run.Phase, failed.Run.Entry.State, failed.Run.Entry.Cause = queue.Finished, library.Failed, library.Unhealthy
	keys := filled(t)
	keys.Form.Inputs.Camera, keys.Form.Inputs.Job.ActionString = "", "w-20,wl-20"
	keys.Form.Camera = studio.BuiltinCamera("orbit-right", 41)
	keys.Form.Camera.Name, keys.Form.Camera.Actions = "", "w-20,wl-20"
	keys.Form.Camera.Legs = []clip.Leg{{Direction: clip.Forward, Amount: 2}, {Direction: clip.TurnRight, Amount: 40, Turning: true}}
	small := causal(t)
	states := []struct {
		name       string
		state      studio.Snapshot
		appearance string
		width      float32
		height     float32
		prepare    func(w *Window)
	}{
		{"empty", empty(), look.Light, 1280, 800, nil},
		{"attempted", attempted, look.Light, 1280, 800, nil},
		{"filled", filled(t), look.Light, 1280, 800, nil},
		{"filled-lower", filled(t), look.Light, 1280, 800, func(w *Window) { w.inputs.scroll.ScrollToBottom() }},
		{"advanced", filled(t), look.Dark, 1280, 800, func(w *Window) {
			w.inputs.more.view.SetOpen(true)
			w.inputs.scroll.Refresh()
			w.inputs.scroll.ScrollToBottom()
		}},
		{"keys", keys, look.Light, 1280, 800, func(w *Window) { w.inputs.scroll.ScrollToOffset(fyne.NewPos(0, 250)) }},
		{"path", filled(t), look.Light, 1280, 800, func(w *Window) { openWalk(w) }},
		{"path-dark", filled(t), look.Dark, 1100, 720, func(w *Window) { openWalk(w); test.Tap(w.names["path.add"].(fyne.Tappable)) }},
		{"path-import", filled(t), look.Light, 1280, 800, func(w *Window) {
			openWalk(w)
			w.readPath("/poses", func(keyframes.Path) {})
		}},
		{"causal", small, look.Light, 1280, 800, nil},
		{"causal-advanced", small, look.Light, 1280, 800, func(w *Window) {
			w.inputs.more.view.SetOpen(true)
			w.inputs.scroll.Refresh()
			w.inputs.scroll.ScrollToBottom()
		}},
		{"causal-model", small, look.Light, 1280, 800, func(w *Window) { w.showModel() }},
		{"running", running(t), look.Dark, 1280, 800, nil},
		{"running-small", running(t), look.Light, 1000, 700, nil},
		{"failed", failed, look.Light, 1000, 700, nil},
		{"watching", watching(t), look.Dark, 1280, 800, nil},
		{"comparing", watching(t), look.Light, 1280, 800, func(w *Window) { w.stage.player.Step(9); w.stage.player.SetCompare(true) }},
		{"side-by-side", compared(t), look.Dark, 1280, 800, nil},
		{"library", withRuns(t), look.Light, 1280, 800, func(w *Window) { w.turn(pageLibrary) }},
		{"library-dark", withRuns(t), look.Dark, 1000, 700, func(w *Window) { w.turn(pageLibrary); w.library.grid.Select(4) }},
		{"presets", filled(t), look.Light, 1280, 800, func(w *Window) { w.presets.open() }},
		{"settings", filled(t), look.Dark, 1280, 800, func(w *Window) { w.showSettings() }},
		{"about", filled(t), look.Light, 1280, 800, func(w *Window) { w.showAbout() }},
		{"model", filled(t), look.Light, 1280, 800, func(w *Window) {
			w.now.Model = studio.Model{Folder: "/Volumes/Models/lingbot-world-base-cam", Details: "x", Model: engine.Model{Parts: []engine.Part{
				{Name: "high_noise_model", Path: "x", Bytes: 37.1e9}, {Name: "low_noise_model", Err: errors.New("low_noise_model/diffusion_pytorch_model-00003-of-00008.safetensors is missing")},
				{Name: "text encoder", Path: "x", Bytes: 11.4e9}, {Name: "tokenizer", Path: "x"}, {Name: "VAE", Path: "x", Bytes: 507e6}}}}
			w.showModel()
		}},
	}
	only := os.Getenv("GIMBAL_UI_STATES")
	for _, c := range states {
		if only != "" && !strings.Contains(only, c.name) {
			continue
		}
		for _, language := range []string{"en", "zh"} {
			if language == "zh" && c.name != "filled" && c.name != "running" && c.name != "path" && c.name != "causal" && c.name != "library" && c.name != "settings" {
				continue
			}
			c.state.Settings.Appearance, c.state.Settings.Language = c.appearance, language
			w, _ := newTestWindow(t, c.state, c.width, c.height)
			layOut(w)
			if c.prepare != nil {
				c.prepare(w)
			}
			layOut(w)
			file, err := os.Create(filepath.Join(dir, c.name+"-"+language+".png"))
			if err != nil {
				t.Fatal(err)
			}
			if err := png.Encode(file, w.window.Canvas().Capture()); err != nil {
				t.Fatal(err)
			}
			file.Close()
		}
	}
}
