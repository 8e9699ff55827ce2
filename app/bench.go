package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/output"
	"gimbal/inference/video"
)

// benchmark is one of gimbal bench's, by its name.
type benchmark struct {
	name, about string
	flags       func(b *benchRun, fs *flag.FlagSet)
	run         func(b *benchRun, ctx context.Context) (*bench.Report, error)
}

var benchmarks = []benchmark{
	{"quantization", "weights as they are, in 4 and in 8 bits: memory, time, error", (*benchRun).quantizationFlags, (*benchRun).quantization},
	{"vae", "the VAE in chunks of latent frames: time, memory, frames", (*benchRun).vaeFlags, (*benchRun).vae},
	{"steps", "clips of several lengths: time per step, in all, memory", (*benchRun).stepsFlags, (*benchRun).steps},
	{"attention", "self-attention by length, chunk of queries and type", (*benchRun).attentionFlags, (*benchRun).attention},
}

// onTheirOwn are no part of the set of all: caches want a trained model and a picture that moves, and a
// calibration is kept.
var onTheirOwn = []benchmark{
	{"caches", "EasyCache, MagCache and TeaCache: time, PSNR, SSIM and motion against the run without", (*benchRun).cachesFlags, (*benchRun).caches},
	{"calibrate", "a run without a cache, which keeps what MagCache and TeaCache go by beside the checkpoint", (*benchRun).calibrateFlags, (*benchRun).calibrate},
}

// standardDims are the layers that plain gimbal bench measures: a few minutes on two
// cores.
const standardDims = "dim=1536,ffn=8960,heads=12,layers=2,vae=96,frames=5,height=240,width=416"

// benchRun is what the flags of a benchmark say.
type benchRun struct {
	options   bench.Options
	synthetic string
	ckptDir   string
	out       string
	device    deviceChoice
	image     string

	quants  words
	chunks  numbers
	frames  numbers
	tokens  numbers
	queries numbers
	dtypes  words
	quant   func() (inference.Quant, error)
	runs    int

	kinds      words // of caches to measure
	thresholds map[string]*words
	first      int
	most       int
	retention  float64
	teaModel   string
	recipe     bool // runs have the steps of the model's recipe

	job     inference.Job // of the flags; zeros for what the model's settings say
	stdout  io.Writer
	written []string
}

func runBench(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	b := &benchRun{stdout: stdout, runs: 1}
	b.options.Progress = func(text string) { fmt.Fprintln(stderr, text) }
	if len(args) > 0 && args[0] == "kernel" {
		return b.kernel(ctx, args[1:])
	}
	for _, m := range append(slices.Clone(benchmarks), onTheirOwn...) {
		if len(args) > 0 && args[0] == m.name {
			return b.one(ctx, m, args[1:])
		}
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		return usagef("bench: no benchmark %q; 'gimbal bench --help' lists them", args[0])
	}
	return b.standard(ctx, args)
}

// one runs one benchmark.
func (b *benchRun) one(ctx context.Context, m benchmark, args []string) error {
	fs := flag.NewFlagSet("bench "+m.name, flag.ContinueOnError)
	b.commonFlags(fs, "the demo model")
	m.flags(b, fs)
	if err := parse(fs, joinLists(fs, args), b.stdout); err != nil {
		return err
	}
	if err := b.complete(m.name); err != nil {
		return err
	}
	if err := b.measure(ctx, m); err != nil {
		return err
	}
	return b.close()
}

// standard runs all benchmarks: on the model that the flags name, or else on
// standardDims.
func (b *benchRun) standard(ctx context.Context, args []string) error {
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: gimbal bench [flags]\n       gimbal bench BENCHMARK [flags]\n\n"+
			"Without a BENCHMARK, a short set of all of them, into a folder to send in:\n")
		for _, m := range benchmarks {
			fmt.Fprintf(fs.Output(), "  %-13s %s\n", m.name, m.about)
		}
		fmt.Fprintln(fs.Output(), "\nOn their own:")
		for _, m := range onTheirOwn {
			fmt.Fprintf(fs.Output(), "  %-13s %s\n", m.name, m.about)
		}
		fmt.Fprintf(fs.Output(), "  %-13s %s; bench kernel OPERATION SIZES\n", "kernel", aboutKernel)
		fmt.Fprintln(fs.Output(), "\nflags:")
		fs.PrintDefaults()
	}
	b.commonFlags(fs, standardDims)
	chip := fs.String("roofline", "", "run nothing; write what a step takes at the peak of a `chip`, such as \"M3 Ultra\", or on all")
	if err := parse(fs, args, b.stdout); err != nil {
		return err
	}
	if *chip != "" {
		return roofline(ctx, *chip, b.stdout)
	}
	if b.synthetic == "" && b.ckptDir == "" {
		b.synthetic = standardDims
	}
	var names []string
	for _, m := range benchmarks {
		m.flags(b, flag.NewFlagSet("", flag.ContinueOnError)) // their defaults
		names = append(names, m.name)
	}
	b.frames = numbers{5, 9}
	if err := b.complete(names...); err != nil {
		return err
	}
	for _, m := range benchmarks {
		if err := b.measure(ctx, m); err != nil {
			return err
		}
	}
	return b.close()
}

// commonFlags adds the flags of all benchmarks, which measure what otherwise says
// where the flags name no model.
func (b *benchRun) commonFlags(fs *flag.FlagSet, otherwise string) {
	fs.StringVar(&b.synthetic, "synthetic", "", "layers of these `DIMS` with random weights instead of a checkpoint: "+bench.Grammar)
	pathVar(fs, &b.ckptDir, "ckpt_dir", "`folder` of the checkpoint to measure; without it and --synthetic, "+otherwise)
	pathVar(fs, &b.out, "out", "`folder` for the report, made of the time if not given")
	deviceFlags(fs, &b.device)
}

// runFlags are those of benchmarks that make videos.
func (b *benchRun) runFlags(fs *flag.FlagSet) {
	fs.IntVar(&b.job.Steps, "sample_steps", 0, "denoising `steps`; 2 with --synthetic, else the model's own number")
	fs.IntVar(&b.job.MaxArea, "max_area", 0, "area of a frame in `pixels`, without --synthetic")
	pathVar(fs, &b.image, "image", "`picture` to start from, without --synthetic; one of the demo's if not given")
}

func (b *benchRun) quantizationFlags(fs *flag.FlagSet) {
	b.runFlags(fs)
	b.quants = words{"none", "nf4", "int8"}
	fs.Var(&b.quants, "quant_types", "`kinds` of weights: none, nf4, nf4-double, int8")
	fs.IntVar(&b.job.Frames, "frame_num", 0, "`frames` of the video, without --synthetic")
}

func (b *benchRun) vaeFlags(fs *flag.FlagSet) {
	b.chunks = numbers{1, 2, 4, 0}
	fs.Var(&b.chunks, "chunk_sizes", "latent `frames` at once, 0 for all")
	fs.IntVar(&b.job.Frames, "frame_num", 0, "`frames` of the video, without --synthetic")
	fs.IntVar(&b.job.MaxArea, "max_area", 0, "area of a frame in `pixels`, without --synthetic")
	fs.IntVar(&b.runs, "runs", 1, "`times` that each is measured; the fastest counts")
}

func (b *benchRun) stepsFlags(fs *flag.FlagSet) {
	b.runFlags(fs)
	b.frames = numbers{5, 41, 81}
	fs.Var(&b.frames, "frames", "`lengths` of the clips, 4n+1 frames each")
	b.quant = quantFlags(fs)
}

func (b *benchRun) cachesFlags(fs *flag.FlagSet) {
	fs.IntVar(&b.job.Steps, "sample_steps", 24, "denoising `steps`")
	fs.IntVar(&b.job.Frames, "frame_num", 0, "`frames` of the video")
	fs.IntVar(&b.job.MaxArea, "max_area", 0, "area of a frame in `pixels`")
	pathVar(fs, &b.image, "image", "`picture` to start from; one of the demo's if not given")
	b.kinds = words{"easycache", "magcache", "teacache"}
	fs.Var(&b.kinds, "caches", "`caches` to measure")
	b.thresholds = map[string]*words{"easycache": {"0.02", "0.05", "0.1", "0.2"}, "magcache": {"0.06", "0.12"}, "teacache": {"0.1", "0.2"}}
	fs.Var(b.thresholds["easycache"], "thresholds", "`thresholds` of EasyCache")
	fs.IntVar(&b.first, "first", 6, "`steps` at the beginning that EasyCache always computes")
	fs.Var(b.thresholds["magcache"], "magcache_thresholds", "`thresholds` of MagCache")
	fs.IntVar(&b.most, "magcache_most", 2, "`passes` in a row that MagCache leaves out at most")
	fs.Float64Var(&b.retention, "magcache_retention", 0.1, "`share` of each expert's steps at the beginning that MagCache always computes")
	fs.Var(b.thresholds["teacache"], "teacache_thresholds", "`thresholds` of TeaCache")
	fs.StringVar(&b.teaModel, "teacache_model", "own", "`model` whose polynomial TeaCache goes by, as in --teacache; own for the checkpoint's calibration")
}

func (b *benchRun) calibrateFlags(fs *flag.FlagSet) {
	b.recipe = true
	fs.IntVar(&b.job.Steps, "sample_steps", 0, "denoising `steps`; the model's own number if not given, from which caches turn what they go by into any other")
	fs.IntVar(&b.job.Frames, "frame_num", 17, "`frames` of the video, of which what is kept depends little")
	fs.IntVar(&b.job.MaxArea, "max_area", 0, "area of a frame in `pixels`")
	pathVar(fs, &b.image, "image", "`picture` to start from; one of the demo's if not given")
}

func (b *benchRun) attentionFlags(fs *flag.FlagSet) {
	b.tokens, b.queries, b.dtypes = numbers{780, 1560, 3120}, numbers{0, 512}, words{"f32", "bf16", "f16"}
	fs.Var(&b.tokens, "lengths", "`tokens` that attend to each other")
	fs.Var(&b.queries, "attention_chunks", "`queries` at a time, 0 for all")
	fs.Var(&b.dtypes, "attention_dtypes", "`types` of queries, keys and values: f32, bf16, f16")
	fs.IntVar(&b.runs, "runs", 1, "`times` that each is measured; the fastest counts")
}

// complete turns the flags into options of the benchmarks that are called so.
func (b *benchRun) complete(names ...string) error {
	if b.synthetic != "" {
		if b.ckptDir != "" {
			return usagef("--synthetic and --ckpt_dir: want one of them")
		}
		d, err := bench.ParseDims(b.synthetic)
		if err != nil {
			return usagef("--synthetic: %w", err)
		}
		b.options.Dims = &d
	}
	if b.runs < 1 || b.job.Steps < 0 {
		return usagef("--runs and --sample_steps: want 1 or more")
	}
	b.openDevice()
	demo, err := unpackDemo()
	if err != nil {
		return err
	}
	b.options.Checkpoint = cmp.Or(b.ckptDir, demo.Checkpoint)
	if b.options.Job, err = b.settings(demo); err != nil {
		return err
	}
	return b.checkReport(names...)
}

// reportName is the file of a report's folder for people.
const reportName = "report.txt"

// checkReport makes sure that the reports can be written, and over nothing else.
func (b *benchRun) checkReport(names ...string) error {
	files := []output.File{{Setting: "out", Path: b.out, Folder: true}}
	for _, name := range names {
		files = append(files, bench.Files(b.out, name)...)
	}
	files = append(files, output.File{Setting: "out", Path: filepath.Join(b.out, reportName), Ours: func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && strings.HasPrefix(string(text), reportHead)
	}})
	return output.Check(files, []output.Input{
		{What: "the checkpoint", Path: b.options.Checkpoint, Whole: true},
		{What: "the picture that the videos start from", Path: b.options.Job.Image},
		{What: "the camera path", Path: b.options.Job.ActionPath},
	})
}

// aboutKernel is what gimbal bench kernel does.
const aboutKernel = "one operation by every variant of its kernel: time, share of the device's peak"

// kernel times one operation.
func (b *benchRun) kernel(ctx context.Context, args []string) error {
	s := bench.KernelSettings{}
	fs := flag.NewFlagSet("bench kernel", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), "usage: gimbal bench kernel OPERATION SIZES [flags]\n\nTimes %s.\nOperations and their sizes:\n  %s\n\nflags:\n",
			aboutKernel, strings.Join(bench.Operations(), "\n  "))
		fs.PrintDefaults()
	}
	fs.StringVar(&s.X, "x", "bf16", "`type` of inputs: f32, f16 or bf16")
	fs.StringVar(&s.Y, "y", "f32", "`type` of results")
	fs.StringVar(&s.Weights, "weights", "bf16", "`form` of the weights of linear and conv: f32, f16, bf16 or f8_e4m3, of linear also a quantised format such as int8, nf4, fp8 or q4_k")
	fs.IntVar(&s.Runs, "runs", 5, "`times` that each variant runs, after one that warms up; the fastest counts")
	pathVar(fs, &b.out, "out", "`folder` for the report, made of the time if not given")
	deviceFlags(fs, &b.device)
	operation := args
	for i, arg := range args {
		if strings.HasPrefix(arg, "-") {
			operation = args[:i]
			break
		}
	}
	if err := parse(fs, args[len(operation):], b.stdout); err != nil {
		return err
	}
	if len(operation) != 2 || s.Runs < 1 {
		return usagef("bench kernel: want an operation, its sizes and 1 or more --runs; 'gimbal bench kernel --help' lists them")
	}
	if err := s.Parse(operation[0], operation[1]); err != nil {
		return usageError{err}
	}
	b.openDevice()
	if err := b.checkReport("kernel"); err != nil {
		return err
	}
	if err := b.measure(ctx, benchmark{name: "kernel", run: func(b *benchRun, ctx context.Context) (*bench.Report, error) {
		return bench.Kernel(ctx, b.options, s, peakOf)
	}}); err != nil {
		return err
	}
	return b.close()
}

// openDevice has the options open the device of the flags, and names the report's folder.
func (b *benchRun) openDevice() {
	var once sync.Once
	say := func(text string) { once.Do(func() { b.options.Progress(text) }) } // though it is opened many times
	b.options.Open = func() (device.Device, error) { return b.device.open(say) }
	if b.out == "" {
		b.out = "gimbal-bench-" + time.Now().Format("20060102-150405")
		if free, err := video.FreePath(b.out); err == nil { // or checkReport says what is wrong
			b.out = free
		}
	}
}

// settings returns the job of a benchmark's runs: by the checkpoint's recipe, with the
// demo's picture and prompt.
func (b *benchRun) settings(demo assets.Demo) (inference.Job, error) {
	job, err := demoJob(demo)
	switch {
	case err != nil:
		return job, err
	case b.synthetic != "":
		job.Steps, job.Shift = 2, inference.DefaultRecipe().Shift
	case b.ckptDir != "":
		if job.Recipe, err = engine.ReadRecipe(b.ckptDir); err != nil {
			return job, err
		}
		if !b.recipe {
			job.Steps = 2
		}
		job.Frames = 5
		job.ActionPath = "" // which may be short
	}
	if b.image != "" {
		job.Image = b.image
	}
	for _, f := range []struct {
		setting  string
		from, to *int
	}{{"sample_steps", &b.job.Steps, &job.Steps}, {"frame_num", &b.job.Frames, &job.Frames}, {"max_area", &b.job.MaxArea, &job.MaxArea}} {
		if *f.from == 0 {
			continue
		}
		*f.to = *f.from
		if err := inference.FindSetting(f.setting).Check(job); err != nil {
			return job, usageError{err}
		}
	}
	return job, nil
}

func (b *benchRun) quantization(ctx context.Context) (*bench.Report, error) {
	var kinds []inference.Quant
	for _, word := range b.quants {
		var job inference.Job
		if err := inference.FindSetting("quant").Set(&job, word); err != nil {
			return nil, usagef("--quant_types: found %q, want kinds as of --quant", word)
		}
		kinds = append(kinds, job.Quant)
	}
	return bench.Quantization(ctx, b.options, kinds)
}

func (b *benchRun) vae(ctx context.Context) (*bench.Report, error) {
	return bench.VAE(ctx, b.options, b.chunks, b.runs)
}

func (b *benchRun) steps(ctx context.Context) (*bench.Report, error) {
	q, err := b.quant()
	if err != nil {
		return nil, err
	}
	for _, n := range b.frames {
		if err := inference.CheckFrames(n); err != nil {
			return nil, usageError{err}
		}
	}
	return bench.Steps(ctx, b.options, b.frames, q)
}

func (b *benchRun) caches(ctx context.Context) (*bench.Report, error) {
	if b.options.Dims != nil {
		return nil, usagef("--synthetic: a cache is measured on a trained model, as random weights move nothing")
	}
	var trials []bench.Trial
	for _, cache := range b.kinds {
		thresholds, ok := b.thresholds[cache]
		if !ok {
			return nil, usagef("--caches: %q, want easycache, magcache or teacache", cache)
		}
		for _, threshold := range *thresholds {
			trial := bench.Trial{Cache: cache, Value: threshold + "," + map[string]string{
				"easycache": fmt.Sprint(b.first), "magcache": fmt.Sprintf("%d,%g", b.most, b.retention), "teacache": b.teaModel,
			}[cache]}
			if err := b.checkTrial(trial, threshold); err != nil {
				return nil, err
			}
			trials = append(trials, trial)
		}
	}
	return bench.Caches(ctx, b.options, trials)
}

// checkTrial checks a cache's setting, and that it leaves something out.
func (b *benchRun) checkTrial(trial bench.Trial, threshold string) error {
	job, setting := b.options.Job, inference.FindSetting(trial.Cache)
	err := setting.Set(&job, trial.Value)
	if err == nil && job.Cache() != trial.Cache {
		err = &inference.SettingError{Setting: trial.Cache, Found: threshold, Want: "more than 0"}
	}
	if err == nil {
		err = setting.Check(job)
	}
	if err != nil {
		return usagef("the thresholds of %s and what goes with them: %w", trial.Cache, err)
	}
	return nil
}

func (b *benchRun) calibrate(ctx context.Context) (*bench.Report, error) {
	if b.options.Dims != nil {
		return nil, usagef("--synthetic: a calibration is of a checkpoint")
	}
	return bench.Calibrate(ctx, b.options)
}

func (b *benchRun) attention(ctx context.Context) (*bench.Report, error) {
	if slices.Contains(b.tokens, 0) {
		return nil, usagef("--lengths: found 0, want 1 or more tokens")
	}
	d := bench.Real
	if b.options.Dims != nil {
		d = *b.options.Dims
	}
	s := bench.AttentionSettings{Tokens: b.tokens, Chunks: b.queries, Heads: d.Heads, Head: d.Dim / d.Heads, Runs: b.runs}
	for _, word := range b.dtypes {
		dtype, ok := device.ParseDType(strings.ToUpper(word))
		if !ok {
			return nil, usagef("--attention_dtypes: %q, want f32, bf16 or f16", word)
		}
		s.DTypes = append(s.DTypes, dtype.String())
	}
	return bench.Attention(ctx, b.options, s)
}

// measure runs m and shows and keeps its report.
func (b *benchRun) measure(ctx context.Context, m benchmark) error {
	report, err := m.run(b, ctx)
	if err != nil {
		return fmt.Errorf("bench %s: %w", m.name, err)
	}
	text := reportText(report)
	fmt.Fprint(b.stdout, text)
	files, err := report.WriteFiles(b.out)
	if err != nil {
		return err
	}
	path := filepath.Join(b.out, reportName)
	all, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer all.Close()
	_, err = all.WriteString(text)
	b.written = append(b.written, files...)
	return err
}

// close says where the report is.
func (b *benchRun) close() error {
	_, err := fmt.Fprintf(b.stdout, "report: %s\n", b.out)
	return err
}
