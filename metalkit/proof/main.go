package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/weights"
	"gimbal/metalkit"
)

// stages are what can be run, by name.
var stages = map[string]func(*proof) error{
	"block":     (*proof).block,
	"chunk":     (*proof).chunk,
	"expert":    (*proof).expert,
	"reuse":     (*proof).reuse,
	"pipeline":  (*proof).pipeline,
	"vae":       (*proof).vae,
	"attention": (*proof).attention,
	"speed":     (*proof).speed,
	"variants":  (*proof).variants,
	"leak":      (*proof).leak,
}

// proof is what all stages share.
type proof struct {
	ctx        context.Context
	dims       weights.Dims
	frames     []int
	height     int // of a frame, pixels
	width      int
	words      int // tokens of the prompt
	rows       int // of the products of stages speed and variants
	heads      int // of the attentions of stages attention and speed
	tokens     int // of these
	forms      []form
	chunks     []int    // of the VAE
	options    []string // that stage reuse switches off
	runs       int      // of a forward or the VAE; the last one's time counts
	repeats    int      // of stage leak
	fixed      bool     // variants are not timed
	checkpoint string   // whose text encoder the pipeline uses
	work       string   // folder of weights, inputs, outputs and rows
	stage      string
}

// form is how a model's weights are kept, and in what products are computed.
type form struct {
	weights string // f32, bf16 or a quantised weights.Format
	compute device.DType
}

func (f form) String() string { return f.weights + "-" + strings.ToLower(f.compute.String()) }

// Row is one result. What does not apply is left out.
type Row struct {
	Stage    string             `json:"stage"`
	Who      string             `json:"who"` // gimbal or torch
	Case     string             `json:"case"`
	Weights  string             `json:"weights,omitempty"`
	Compute  string             `json:"compute,omitempty"`
	Frames   int                `json:"frames,omitempty"`
	Tokens   int                `json:"tokens,omitempty"`
	Seconds  float64            `json:"seconds,omitempty"` // the fastest run's
	TFLOPS   float64            `json:"tflops,omitempty"`  // per second
	Peak     int64              `json:"peak,omitempty"`    // bytes
	Planned  int64              `json:"planned,omitempty"` // bytes
	Error    *float64           `json:"error,omitempty"`   // relative L2
	Bound    float64            `json:"bound,omitempty"`   // of error
	Values   map[string]float64 `json:"values,omitempty"`
	Sizes    []float64          `json:"sizes,omitempty"` // root mean squares of the residual stream, by block
	Device   string             `json:"device,omitempty"`
	Finished time.Time          `json:"finished"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := start(ctx, os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "proof:", err)
		}
		os.Exit(1)
	}
}

// start runs the stages that args name.
func start(ctx context.Context, args []string) error {
	p := &proof{ctx: ctx, dims: weights.LingBotWorld}
	fs := flag.NewFlagSet("proof", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: proof [flags] STAGE...\nstages:", strings.Join(slices.Sorted(maps.Keys(stages)), ", "))
		fs.PrintDefaults()
	}
	fs.IntVar(&p.dims.Dim, "dim", p.dims.Dim, "`channels` of an expert's residual stream")
	fs.IntVar(&p.dims.FFN, "ffn", p.dims.FFN, "`channels` of its feed-forward's hidden layer")
	fs.IntVar(&p.dims.Heads, "model_heads", p.dims.Heads, "`heads` of its attentions")
	fs.IntVar(&p.dims.Layers, "layers", p.dims.Layers, "`blocks` of it, but for the stages of one block")
	fs.IntVar(&p.dims.VAE, "vae", p.dims.VAE, "`channels` of the VAE's first level")
	fs.IntVar(&p.dims.Text, "text", p.dims.Text, "`channels` of the text contexts, but for the pipeline's")
	fs.IntVar(&p.height, "height", 480, "`pixels` of a frame's height")
	fs.IntVar(&p.width, "width", 832, "`pixels` of a frame's width")
	fs.IntVar(&p.words, "words", 300, "`tokens` of the prompt")
	fs.IntVar(&p.rows, "rows", 17160, "`rows` of the products of stages speed and variants")
	fs.IntVar(&p.heads, "heads", 4, "`heads` of the attentions of stages attention and speed")
	fs.IntVar(&p.tokens, "tokens", 32760, "their `tokens`")
	fs.StringVar(&p.checkpoint, "checkpoint", "assets/demo", "`folder` of the checkpoint whose text encoder the pipeline uses")
	fs.StringVar(&p.work, "work", "", "`folder` of weights, inputs, outputs and rows")
	fs.IntVar(&p.runs, "runs", 4, "`times` that a forward or the VAE runs, of which the second and third choose variants; the last one's time counts")
	fs.IntVar(&p.repeats, "repeats", 10, "`times` that stage leak does everything")
	fs.BoolVar(&p.fixed, "fixed", false, "time no variants, which takes longer than a single run of large operations")
	frames := fs.String("frames", "5", "`list` of lengths of clips")
	chunks := fs.String("chunks", "1,2,4,0", "`list` of latent frames that the VAE decodes at once, 0 for all")
	forms := fs.String("forms", "f32:f32,bf16:bf16,int8:bf16,nf4:bf16", "`list` of WEIGHTS:COMPUTE")
	options := fs.String("options", "camera,cross_attention,time,padding", "`list` of what stage reuse leaves out")
	if err := fs.Parse(args); err != nil {
		return err
	}
	var errs [3]error
	p.frames, errs[0] = numbers(*frames)
	p.chunks, errs[1] = numbers(*chunks)
	p.forms, errs[2] = parseForms(*forms)
	p.options = strings.Split(*options, ",")
	if err := errors.Join(errs[:]...); err != nil {
		return err
	}
	if p.work == "" || fs.NArg() == 0 {
		fs.Usage()
		return errors.New("want -work FOLDER and a stage")
	}
	for _, stage := range fs.Args() {
		if err := p.run(stage); err != nil {
			return fmt.Errorf("%s: %w", stage, err)
		}
	}
	return nil
}

func (p *proof) run(stage string) error {
	f, ok := stages[stage]
	if !ok {
		return errors.New("no such stage")
	}
	p.stage = stage
	return errors.Join(os.MkdirAll(p.work, 0o777), f(p))
}

func numbers(list string) (all []int, err error) {
	for word := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}

func parseForms(list string) (all []form, err error) {
	for word := range strings.SplitSeq(list, ",") {
		kept, compute, _ := strings.Cut(word, ":")
		dtype, ok := device.ParseDType(strings.ToUpper(compute))
		if !ok || kept != "f32" && kept != "bf16" && weights.Format(kept).OnDevice() == device.Dense {
			return nil, fmt.Errorf("%q, want f32, bf16 or a quantised format, a colon, and f32, f16 or bf16", word)
		}
		all = append(all, form{kept, dtype})
	}
	return all, nil
}

// open opens the device anew: peaks are counted from then on.
func (p *proof) open(compute device.DType) (device.Device, error) {
	return openDevice(metalkit.Options{Compute: compute, Tuning: p.file("tuning"), Fixed: p.fixed})
}

// file names a file of the working folder.
func (p *proof) file(name string) string { return filepath.Join(p.work, name) }

// add writes a row.
func (p *proof) add(r Row) error {
	r.Stage, r.Who, r.Finished = p.stage, "gimbal", time.Now().UTC()
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	fmt.Println(string(text))
	f, err := os.OpenFile(p.file("rows.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(append(text, '\n'))
	return errors.Join(err, f.Close())
}

// progress says what is going on, and since when.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05.0 ")+format+"\n", args...)
}
