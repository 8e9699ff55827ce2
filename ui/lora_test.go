package ui

import (
	"slices"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference"
	"gimbal/ui/desktop"
)

// TestLoRAList edits the list of LoRAs: each has a box, sliders, and a way out.
func TestLoRAList(t *testing.T) {
	s := filled(t)
	s.Form.Inputs.Job.LoRAs = inference.NewLoRAs(inference.LoRA{File: "/l/style.safetensors", High: 1, Low: 1}, inference.LoRA{File: "/l/fast.safetensors", High: 2.5, Low: 5})
	s.Form.FewSteps = 4
	w, f := newTestWindow(t, s, 1280, 800)
	if len(f.calls) > 0 {
		t.Errorf("showing the list asks for %q", f.calls)
	}
	if got := w.inputs.loras.rows[1].low.number.Text(); got != "5.00" {
		t.Errorf("a strength beyond the slider's end is shown as %q", got)
	}
	w.names["lora.0.high"].(*widget.Slider).SetValue(0.55)
	expect(t, f, "edit lora /l/style.safetensors:high=0.55,low=1\n/l/fast.safetensors:high=2.5,low=5")
	w.names["lora.1"].(*widget.Check).SetChecked(false)
	expect(t, f, "edit lora /l/style.safetensors:high=0.55,low=1\n/l/fast.safetensors:high=2.5,low=5,off")
	test.Tap(w.names["lora.0.remove"].(*widget.Button))
	expect(t, f, "edit lora /l/fast.safetensors:high=2.5,low=5,off")
	if offer := w.names["lora.steps"].(*widget.Button); !offer.Visible() || offer.Text != "Use its 4 Steps" {
		t.Errorf("the offer is %q", offer.Text)
	}
	test.Tap(w.names["lora.steps"].(*widget.Button))
	expect(t, f, "few steps")
	s.Version, s.Form.FewSteps, s.Form.Inputs.Job.LoRAs = s.Version+1, 0, ""
	w.show(s)
	if w.inputs.loras.offer.Visible() || len(w.inputs.loras.lines.Objects) != 0 {
		t.Error("an empty list has rows or an offer")
	}
}

// TestChooseModelFile asks for a file of a model and hands it on as if it was dropped, which makes
// a model of it and what there is besides.
func TestChooseModelFile(t *testing.T) {
	w, f := newTestWindow(t, empty(), 1280, 800)
	asked := make(chan desktop.Panel, 1)
	w.options.Desktop.(*desktop.Recorder).Picked = func(p desktop.Panel) (string, error) {
		asked <- p
		return "/models/wan2.2_high_noise_Q4_K_M.gguf", nil
	}
	w.chooseModelFile()
	if p := <-asked; p.Kind != desktop.PickFile || !slices.Contains(p.Extensions, "gguf") || !slices.Contains(p.Extensions, "safetensors") || !slices.Contains(p.Extensions, "json") {
		t.Errorf("asked for %+v", p)
	}
	for range 3000 {
		if f.asked("drop [/models/wan2.2_high_noise_Q4_K_M.gguf]") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Error("the studio was not told")
}
