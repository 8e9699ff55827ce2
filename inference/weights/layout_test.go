package weights

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const goodConfig = `{"_class_name":"WanModel","model_type":"i2v","dim":8,"ffn_dim":16,"freq_dim":4,"in_dim":36,
	"out_dim":16,"num_heads":2,"num_layers":3,"text_len":512,"eps":1e-06}`

// checkpointFiles are those of a whole checkpoint, by path.
func checkpointFiles() map[string][]byte {
	weights := torchFile(member{"x/data.pkl", pickle(pairs{"a", view("CharStorage", "0", 0, tuple(3, 4), tuple(4, 1))})}, twelve)
	return map[string][]byte{
		"high_noise_model/config.json":      []byte(goodConfig),
		"high_noise_model/" + singleFile:    one("h"),
		"low_noise_model/config.json":       []byte(strings.Replace(goodConfig, `"dim":8`, `"dim":12`, 1)),
		"low_noise_model/" + singleFile:     one("l"),
		"models_t5_umt5-xxl-enc-bf16.pth":   weights,
		"Wan2.1_VAE.pth":                    weights,
		"google/umt5-xxl/tokenizer.json":    []byte("{}"),
		"google/umt5-xxl/spiece.model":      []byte("x"),
		"assets/vae_t5_notes.txt":           nil,
		"high_noise_model/.cache/incomplet": nil,
	}
}

func TestOpenLayout(t *testing.T) {
	dir := folder(t, checkpointFiles())
	l, err := OpenLayout(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	high, low := l.Experts[HighNoise], l.Experts[LowNoise]
	if high.Config != (WanConfig{8, 16, 4, 36, 16, 2, 3, 512, 1e-6}) || low.Config.Dim != 12 {
		t.Errorf("configurations %+v, %+v", high.Config, low.Config)
	}
	if !high.Store.Has("h") || !low.Store.Has("l") || !l.Text.Has("a") || !l.VAE.Has("a") || l.VAEConfig != nil {
		t.Errorf("parts of %+v", l)
	}
	if l.TokenizerDir != filepath.Join(dir, "google", "umt5-xxl") || l.Dir != dir {
		t.Errorf("folders %q, %q", l.TokenizerDir, l.Dir)
	}
	parts, err := Inspect(dir)
	if err != nil || len(parts) != 5 {
		t.Fatalf("parts %+v, %v", parts, err)
	}
	for i, want := range []Part{
		{Name: HighNoise, Tensors: 1, DTypes: map[string]int{"U8": 1}, Config: &high.Config},
		{Name: LowNoise, Tensors: 1, DTypes: map[string]int{"U8": 1}, Config: &low.Config},
		{Name: "text encoder", Tensors: 1, DTypes: map[string]int{"I8": 1}},
		{Name: "tokenizer"},
		{Name: "VAE", Tensors: 1, DTypes: map[string]int{"I8": 1}},
	} {
		got := parts[i]
		if got.Name != want.Name || got.Tensors != want.Tensors || !maps.Equal(got.DTypes, want.DTypes) || got.Err != nil || got.Bytes == 0 || got.Path == "" {
			t.Errorf("part %+v, want %+v", got, want)
		}
		if (got.Config == nil) != (want.Config == nil) || got.Config != nil && *got.Config != *want.Config {
			t.Errorf("configuration %+v, want %+v", got.Config, want.Config)
		}
	}
}

func TestLayoutVariants(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(map[string][]byte)
		check  func(*Layout) bool
	}{
		{"one expert", func(f map[string][]byte) { remove(f, HighNoise) },
			func(l *Layout) bool { return len(l.Experts) == 1 && l.Experts[LowNoise].Store != nil }},
		{"other names", func(f map[string][]byte) {
			rename(f, "models_t5_umt5-xxl-enc-bf16.pth", "umT5-small.pth")
			f["my-VAE.safetensors"] = one("v")
			remove(f, "Wan2.1_VAE.pth")
		}, func(l *Layout) bool { return l.Text.Has("a") && l.VAE.Has("v") }},
		{"the original's name wins", func(f map[string][]byte) { f["a_vae.pth"], f["z_vae.pth"], f["t5.safetensors"] = nil, nil, nil },
			func(l *Layout) bool { return l.Text.Has("a") && l.VAE.Has("a") }},
		{"spiece.model only", func(f map[string][]byte) { remove(f, "google/umt5-xxl/tokenizer.json") },
			func(l *Layout) bool { return l.TokenizerDir != "" }},
		{"VAE statistics", func(f map[string][]byte) {
			f["vae_config.json"] = []byte(`{"latents_mean":[0.5,-1],"latents_std":[1,2],"z_dim":2}`)
		}, func(l *Layout) bool {
			return l.Recipe == nil && slices.Equal(l.VAEConfig.LatentsMean, []float32{0.5, -1}) && slices.Equal(l.VAEConfig.LatentsStd, []float32{1, 2})
		}},
		{"a recipe", func(f map[string][]byte) {
			f[RecipeFile] = []byte(`{"sample_steps":4,"sample_shift":5,"sample_guide_scale":{"low":1,"high":1.5},"boundary":0.9,
				"sample_solver":"unipc","frame_num":81,"max_area":399360}`)
		}, func(l *Layout) bool {
			var r struct {
				Steps int `json:"sample_steps"`
			}
			return json.Unmarshal(l.Recipe, &r) == nil && r.Steps == 4
		}},
		{"an empty recipe", func(f map[string][]byte) { f[RecipeFile] = []byte(`{}`) }, func(l *Layout) bool { return string(l.Recipe) == "{}" }},
	} {
		files := checkpointFiles()
		c.change(files)
		l, err := OpenLayout(folder(t, files))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !c.check(l) {
			t.Errorf("%s: %+v", c.name, l)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

func remove(files map[string][]byte, prefix string) {
	maps.DeleteFunc(files, func(name string, _ []byte) bool { return strings.HasPrefix(name, prefix) })
}

func rename(files map[string][]byte, from, to string) {
	files[to] = files[from]
	delete(files, from)
}

func TestBadLayouts(t *testing.T) {
	const config, vaeConfig = "high_noise_model/config.json", "vae_config.json"
	set := func(name, text string) func(map[string][]byte) {
		return func(f map[string][]byte) { f[name] = []byte(text) }
	}
	// field returns a configuration with one field set to a JSON value, or none.
	field := func(name, value string) func(map[string][]byte) {
		var all map[string]json.RawMessage
		if err := json.Unmarshal([]byte(goodConfig), &all); err != nil {
			t.Fatal(err)
		}
		all[name] = json.RawMessage(value)
		if value == "" {
			delete(all, name)
		}
		text, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return set(config, string(text))
	}
	for _, c := range []struct {
		name   string
		change func(map[string][]byte)
		want   []string
	}{
		{"no experts", func(f map[string][]byte) { remove(f, HighNoise); remove(f, LowNoise) }, []string{"experts: found none", LowNoise}},
		{"no text encoder", func(f map[string][]byte) { remove(f, "models_t5") }, []string{"text encoder: found no file", "*t5*.pth"}},
		{"no VAE", func(f map[string][]byte) { remove(f, "Wan2.1") }, []string{"VAE: found no file", "Wan2.1_VAE.pth"}},
		{"two VAEs", func(f map[string][]byte) { remove(f, "Wan2.1"); f["a_vae.pth"] = nil; f["b_VAE.safetensors"] = nil },
			[]string{"VAE: found a_vae.pth, b_VAE.safetensors", "or one"}},
		{"no tokenizer", func(f map[string][]byte) { remove(f, "google") }, []string{"umt5-xxl: tokenizer: found no file", "spiece.model"}},
		{"no config", func(f map[string][]byte) { remove(f, config) }, []string{"config.json: file: found none"}},
		{"no model", func(f map[string][]byte) { remove(f, "low_noise_model/"+singleFile) }, []string{"low_noise_model: model: found no file of weights"}},
		{"everything at once", func(f map[string][]byte) { remove(f, "google"); remove(f, "Wan2.1"); f[config] = nil },
			[]string{"tokenizer: found", "VAE: found", "config.json: contents"}},
		{"broken VAE", set("Wan2.1_VAE.pth", "PK\x00"), []string{"Wan2.1_VAE.pth: format"}},
		{"config no object", set(config, "[]"), []string{"config.json: contents: found a JSON array, expected a JSON object"}},
		{"missing field", field("ffn_dim", ""), []string{"config.json: ffn_dim: found none, expected a whole number"}},
		{"two fields", func(f map[string][]byte) {
			f[config] = []byte(strings.NewReplacer(`"dim":8,`, "", `,"eps":1e-06`, "").Replace(goodConfig))
		}, []string{"config.json: dim: found none", "config.json: eps: found none"}},
		{"another's config", func(f map[string][]byte) { f[config] = []byte(`{"error":"Entry not found"}`) },
			[]string{"config.json: fields: found none called model_type, dim, ffn_dim", "is it another model's?"}},
		{"null", field("dim", "null"), []string{"config.json: dim: found none"}},
		{"mistyped", field("dim", `"128"`), []string{`dim: found "128", expected a whole`}},
		{"fraction", field("num_layers", "2.5"), []string{"num_layers: found 2.5, expected a whole"}},
		{"zero", field("num_heads", "0"), []string{"num_heads: found 0, expected a whole number from 1"}},
		{"absurd", field("dim", "9999999999"), []string{"dim: found 9999999999, expected"}},
		{"eps", field("eps", "0"), []string{"eps: found 0, expected a positive"}},
		{"large eps", field("eps", "1e300"), []string{"eps: found 1e+300, expected a positive number below 1"}},
		{"mistyped eps", field("eps", `"tiny"`), []string{`eps: found "tiny"`}},
		{"other model", field("model_type", `"t2v"`), []string{`model_type: found "t2v", expected "i2v"`}},
		{"colours of another size", set(vaeConfig, `{"latents_mean":[1,2],"latents_std":[1,1],"latent_rgb_factors":[[1,0,0]],"latent_rgb_bias":[0,0,0]}`),
			[]string{"vae_config.json: latent_rgb_factors: found 1 row"}},
		{"colours of the first frame mistyped", set(vaeConfig, `{"latents_mean":[1],"latents_std":[1],"first_latent_rgb_factors":[[1,0,0]],"first_latent_rgb_bias":"grey"}`),
			[]string{"vae_config.json: first_latent_rgb_bias: found"}},
		{"statistics missing", set(vaeConfig, `{"latents_mean":[1]}`), []string{"vae_config.json: latents_std: found none"}},
		{"statistics mistyped", set(vaeConfig, `{"latents_mean":["a"],"latents_std":[1]}`), []string{`latents_mean: found ["a"], expected a list of numbers`}},
		{"statistics differ", set(vaeConfig, `{"latents_mean":[1,2],"latents_std":[1]}`), []string{"latents_std: found 1 number, expected as many as latents_mean"}},
		{"statistics empty", set(vaeConfig, `{"latents_mean":[],"latents_std":[]}`), []string{"latents_std: found 0 numbers"}},
		{"recipe of words", set(RecipeFile, "four steps"), []string{"recipe.json: contents: found"}},
		{"recipe of half a step", set(RecipeFile, `{"sample_steps":4.5,"boundary":"0.9"}`),
			[]string{"recipe.json: sample_steps: found 4.5, expected a whole number", `recipe.json: boundary: found "0.9", expected a number`}},
		{"recipe with one scale", set(RecipeFile, `{"sample_guide_scale":5}`), []string{`recipe.json: sample_guide_scale: found 5, expected {"low": number, "high": number}`}},
		{"recipe of unknown things", set(RecipeFile, `{"comment":"four steps"}`), []string{"recipe.json: comment: found a setting of this name, expected one of boundary"}},
		{"zero deviation", set(vaeConfig, `{"latents_mean":[1],"latents_std":[0]}`), []string{"latents_std[0]: found 0, expected a positive"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := checkpointFiles()
			c.change(files)
			dir := folder(t, files)
			l, err := OpenLayout(dir)
			if err == nil {
				l.Close()
				t.Fatal("it opens")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in\n%v", want, err)
				}
			}
			want := 5
			if strings.HasPrefix(c.name, "recipe") {
				want = 6
			}
			if parts, err := Inspect(dir); err != nil || len(parts) != want {
				t.Errorf("parts %+v, %v", parts, err)
			}
		})
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), tempFile(t, "file", nil)} {
		if _, err := OpenLayout(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
	}
	if _, err := os.Stat("/dev/zero"); err == nil {
		_, err := Open("/dev/zero")
		checkError(t, err, "/dev/zero", "file type", "", "regular file")
	}
}
