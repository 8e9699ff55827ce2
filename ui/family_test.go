package ui

import (
	"strings"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// causal is a form that is filled for the 1.3B model, of which the text encoder is elsewhere.
func causal(t *testing.T) studio.Snapshot {
	t.Helper()
	v, ok := engine.FindVariant("v2-1.3b-fast")
	if !ok {
		t.Fatal("there is no such variant")
	}
	s := filled(t)
	s.Form.Inputs.Job.Recipe = v.Recipe
	s.Form.Inputs.Job.Causal.Window, s.Form.Inputs.Job.Causal.Sink = 18, 6
	s.Model = studio.Model{Folder: "/Volumes/Models/lingbot-world-v2-1.3b", Assets: "/Volumes/Models/lingbot-world-base-cam", Model: engine.Model{
		Whole: true, HasCamera: true, Modes: []string{inference.CausalFast}, Variant: v, Recipe: v.Recipe,
		Parts: []engine.Part{
			{Name: "causal_model", Path: "x", Bytes: 6.84e9}, {Name: "text encoder", Path: "x", Bytes: 11.4e9}, {Name: "tokenizer", Path: "x"}, {Name: "VAE", Path: "x", Bytes: 507e6},
		}}}
	return s
}

// TestCausalModel shows what a causal model is and the settings that do something for it.
func TestCausalModel(t *testing.T) {
	s := causal(t)
	w, f := newTestWindow(t, s, 1280, 800)
	w.inputs.more.view.SetOpen(true)
	layOut(w)
	about := w.inputs.model.about.Text()
	for _, want := range []string{"LingBot-World 2.0 1.3B", "CC BY-NC-SA 4.0", "no commercial use", "follows camera paths", "4 steps for every 16 frames", "lingbot-world-base-cam"} {
		if !strings.Contains(about, want) {
			t.Errorf("of the model it says %q, which lacks %q", about, want)
		}
	}
	shown := func(name string) bool { return w.names[name].Visible() && contains(w.inputs.more.view, w.names[name]) }
	for _, name := range []string{"chunk_size", "local_attn_size", "sink_size", "timesteps_index", "decoder", "sample_shift"} {
		if !shown(name) {
			t.Errorf("%s is not shown", name)
		}
	}
	for _, name := range []string{"sample_solver", "boundary", "easycache", "magcache", "teacache", "negative_prompt", "guidance_low", "guidance_interval"} {
		if shown(name) {
			t.Errorf("%s is shown, and does nothing for this model", name)
		}
	}
	entry := w.names["local_attn_size"].(*widget.Entry)
	entry.SetText("21")
	expect(t, f, "edit local_attn_size 21")
	if w.inputs.model.mode.Visible() || w.inputs.model.assets.Visible() {
		t.Error("a model is offered that is not there, or a text encoder asked for that is")
	}
	s.Version++
	s.Model.Modes = []string{"", inference.CausalFast}
	s.Model.LacksAssets = true
	w.show(s)
	if !w.inputs.model.mode.Visible() || !w.inputs.model.assets.Visible() {
		t.Error("the other model of the folder is not offered, or the missing text encoder not asked for")
	}
	w.names["infer_mode"].(*part.Segmented).Choose(0)
	expect(t, f, "edit infer_mode auto")
	s.Version++
	s.Form.Inputs.Job.Recipe = inference.DefaultRecipe()
	w.show(s)
	if shown("chunk_size") || !shown("boundary") {
		t.Error("the form is still about chunks")
	}
	test.Tap(w.names["decoder.choose"].(fyne.Tappable))
}
