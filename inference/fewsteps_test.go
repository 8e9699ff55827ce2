package inference

import "testing"

func TestDistilledSteps(t *testing.T) {
	for path, want := range map[string]int{
		"wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022.safetensors":     4,
		"/m/Wan2.2-I2V-A14B-4steps-lora-rank64-Seko-V1/high_noise_model.safetensors": 4,
		"Wan22_A14B_T2V_HIGH_Lightning_4steps_lora_250928_rank128_fp16.safetensors":  4,
		"/m/Wan2.2-Lightning/low_noise_model.safetensors":                            4,
		"my_8-step_style.safetensors":                                                8,
		"distill.safetensors":                                                        4,
		"style_3000steps.safetensors":                                                0,
		"style_step4000.safetensors":                                                 0,
		"footsteps.safetensors":                                                      0,
		"peft.safetensors":                                                           0,
	} {
		if got := DistilledSteps(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestFewSteps(t *testing.T) {
	r := DefaultRecipe()
	high, low, style := NewLoRA("high_noise_4step.safetensors"), NewLoRA("low_noise_4step.safetensors"), NewLoRA("style.safetensors")
	few, file, ok := NewLoRAs(style, high, low).FewSteps(r)
	want := r
	want.Steps, want.Solver, want.Shift, want.Guidance, want.Boundary = 4, "euler", 5, Guidance{1, 1}, 0.9
	if !ok || few != want || file != low.File || few.Validate() != nil {
		t.Errorf("%+v by %s, %t", few, file, ok)
	}
	few, _, ok = NewLoRAs(low).FewSteps(r)
	want.Guidance.High, want.HighSteps = r.Guidance.High, 10
	if !ok || few != want {
		t.Errorf("of the low-noise expert alone: %+v, %t", few, ok)
	}
	low.Off = true
	for _, l := range []LoRAs{"", NewLoRAs(style), NewLoRAs(high), NewLoRAs(high, low)} {
		if few, file, ok := l.FewSteps(r); ok || few != r || file != "" {
			t.Errorf("%s: %+v, %s, %t", l, few, file, ok)
		}
	}
}
