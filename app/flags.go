package main

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/output"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// reference holds the flags of the reference's generate.py, by their names, and
// Gimbal's own beside them.
type reference struct {
	job     inference.Job // what the flags change; complete applies them
	typed   []typed
	ckptDir string
	mode    string // of a causal model, that the command is for; "" for any
	task    string
	saveDir string
	size    string
	ulysses int
	resume  string
	server  string
	device  deviceChoice
	json    bool
	profile string
	double  bool
	auto    bool
	tile    bool         // --vae_tile auto
	dims    weights.Dims // of gimbal plan; the zero value for a checkpoint
	named   bool         // the video has a name that nobody gave
	given   []string     // names of the flags on the command line
	name    string       // of the video where no other is given; "" for one made of the settings
	notes   []string     // for the user, about what the flags did not say
}

// tasks are the values of --task.
var tasks = []string{"i2v-A14B", smallTask}

// smallTask is the task of the model of 1.3 billion weights.
const smallTask = "i2v-1.3B"

// sizes are the values of --size that the reference supports for its task.
var sizes = map[string]int{
	"720*1280": 720 * 1280, "1280*720": 1280 * 720,
	"480*832": 480 * 832, "832*480": 832 * 480,
}

// typed is a setting as it stands on the command line.
type typed struct {
	inference.Setting
	text string
}

// settingFlag is the flag of a setting. Every text is fine until complete looks at it, so
// that all mistakes are told at once.
type settingFlag struct {
	inference.Setting
	r *reference
}

func (f *settingFlag) String() string {
	if f.r == nil {
		return "" // package flag asks a zero value
	}
	return f.Text(f.r.job)
}

// IsBoolFlag has package flag take the flag without a value.
func (f *settingFlag) IsBoolFlag() bool { return f.Switch }

func (f *settingFlag) Set(text string) error {
	f.r.typed = append(f.r.typed, typed{f.Setting, text})
	return nil
}

func (r *reference) flags(name string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	for _, s := range inference.Settings {
		if s.Flag && s.Name != "quant" {
			fs.Var(&settingFlag{s, r}, s.Name, s.Help)
		}
	}
	r.quantFlags(fs)
	fs.StringVar(&r.task, "task", tasks[0], "the model's `task`: "+strings.Join(tasks, " or "))
	pathVar(fs, &r.saveDir, "save_dir", "`folder` of the video where --save_file does not say one")
	fs.StringVar(&r.size, "size", "480*832", "area of a frame as `W*H`: 480*832, 832*480, 720*1280 or 1280*720; the picture's shape is kept")
	pathVar(fs, &r.ckptDir, "ckpt_dir", "`folder` of the checkpoint, a file of its weights, or a "+weights.PartsFile+" that names its parts")
	fs.BoolVar(&r.auto, "auto", false, "choose settings that fit the device where these do not")
	deviceFlags(fs, &r.device)
	pathVar(fs, &r.device.capture, "metal_capture", "`file` .gputrace for a capture of one block of the transformer by Metal, for Xcode; wants MTL_CAPTURE_ENABLED=1 in the environment")
	pathVar(fs, &r.resume, "resume", "go on with the run in this `folder`; its settings are kept, and its checkpoint unless --ckpt_dir says where that is now")
	fs.BoolVar(&r.json, "json", false, "print events as JSON lines")
	pathVar(fs, &r.profile, "profile", "time every operation: a trace for ui.perfetto.dev to this `file`, a table beside it in .txt and at the end")
	r.ignoredFlags(fs)
	return fs
}

// quantFlags adds the flags that choose how an expert's weights are kept.
func (r *reference) quantFlags(fs *flag.FlagSet) {
	s := inference.FindSetting("quant")
	fs.Var(&settingFlag{s, r}, s.Name, s.Help+". Made at first use, or by 'gimbal quantize', and kept in the checkpoint's folder "+
		weights.CacheDir+", or else in the user's cache folder")
	fs.BoolVar(&r.double, "double_quant", false, "with --quant nf4: nf4-double")
}

// ignored are the flags of the reference that change nothing here, and why.
var ignored = map[string]string{
	"ulysses_size":              "one device runs the model",
	"t5_fsdp":                   "one device runs the model",
	"dit_fsdp":                  "one device runs the model",
	"t5_cpu":                    "the text encoder runs where the model runs, on the CPU",
	"convert_model_dtype":       "weights run in the type in which they are stored",
	"use_prompt_extend":         "prompts are not extended",
	"prompt_extend_method":      "prompts are not extended",
	"prompt_extend_model":       "prompts are not extended",
	"prompt_extend_target_lang": "prompts are not extended",
}

// ignoredFlags accepts them, so that the reference's command lines run as they are.
func (r *reference) ignoredFlags(fs *flag.FlagSet) {
	fs.IntVar(&r.ulysses, "ulysses_size", 1, "ignored `number`: "+ignored["ulysses_size"])
	for _, name := range []string{"t5_fsdp", "dit_fsdp", "t5_cpu", "convert_model_dtype", "use_prompt_extend"} {
		fs.Bool(name, false, "ignored: "+ignored[name])
	}
	for _, name := range []string{"prompt_extend_method", "prompt_extend_model", "prompt_extend_target_lang"} {
		fs.String(name, "", "ignored `text`: "+ignored[name])
	}
}

// complete checks what the flags say and turns it into the job, over what the checkpoint's
// recipe recommends. Missing settings are mistakes unless the job is only planned.
func (r *reference) complete(planned bool) error {
	if !slices.Contains(tasks, r.task) {
		return usagef("--task %s: want %s", r.task, strings.Join(tasks, " or "))
	}
	if r.resume != "" {
		return nil // the run's own settings count
	}
	if slices.Contains(r.given, "resume") {
		return usagef("--resume: the name is empty; want the folder of a run")
	}
	if c := r.checkpoint(); c.Dir == "" && c.Parts == (weights.Parts{}) && r.dims == (weights.Dims{}) {
		return usagef("--ckpt_dir: none given; name the folder of the checkpoint, a file of it, or its parts by --high_noise and the like, or use 'gimbal demo'")
	}
	if r.dims == (weights.Dims{}) {
		recipe, err := engine.RecipeOf(r.checkpoint())
		if err != nil {
			return err
		}
		r.job.Recipe = recipe
		if _, file := engine.Distilled(r.checkpoint(), recipe); file != "" {
			r.noteFewSteps(file)
		}
		if small, _ := engine.FindVariant("v2-1.3b-fast"); r.task == smallTask {
			r.job.Shift = small.Recipe.Shift
		}
	}
	return r.settle(planned)
}

// settle makes the job of the flags, over a recipe.
func (r *reference) settle(planned bool) error {
	r.suitLoRAs()
	mode := r.job.Causal.Mode
	wrong := []error{r.applySize(), r.applyEnvironment(), r.applyTyped(), r.applyActions(), r.nameVideo()}
	if asked := cmp.Or(r.job.Causal.Mode, r.mode); mode == "" && asked != "" {
		if err := r.openModel(); err != nil {
			return err
		}
		return usagef("--infer_mode %s: the checkpoint's model is not causal, but makes its videos in one go: use 'gimbal generate' without that flag, or name the folder of another model", asked)
	}
	_, err := engine.Validate(r.job)
	for _, e := range inference.SettingErrors(err) {
		if !planned || e.Mistake != inference.Missing {
			wrong = append(wrong, e)
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return usageError{err}
	}
	r.noteUnused()
	if planned {
		return nil
	}
	return r.makeSaveDir()
}

// openModel says what is wrong with a checkpoint that is read here, whatever its model.
func (r *reference) openModel() error {
	if r.server != "" || r.dims != (weights.Dims{}) {
		return nil
	}
	c := r.checkpoint()
	c.Model = ""
	model, err := c.Open()
	if err == nil {
		err = model.Close()
	}
	return err
}

// noteUnused names the flags that change nothing for the model at hand.
func (r *reference) noteUnused() {
	var flags []string
	for _, t := range r.typed {
		if !t.Applies(r.job) {
			flags = append(flags, "--"+t.Name)
		}
	}
	if len(flags) > 0 {
		r.notes = append(r.notes, fmt.Sprintf("of no use to this model, %s: %s", cmp.Or(r.job.Causal.Mode, "which makes its videos in one go"), strings.Join(flags, ", ")))
	}
}

// checkpoint is what the flags say of the checkpoint, before its recipe is read.
func (r *reference) checkpoint() weights.Checkpoint {
	c := weights.Checkpoint{Dir: r.ckptDir, Model: r.mode}
	var said inference.Job
	for _, t := range r.typed {
		switch t.Name {
		case "infer_mode", "assets_dir", "high_noise", "low_noise", "text_encoder", "vae", "tokenizer":
			t.Set(&said, t.text) // applyTyped says what is wrong
		}
	}
	c.Assets, c.Model, c.Parts = said.Assets, cmp.Or(said.Causal.Mode, c.Model), weights.Parts(said.Parts)
	return c
}

// suitLoRAs takes the settings of the LoRAs that are distilled to a few steps, for which
// those of the checkpoint are wrong.
func (r *reference) suitLoRAs() {
	var list []inference.LoRA
	for _, t := range r.typed {
		if l, err := inference.ParseLoRA(t.text); t.Name == "lora" && err == nil { // applyTyped says what is wrong
			list = append(list, l)
		}
	}
	few, file, ok := inference.NewLoRAs(list...).FewSteps(r.job.Recipe)
	if !ok {
		return
	}
	r.job.Recipe = few
	r.noteFewSteps(file)
}

// noteFewSteps says which settings are taken for a file that is distilled to a few steps.
func (r *reference) noteFewSteps(file string) {
	var words []string
	for _, name := range []string{"sample_steps", "high_steps", "sample_solver", "sample_shift", "sample_guide_scale", "boundary"} {
		words = append(words, "--"+name+" "+inference.FindSetting(name).Text(r.job))
	}
	r.notes = append(r.notes, fmt.Sprintf("%s is distilled to a few steps by its name; unless said otherwise: %s", filepath.Base(file), strings.Join(words, " ")))
}

func (r *reference) applySize() error {
	area, ok := sizes[strings.NewReplacer("x", "*", "X", "*", "×", "*", " ", "").Replace(r.size)]
	if !ok {
		return fmt.Errorf("--size %s: want 480*832, 832*480, 720*1280 or 1280*720, or any area with --max_area", r.size)
	}
	if slices.Contains(r.given, "size") {
		r.job.MaxArea = area // unless --max_area follows
	}
	return nil
}

// applyEnvironment reads the environment variables of the Python port.
func (r *reference) applyEnvironment() error {
	var wrong []error
	for _, s := range inference.Settings {
		if text := os.Getenv(s.Env); s.Env != "" && text != "" {
			wrong = append(wrong, s.Set(&r.job, text))
		}
	}
	return errors.Join(wrong...)
}

// applyTyped sets the settings to what the command line says.
func (r *reference) applyTyped() error {
	var wrong []error
	for _, t := range r.typed {
		wrong = append(wrong, r.apply(t))
	}
	if q := &r.job.Quant; r.double {
		if *q != inference.QuantNF4 && *q != inference.QuantNF4Double {
			wrong = append(wrong, fmt.Errorf("--double_quant: found --quant %v, want nf4", *q))
		}
		*q = inference.QuantNF4Double
	}
	return errors.Join(wrong...)
}

func (r *reference) apply(t typed) error {
	switch t.Name {
	case "lora": // one more
		t.text = t.Text(r.job) + "\n" + t.text
	case "base_seed":
		if n, err := strconv.ParseInt(t.text, 10, 64); err == nil && n < 0 {
			r.job.Seed = rand.Uint64N(math.MaxInt64)
			return nil
		}
	case "vae_tile":
		if r.tile = t.text == "auto"; r.tile {
			r.job.VAETile = 0
			return nil
		}
	}
	return t.Set(&r.job, t.text)
}

// applyActions makes the video as long as the action string, if there is one.
func (r *reference) applyActions() error {
	if r.job.ActionString == "" {
		return nil
	}
	keys, err := clip.ParseActions(r.job.ActionString)
	switch {
	case err != nil:
		return &inference.SettingError{Setting: "action_string", Mistake: inference.Unusable, Err: err}
	case !slices.Contains(r.given, "frame_num"):
		r.job.Frames = len(keys)
	case r.job.Frames != len(keys):
		return fmt.Errorf("--frame_num %d: want %d, the frames of --action_string and what makes them 4n+1, or no --frame_num", r.job.Frames, len(keys))
	}
	return nil
}

// nameVideo says where the video is written, by a free name if nothing else names it.
func (r *reference) nameVideo() error {
	r.named = r.job.Output == ""
	if r.named {
		r.job.Output = cmp.Or(r.name, video.DefaultName(r.task, r.size, strconv.Itoa(r.ulysses), r.job.Prompt, time.Now()))
	}
	if !filepath.IsAbs(r.job.Output) {
		r.job.Output = filepath.Join(r.saveDir, r.job.Output)
	}
	if !r.named {
		return nil
	}
	free, err := video.FreePath(r.job.Output, ".png", ".json", ".run")
	if err == nil {
		r.job.Output = free
	}
	return err
}

// makeSaveDir makes the folder of --save_dir.
func (r *reference) makeSaveDir() error {
	if r.saveDir == "" {
		return nil
	}
	if err := os.MkdirAll(r.saveDir, 0o755); err != nil {
		return fmt.Errorf("--save_dir: %w", output.Explain(r.saveDir, err))
	}
	return nil
}

// quantFlags adds the flags that choose how weights are kept to a command that has no other
// setting. The function that it returns says what they say.
func quantFlags(fs *flag.FlagSet) func() (inference.Quant, error) {
	r := &reference{}
	r.quantFlags(fs)
	return func() (inference.Quant, error) {
		if err := r.applyTyped(); err != nil {
			return "", usageError{err}
		}
		return r.job.Quant, nil
	}
}

// pathFlag is a flag of a file or folder.
type pathFlag string

func (p *pathFlag) String() string { return string(*p) }

func (p *pathFlag) Set(text string) error {
	*p = pathFlag(inference.Path(text))
	return nil
}

func pathVar(fs *flag.FlagSet, p *string, name, usage string) { fs.Var((*pathFlag)(p), name, usage) }

// size is a flag of bytes, such as 20000000000 or 20GB.
type size int64

// leastSize is less than anything that runs: who writes less left out the unit.
const leastSize = 1e6

// units are in the order in which one is the end of another.
var units = []struct {
	suffix string
	bytes  float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40},
	{"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"K", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
}

func (s *size) String() string { return strconv.FormatInt(int64(*s), 10) }

func (s *size) Set(text string) error {
	number, unit := strings.TrimSpace(strings.ToUpper(text)), 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(number, u.suffix); ok {
			number, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n >= 0 && n*unit < 1<<62) {
		return fmt.Errorf("%q, want a number of bytes, or of kB, MB or GB such as 20GB", text)
	}
	if bytes := n * unit; bytes > 0 && bytes < leastSize {
		likely := "GB"
		if n >= 1024 {
			likely = "MB"
		}
		plain := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
		return fmt.Errorf("%q, which is %s bytes; want at least 1MB: is it %s%s?", text, plain(bytes), plain(n), likely)
	}
	*s = size(n * unit)
	return nil
}
