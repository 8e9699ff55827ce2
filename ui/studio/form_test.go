package studio

import (
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/golden"
	"gimbal/inference/picture/picturetest"
	"gimbal/inference/weights"
)

func writeCamera(t *testing.T, dir string, poses int) {
	t.Helper()
	forward, err := clip.Builtin("forward", poses)
	must(t, err)
	scaled := forward.Poses()
	for i := range scaled {
		scaled[i][2][3] *= 3
	}
	p, err := clip.NewPath(scaled, []clip.Intrinsics{forward.Intrinsics()})
	must(t, err)
	must(t, p.Write(dir))
}

func TestFirstStart(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.await("an estimate", func(s Snapshot) bool {
			return s.Form.Estimate.Known && s.Form.Tokens.N == 3 && s.Form.Picture.Thumb != nil
		})
		if !s.Model.Demo || s.Form.Inputs.Job.Prompt != "a meadow" || !s.Form.CanRun || s.Form.Width != 208 || s.Form.Frames != 17 {
			t.Errorf("form %+v, model %+v", s.Form, s.Model)
		}
		if want := 17.0 / 16; math.Abs(s.Form.Seconds-want) > 1e-9 {
			t.Errorf("%v seconds, want %v", s.Form.Seconds, want)
		}
	})
}

func TestEdit(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		for _, c := range []struct {
			field Field
			text  string
			code  Code // "" for none
		}{
			{FieldFrames, "41", ""}, {FieldFrames, "40", FramesNot4n1}, {FieldFrames, "", NotAWholeNumber}, {FieldFrames, "0", FramesNot4n1}, {FieldFrames, "4097", OutOfRange},
			{FieldFrames, "99999999999999999999", NotAWholeNumber}, {FieldFrames, " 81 ", ""},
			{FieldSize, "480x832", ""}, {FieldSize, "480 × 832", ""}, {FieldSize, "28672", ""}, {FieldSize, "1x1", OutOfRange}, {FieldSize, "big", NotAWholeNumber},
			{FieldSteps, "70", ""}, {FieldSteps, "1001", OutOfRange}, {"sample_shift", "3,5", ""}, {"sample_shift", "NaN", NotANumber}, {"sample_shift", "0", OutOfRange},
			{"guidance_low", "-3", ""}, {"guidance_high", "1e3", OutOfRange}, {"boundary", "1.1", OutOfRange},
			{FieldSeed, "18446744073709551615", ""}, {FieldSeed, "-1", OutOfRange}, {FieldSeed, "x", NotAWholeNumber},
			{"sample_solver", "dpm++", ""}, {"sample_solver", "heun", NotAChoice}, {"noise_rng", "cpu", ""}, {"fps", "0", OutOfRange},
			{FieldQuant, "nf4-double", ""}, {FieldQuant, "int4", NotAChoice}, {"vae_chunk_size", "-1", OutOfRange}, {FieldPrompt, " ", PromptEmpty},
		} {
			b.Edit(c.field, c.text)
			s := b.Snapshot()
			var code Code
			if found := s.Form.Of(c.field); len(found) > 0 {
				code = found[0].Code
			}
			if code != c.code || s.Form.Text(c.field) != c.text {
				t.Errorf("%s %q: %q, want %q; shown %q", c.field, c.text, code, c.code, s.Form.Text(c.field))
			}
			if c.code != "" && s.Form.CanRun {
				t.Errorf("%s %q: can run", c.field, c.text)
			}
		}
		in := b.Snapshot().Form.Inputs
		if j := in.Job; j.Frames != 81 || j.MaxArea != 28672 || j.Steps != 70 || j.Shift != 3.5 || j.Seed != math.MaxUint64 || !in.SeedLocked ||
			j.Quant != inference.QuantNF4Double {
			t.Errorf("inputs %+v", in)
		}
		if wrong := inference.SettingErrors(in.Job.Validate()); len(wrong) != 1 || wrong[0].Setting != "save_file" {
			t.Errorf("the engine says %v", wrong)
		}
	})
}

// TestEveryFieldIsShown makes sure that what Edit takes is what an entry shows, of every
// setting of the form.
func TestEveryFieldIsShown(t *testing.T) {
	other := map[Field]string{
		"image": "/a.png", "action_path": "/a", "prompt": "p", "negative_prompt": "n", "sample_solver": "dpm++", "high_steps": "3", "easycache": "0.05,10", "magcache": "0.06,2,0.1", "teacache": "0.2,own", "lora": "/a.safetensors:high=1,low=0.5", "guidance_interval": "0.2,0.9", "cfg_zero": "True", "cfg_zero_init": "2", "sample_shift": "2.5", "guidance_low": "2",
		"guidance_high": "3", "boundary": "0.5", "noise_rng": "cpu", "quant": "int8", "attention_dtype": "f16", "offload_model": "False", "vae_tile": "128", "frame_num": "9",
		"action_string": "w-3", "allow_act2cam": "True", "per_frame_intrinsics": "True", "even_jumps": "True", "decoder": "tiny",
		"infer_mode": "causal_fast", "chunk_size": "3",
	}
	for _, field := range fields {
		if !field.isSetting() {
			continue
		}
		in, text := DefaultInputs(), other[field]
		if text == "" {
			text = "300"
		}
		if field == "fps" {
			text = "24"
		}
		if p := edit(&in, field, text); p != nil || in.text(field) != text || in.Job == DefaultInputs().Job {
			t.Errorf("%s: %q became %q, %v", field, text, in.text(field), p)
		}
	}
}

func TestGenerateRefuses(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldPrompt, "")
		b.Edit(FieldFrames, "40")
		b.Generate()
		s := b.Snapshot()
		if !s.Form.Attempted || s.Busy() || s.Form.Text(FieldFrames) != "40" {
			t.Errorf("form %+v", s.Form)
		}
		b.Edit(FieldPrompt, "a")
		b.Edit(FieldFrames, "5")
		b.generate()
		if b.Snapshot().Form.Attempted {
			t.Error("still attempted")
		}
	})
}

// TestGenerateWaits presses Generate while the picture is still being read.
func TestGenerateWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		bad := filepath.Join(b.dir, "bad.png")
		must(t, os.WriteFile(bad, []byte("no picture"), 0o644))
		b.SetPicture(bad)
		b.Generate()
		b.await("the refusal", func(s Snapshot) bool { return s.Form.Attempted })
		if b.Snapshot().Busy() {
			t.Error("it runs")
		}
	})
}

func TestPicture(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		path := filepath.Join(b.dir, "p.png")
		b.SetPicture(path)
		b.problem(FieldPicture, PictureGone)
		b.Edit(FieldPrompt, "being ty")
		revision := b.Snapshot().Form.Revision
		writePicture(t, path)
		b.seen(path)
		s := b.await("the picture", func(s Snapshot) bool { return s.Form.Picture.Width == 208 && s.Form.CanRun })
		if s.Form.Text(FieldPrompt) != "being ty" || s.Form.Revision != revision {
			t.Error("what was typed is lost")
		}
		must(t, os.WriteFile(path, []byte("no picture"), 0o644))
		b.seen(path)
		if p := b.problem(FieldPicture, PictureBad); p.Details == "" {
			t.Errorf("%+v", p)
		}
		b.SetPicture("")
		b.problem(FieldPicture, PictureMissing)
	})
}

// TestFilesAreWatched has the real watcher see a picture that comes, and pictures that come at the
// moment at which they are looked for.
func TestFilesAreWatched(t *testing.T) {
	b := &bench{t: t, dir: t.TempDir()}
	options := b.options()
	options.watch = nil
	st, err := New(options)
	must(t, err)
	b.Studio = st
	defer func() { must(t, b.Close(context.Background())) }()
	path := filepath.Join(b.dir, "p.png")
	b.SetPicture(path)
	b.problem(FieldPicture, PictureGone)
	writePicture(t, path)
	b.await("the picture", func(s Snapshot) bool { return s.Form.Picture.Width == 208 })
	for i := range 8 {
		path := filepath.Join(b.dir, fmt.Sprintf("%d.png", i))
		b.SetPicture(path)
		writePicture(t, path)
		b.await("the picture", func(s Snapshot) bool { return s.Form.Picture.Path == path && s.Form.Picture.Width == 208 })
	}
}

func TestCamera(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		dir := filepath.Join(b.dir, "camera")
		writeCamera(t, dir, 11)
		b.SetCameraFolder(dir)
		s := b.await("the path", func(s Snapshot) bool { return s.Form.Camera.Poses == 11 })
		if s.Form.Frames != 9 || len(s.Form.Camera.Points) != 3 {
			t.Errorf("frames %d, points %v", s.Form.Frames, s.Form.Camera.Points)
		}
		b.problem(FieldCamera, CameraShort)
		b.problem(FieldCamera, noteCode(clip.NoteSpeedLost))
		if last := s.Form.Camera.At(8); math.Abs(last.Z-2) > 1e-3 || math.Abs(last.Forward[2]-1) > 1e-6 {
			t.Errorf("at the end the camera is at %+v", last)
		}
		if half := s.Form.Camera.At(2); math.Abs(half.Z-0.5) > 1e-3 {
			t.Errorf("between: %+v", half)
		}
		if none := (CameraPath{}).At(3); none != (Point{}) {
			t.Errorf("no path: %+v", none)
		}
		must(t, os.Rename(dir, dir+"2"))
		b.seen(dir)
		b.problem(FieldCamera, CameraGone)
		must(t, os.Rename(dir+"2", dir))
		b.seen(dir)
		b.await("the path again", func(s Snapshot) bool { return s.Form.CanRun })
		must(t, os.WriteFile(filepath.Join(dir, "poses.npy"), []byte("x"), 0o644))
		b.seen(dir)
		b.problem(FieldCamera, CameraBad)
		b.SetCamera(demoCamera)
		if s := b.Snapshot(); !s.Form.CanRun || len(s.Form.Camera.Points) != 5 {
			t.Errorf("built-in: %+v", s.Form.Camera)
		}
		b.SetCamera("")
		if s := b.Snapshot(); s.Form.Camera.Chosen() || !s.Form.CanRun {
			t.Errorf("none: %+v", s.Form.Camera)
		}
	})
}

// TestActions types keys: the path follows as they are typed, and the video is as long.
func TestActions(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.SetCamera(demoCamera)
		b.Edit(FieldActions, "w-6, l-5")
		s := b.await("the path", func(s Snapshot) bool { return s.Form.Camera.Poses == 13 })
		if s.Form.Inputs.Camera != "" || s.Form.Frames != 13 || s.Form.Text(FieldFrames) != "13" || len(s.Form.Camera.Points) != 4 {
			t.Errorf("%+v", s.Form)
		}
		if way := s.Form.Camera.Legs; len(way) != 2 || way[0].Direction != clip.Forward || way[1].Direction != clip.TurnRight {
			t.Errorf("the way is %v", way)
		}
		if notes := s.Form.Camera.Notes; len(notes) != 0 {
			t.Errorf("of keys that were typed there is more to be known: %v", notes)
		}
		b.Edit(FieldActions, "w-6, l-")
		if p := b.problem(FieldActions, ActionsBad); p.Level != Error || p.Details == "" {
			t.Errorf("%+v", p)
		}
		if text := b.Snapshot().Form.Text(FieldActions); text != "w-6, l-" {
			t.Errorf("the field has %q", text)
		}
		dir := filepath.Join(b.dir, "camera")
		writeCamera(t, dir, 11)
		b.SetCameraFolder(dir)
		s = b.await("the folder", func(s Snapshot) bool { return s.Form.Camera.Poses == 11 })
		if s.Form.Camera.Actions != "" || s.Form.Text(FieldActions) != "" {
			t.Errorf("the keys stay: %+v", s.Form.Camera)
		}
		b.SetCamera("")
		if s := b.Snapshot(); s.Form.Camera.Chosen() {
			t.Errorf("none: %+v", s.Form.Camera)
		}
	})
}

func TestLongPrompt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldPrompt, strings.Repeat("word ", 20))
		p := b.problem(FieldPrompt, PromptLong)
		if p.Level != Warning || p.Args["Tokens"] != 21 {
			t.Errorf("%+v", p)
		}
	})
}

func TestModel(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		model := filepath.Join(b.dir, "model")
		b.SetModelFolder(model)
		b.problem(FieldModel, ModelMissing)
		s := b.Snapshot()
		if s.Model.Demo || s.Form.Inputs.Job.Recipe != inference.DefaultRecipe() {
			t.Errorf("model %+v, recipe %+v", s.Model, s.Form.Inputs.Job.Recipe)
		}
		b.set(enginetest.Settings{Broken: true})
		must(t, os.Mkdir(model, 0o755))
		b.seen(model)
		p := b.problem(FieldModel, ModelNoAssets)
		if p.Details != "VAE: not there" || len(b.Snapshot().Model.Parts) != 1 {
			t.Errorf("%+v", p)
		}
		b.set(enginetest.Settings{NoCamera: true})
		b.seen(model)
		b.problem(FieldCamera, CameraUnused)
		b.UsePreset(PresetDemo)
		s = b.await("the demo", func(s Snapshot) bool { return s.Model.Demo && s.Model.Whole && s.Form.Inputs.Job.Recipe == demoRecipe })
		if s.Settings.ModelFolder != model || !s.Form.Inputs.Demo {
			t.Errorf("the model folder is forgotten: %+v", s.Settings)
		}
		b.SetModelFolder("")
		b.await("the demo model", func(s Snapshot) bool { return s.Model.Demo && s.Model.Whole && s.Model.Folder == "" })
	})
}

// TestModelWarnings makes sure that a model that can be used, and is not what it should be, is
// told.
func TestModelWarnings(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		model := filepath.Join(b.dir, "model")
		must(t, os.Mkdir(model, 0o755))
		b.set(enginetest.Settings{Parts: []engine.Part{{Name: "low_noise_model", Path: model, Unused: []string{"a", "b"}}, {Name: "high_noise_model"}}})
		b.SetModelFolder(model)
		p := b.problem(FieldModel, ModelHalf)
		if p.Level != Warning || p.Args["Expert"] != "low_noise_model" || p.Args["Missing"] != "high_noise_model" {
			t.Errorf("half a model: %+v", p)
		}
		if p := b.problem(FieldModel, ModelUnused); p.Level != Warning || p.Args["Tensors"] != "a, b" {
			t.Errorf("tensors that are not used: %+v", p)
		}
		b.Edit("boundary", "1") // the low-noise expert is meant to do every step
		b.await("no warning", func(s Snapshot) bool {
			return !slices.ContainsFunc(s.Form.Problems, func(p Problem) bool { return p.Code == ModelHalf })
		})
	})
}

// TestRecipe chooses a model that wants to be sampled in its own way.
func TestRecipe(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		model, distilled := filepath.Join(b.dir, "distilled"), inference.DefaultRecipe()
		must(t, os.Mkdir(model, 0o755))
		distilled.Steps, distilled.Shift, distilled.Guidance = 4, 5, inference.Guidance{Low: 1, High: 1}
		b.set(enginetest.Settings{Recipes: map[string]inference.Recipe{model: distilled}})
		b.SetModelFolder(model)
		s := b.await("its recipe", func(s Snapshot) bool { return s.Form.Inputs.Job.Recipe == distilled })
		if full := s.Presets[2]; full.ID != PresetFull || full.Values.Recipe != distilled {
			t.Errorf("preset %+v", full)
		}
		if demo := s.Presets[3]; demo.Values.Recipe != demoRecipe {
			t.Errorf("preset %+v", demo)
		}
		b.Edit("sample_shift", "7") // a choice of the user's own stays
		b.SetModelFolder("")
		b.await("the demo model", func(s Snapshot) bool { return s.Model.Demo && s.Model.Whole })
		if got := b.Snapshot().Form.Inputs.Job.Shift; got != 7 {
			t.Errorf("shift %v", got)
		}
	})
}

func TestPresets(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldFrames, "9")
		b.SavePreset(" Mine ")
		b.SavePreset("quick") // taken
		b.notice(PresetName)
		b.UsePreset(PresetQuick)
		s := b.Snapshot()
		if in := s.Form.Inputs.Job; in.Frames != 5 || in.Steps != 5 || in.Prompt != "a meadow" || in.MaxArea != 28672 {
			t.Errorf("quick: %+v", in)
		}
		own := s.Presets[len(s.Presets)-1]
		if len(s.Presets) != 5 || own.Name != "Mine" || own.Values.Frames != 9 || !s.Presets[0].Current || own.Current {
			t.Fatalf("presets %+v", s.Presets)
		}
		b.await("estimates", func(s Snapshot) bool {
			return s.Presets[0].Estimate.Time.Likely == 25*time.Second && s.Presets[4].Estimate.Known
		})
		b.RenamePreset(own.ID, "Yours")
		b.UsePreset(own.ID)
		b.restart()
		s = b.Snapshot()
		if p := s.Presets[4]; p.Name != "Yours" || !p.Current || s.Form.Inputs.Job.Frames != 9 {
			t.Errorf("after a restart: %+v", p)
		}
		b.DeletePreset(own.ID)
		if n := len(b.Snapshot().Presets); n != 4 {
			t.Errorf("%d presets", n)
		}
	})
}

func TestRestore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldPrompt, "kept")
		b.Edit(FieldFrames, "40") // wrong: the last right one is kept
		b.SetWindow(800, 600)
		b.SetLanguage("zh")
		must(t, os.Mkdir(filepath.Join(b.dir, "out"), 0o755))
		b.SetOutputDir(filepath.Join(b.dir, "out"))
		b.LockSeed(true)
		b.restart()
		s := b.await("the recents", func(s Snapshot) bool { return len(s.Recents) == 1 && s.Recents[0].Thumb != nil })
		if s.Form.Inputs.Job.Prompt != "kept" || s.Form.Inputs.Job.Frames != 17 || s.Settings.WindowWidth != 800 || s.Settings.Language != "zh" ||
			s.Settings.OutputDir != filepath.Join(b.dir, "out") || !s.Form.Inputs.SeedLocked || s.Form.Inputs.Camera != demoCamera {
			t.Errorf("settings %+v, inputs %+v", s.Settings, s.Form.Inputs)
		}
		must(t, b.Close(context.Background()))
		must(t, os.WriteFile(b.settingsPath(), []byte("{"), 0o644))
		b.start()
		n := b.notice(SettingsDamaged)
		if _, err := os.Stat(n.Args["Path"].(string)); err != nil {
			t.Error(err)
		}
		b.Dismiss(n.ID)
		if len(b.Snapshot().Notices) != 0 {
			t.Error("still there")
		}
	})
}

func TestOutputBad(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		file := filepath.Join(b.dir, "file")
		must(t, os.WriteFile(file, nil, 0o644))
		b.SetOutputDir(filepath.Join(file, "below"))
		b.Generate()
		b.problem(FieldOutput, OutputBad)
		b.SetOutputDir(filepath.Join(b.dir, "videos"))
		b.generate()
	})
}

func TestDrop(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		one, two := filepath.Join(b.dir, "one.png"), filepath.Join(b.dir, "two.jpg")
		writePicture(t, one)
		f, err := os.Create(two)
		must(t, err)
		must(t, jpeg.Encode(f, image.NewGray(image.Rect(0, 0, 64, 64)), nil))
		must(t, f.Close())
		cam := filepath.Join(b.dir, "cam era")
		writeCamera(t, cam, 21)
		model := filepath.Join(b.dir, "model[1]")
		must(t, os.MkdirAll(filepath.Join(model, "low_noise_model"), 0o755))
		text := filepath.Join(b.dir, "text.txt")
		must(t, os.WriteFile(text, []byte("hello"), 0o644))
		empty := filepath.Join(b.dir, "empty")
		must(t, os.Mkdir(empty, 0o755))

		b.Edit(FieldPrompt, "typed")
		b.Drop([]string{one, two, "file://" + strings.ReplaceAll(cam, " ", "%20"), text, empty, filepath.Join(b.dir, "nothing")})
		s := b.await("the drop", func(s Snapshot) bool {
			return s.Form.Picture.Path == one && s.Form.Camera.Poses == 21 && len(s.Notices) == 4 && len(s.Recents) == 3
		})
		if s.Form.Text(FieldPrompt) != "typed" || s.Form.Text(FieldPicture) != one {
			t.Errorf("form %+v", s.Form)
		}
		for _, n := range s.Notices {
			if n.Code == DroppedUnknown && n.Details == "" || n.Code != DroppedUnknown && n.Code != DroppedPictures {
				t.Errorf("notice %+v", n)
			}
		}
		b.Drop([]string{filepath.Join(cam, "intrinsics.npy")})
		b.Drop([]string{filepath.Join(model, "low_noise_model")})
		b.Drop([]string{model})
		b.notice(DroppedModel)
		if s := b.Snapshot(); s.Settings.ModelFolder != model || s.Form.Camera.Folder != cam {
			t.Errorf("settings %+v, camera %+v", s.Settings, s.Form.Camera)
		}
	})
}

// TestDropParts makes a model of an expert, a text encoder and a VAE.
func TestDropParts(t *testing.T) {
	expert, ok := golden.FormatFile(t, "gguf/q4_k_m.gguf")
	text, ok2 := golden.FormatFile(t, "t5/umt5-encoder-q8_0.gguf")
	if !ok || !ok2 {
		t.Skip("not in the repository")
	}
	vae := filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth")
	inBubble(t, func(t *testing.T, b *bench) {
		b.Drop([]string{expert, text, vae})
		b.notice(DroppedModel)
		p, err := weights.ReadParts(b.Snapshot().Settings.ModelFolder)
		if want := (weights.Parts{HighNoise: expert, TextEncoder: text, VAE: vae}); err != nil || p != want {
			t.Errorf("parts %+v, want %+v, %v", p, want, err)
		}
	})
}

// TestDropInOrder drops many pictures, and then another: that is used, although it is known sooner.
func TestDropInOrder(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		last := filepath.Join(b.dir, "last.png")
		writePicture(t, last)
		b.Drop(slices.Repeat([]string{b.Snapshot().Form.Inputs.Job.Image}, 500))
		b.Drop([]string{last})
		synctest.Wait()
		if got := b.Snapshot().Form.Inputs.Job.Image; got != last {
			t.Errorf("the form has %s", got)
		}
	})
}

func TestMakeFit(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldFrames, "9")
		b.MakeFit()
		b.notice(FitChosen)
		if in := b.Snapshot().Form.Inputs.Job; in.Quant != inference.QuantINT8 || in.Frames != 9 || in.MaxArea != 28672 || in.Prompt != "a meadow" {
			t.Errorf("inputs %+v", in)
		}
		b.Edit(FieldFrames, "81")
		b.MakeFit()
		b.notice(FitNone)
	})
}

func TestSizeBad(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.Edit(FieldSize, "256")
		if p := b.problem(FieldSize, SizeBad); p.Details == "" || b.Snapshot().Form.CanRun {
			t.Errorf("%+v", p)
		}
	})
}

func TestPaste(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		data, err := os.ReadFile(b.Snapshot().Form.Inputs.Job.Image)
		must(t, err)
		b.PastePicture(data)
		b.await("the picture", func(s Snapshot) bool {
			return strings.HasPrefix(s.Form.Picture.Path, filepath.Join(b.dir, "own", "pasted")) && s.Form.Picture.Width == 208
		})
		b.PastePicture([]byte("text"))
		b.notice(PastedBad)
	})
}

// TestEveryPicture drops and pastes the corpus of small pictures: what the command line reads
// or refuses, the window does too, and says so alike.
func TestEveryPicture(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		for _, c := range picturetest.Cases(t) {
			b.Drop([]string{c.File})
			dropped := b.taken(c, c.File)
			b.PastePicture(c.Data(t))
			pasted := b.taken(c, filepath.Join(b.dir, "own", "pasted"))
			if got, want := filepath.Ext(pasted), filepath.Ext(dropped); c.Right != nil && got != want && want != ".pgm" && want != ".pbm" && want != ".pam" {
				t.Errorf("%s was pasted as %s", c.Name, pasted)
			}
		}
	})
}

// taken waits until a picture is chosen, or told to be none, and returns its path.
func (b *bench) taken(c picturetest.Case, prefix string) string {
	b.t.Helper()
	s := b.await(c.Name, func(s Snapshot) bool {
		return c.Right == nil && len(s.Form.Problems)+len(s.Notices) > 0 || strings.HasPrefix(s.Form.Picture.Path, prefix) && s.Form.Picture.Width > 0
	})
	for _, n := range s.Notices {
		if unread := strings.Contains(n.Details, "does not read"); unread != (n.Code == DroppedUnread || n.Code == PastedUnread) {
			b.t.Errorf("%s: %+v", c.Name, n)
		}
		b.Dismiss(n.ID)
	}
	if c.Right != nil && s.Form.Picture.Width != c.Right.Rect.Dx() {
		b.t.Errorf("%s is %d wide, want %d", c.Name, s.Form.Picture.Width, c.Right.Rect.Dx())
	}
	return s.Form.Picture.Path
}

func TestMessages(t *testing.T) {
	for code, text := range English() {
		if text == "" || strings.HasPrefix(text, " ") {
			t.Errorf("%s: %q", code, text)
		}
	}
}
