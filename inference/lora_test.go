package inference

import (
	"encoding/json"
	"testing"
)

func TestParseLoRA(t *testing.T) {
	for _, c := range []struct {
		text string
		want LoRA
	}{
		{"/m/style.safetensors", LoRA{"/m/style.safetensors", 1, 1, false}},
		{"style.safetensors:0.8", LoRA{"style.safetensors", 0.8, 0.8, false}},
		{"style.safetensors:-0.5,high=2", LoRA{"style.safetensors", 2, -0.5, false}},
		{"style.safetensors:high=3,low=1.5,off", LoRA{"style.safetensors", 3, 1.5, true}},
		{"style.safetensors:low=0.3", LoRA{"style.safetensors", 1, 0.3, false}},
		{"a:b/style.safetensors", LoRA{"a:b/style.safetensors", 1, 1, false}},
		{"take:two.safetensors", LoRA{"take:two.safetensors", 1, 1, false}},
		{"high_noise_model.safetensors", LoRA{"high_noise_model.safetensors", 1, 0, false}},
		{"wan2.2_i2v_A14b_low_noise_lora_rank64_lightx2v_4step_1022.safetensors:0.5", LoRA{"wan2.2_i2v_A14b_low_noise_lora_rank64_lightx2v_4step_1022.safetensors", 0, 0.5, false}},
		{"Wan2.2-HighNoise.safetensors", LoRA{"Wan2.2-HighNoise.safetensors", 1, 0, false}},
		{"Wan22_A14B_T2V_LOW_Lightning.safetensors", LoRA{"Wan22_A14B_T2V_LOW_Lightning.safetensors", 0, 1, false}},
		{"style_H_.safetensors", LoRA{"style_H_.safetensors", 1, 0, false}},
		{"slow_flow-highway.safetensors", LoRA{"slow_flow-highway.safetensors", 1, 1, false}},
		{"high_to_low.safetensors", LoRA{"high_to_low.safetensors", 1, 1, false}},
	} {
		got, err := ParseLoRA(c.text)
		if err != nil || got != c.want {
			t.Errorf("%s: %+v, %v, want %+v", c.text, got, err, c.want)
		}
		if again, err := ParseLoRA(got.String()); err != nil || again != got {
			t.Errorf("%s: written as %s, which is %+v, %v", c.text, got, again, err)
		}
	}
	for _, text := range []string{"a.safetensors:high=x", "a.safetensors:low=", "a.safetensors:101", "a.safetensors:high=NaN"} {
		if l, err := ParseLoRA(text); err == nil {
			t.Errorf("%s: %+v", text, l)
		}
	}
}

// TestLoRAs makes sure that a list survives being written, as JSON and as a setting.
func TestLoRAs(t *testing.T) {
	var job Job
	if text, err := json.Marshal(job.LoRAs); err != nil || string(text) != "[]" || len(job.LoRAs.List()) != 0 {
		t.Errorf("none is %s, %v", text, err)
	}
	list := []LoRA{{"/a b.safetensors", 1, 0.5, false}, {"/c.safetensors", 2, 2, true}, {"/d.safetensors", 0, 0, false}}
	job.LoRAs = NewLoRAs(list...)
	text, err := json.Marshal(job)
	var again Job
	if err != nil || json.Unmarshal(text, &again) != nil || again.LoRAs != job.LoRAs {
		t.Errorf("%s became %v, %v", text, again.LoRAs, err)
	}
	s := FindSetting("lora")
	again = Job{}
	if err := s.Set(&again, s.Text(job)); err != nil || again.LoRAs != job.LoRAs {
		t.Errorf("%q became %v, %v", s.Text(job), again.LoRAs, err)
	}
	if used := job.LoRAs.Used(); len(used) != 1 || used[0] != list[0] {
		t.Errorf("used are %v", used)
	}
}
