package studio

import (
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
)

// TestLoRAs drops LoRAs on the form. A distilled one offers its steps, presets use them, and
// one that goes missing is a problem.
func TestLoRAs(t *testing.T) {
	lora, err := os.ReadFile(filepath.Join(golden.FormatsDir(t), "lora", "peft.safetensors"))
	must(t, err)
	inBubble(t, func(t *testing.T, b *bench) {
		style, distilled := filepath.Join(b.dir, "style.safetensors"), filepath.Join(b.dir, "lightx2v_4step.safetensors")
		must(t, os.WriteFile(style, lora, 0o644))
		must(t, os.WriteFile(distilled, lora, 0o644))
		b.Drop([]string{style})
		s := b.await("the LoRA", func(s Snapshot) bool { return s.Form.Inputs.Job.LoRAs == inference.NewLoRAs(inference.NewLoRA(style)) })
		if s.Form.FewSteps != 0 {
			t.Errorf("it offers %d steps", s.Form.FewSteps)
		}
		b.Drop([]string{distilled})
		s = b.await("the offer", func(s Snapshot) bool { return s.Form.FewSteps == 4 })
		want := demoRecipe.FewSteps(4, true)
		for _, p := range s.Presets {
			if p.ID == PresetQuick && (p.Values.Steps != 4 || p.Values.Solver != "euler" || p.Values.LoRAs != s.Form.Inputs.Job.LoRAs) {
				t.Errorf("preset %+v", p.Values)
			}
		}
		b.UseFewSteps()
		s = b.await("the steps", func(s Snapshot) bool { return s.Form.FewSteps == 0 })
		if s.Form.Inputs.Job.Recipe != want {
			t.Errorf("%+v, want %+v", s.Form.Inputs.Job.Recipe, want)
		}
		b.UsePreset(PresetProduction)
		if s = b.Snapshot(); s.Form.Inputs.Job.Steps != 4 || s.Form.Inputs.Job.Frames != 41 || s.Form.FewSteps != 0 {
			t.Errorf("the preset gives %+v", s.Form.Inputs.Job.Recipe)
		}
		must(t, os.Remove(style))
		b.Edit(FieldLoRAs, style+":0.5\n"+distilled)
		b.problem(FieldLoRAs, LoRABad)
		b.Edit(FieldLoRAs, style+":off\n"+distilled)
		b.await("no problem", func(s Snapshot) bool { return len(s.Form.Of(FieldLoRAs)) == 0 })
	})
}
