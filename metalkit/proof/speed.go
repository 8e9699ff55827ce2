package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"gimbal/inference/device"
)

// operands makes buffers on a device; the first error sticks.
type operands struct {
	ctx     context.Context
	dev     device.Device
	buffers []device.Buffer
	err     error
}

// alloc returns a buffer of normal values of a type, or of zeros for a seed of 0.
func (o *operands) alloc(dtype device.DType, seed uint64, shape ...int) device.Buffer {
	if o.err != nil {
		return nil
	}
	b, err := o.dev.Alloc(device.Desc{Label: "operand", DType: dtype, Shape: shape})
	if o.err = err; err != nil {
		return nil
	}
	o.buffers = append(o.buffers, b)
	if seed > 0 {
		o.err = o.fill(b, normals(seed, b.Desc().Len()))
	}
	return b
}

// fill writes values to b, in its type.
func (o *operands) fill(b device.Buffer, values []float32) error {
	if b.Desc().DType == device.F32 {
		return o.dev.Write(o.ctx, b, device.Bytes(values))
	}
	wide, err := o.dev.Alloc(device.Desc{Label: "wide", DType: device.F32, Shape: b.Desc().Shape})
	if err != nil {
		return err
	}
	defer wide.Release()
	return errors.Join(
		o.dev.Write(o.ctx, wide, device.Bytes(values)),
		o.dev.Do(o.ctx, "narrow", func(e device.Encoder) { e.Record(device.Move{X: device.AsMat(wide), Y: device.AsMat(b)}) }))
}

func (o *operands) mat(dtype device.DType, seed uint64, rows, cols int) (m device.Mat) {
	if b := o.alloc(dtype, seed, rows, cols); b != nil {
		m = device.AsMat(b)
	}
	return m
}

func (o *operands) frames(seed uint64, t, h, w, c int) (f device.Frames) {
	if b := o.alloc(device.F32, seed, t, h, w, c); b != nil {
		f = device.AsFrames(b)
	}
	return f
}

func (o *operands) release() {
	for _, b := range o.buffers {
		b.Release()
	}
}

// enough is how many seconds of runs are timed.
const enough = 0.5

// timed returns the fewest seconds of some runs after one that chooses a variant.
func (o *operands) timed(record func(device.Encoder)) (seconds float64, err error) {
	if o.err != nil {
		return 0, o.err
	}
	seconds = math.Inf(1)
	total := 0.0
	for run := 0; run < 3 || total < enough && run < 50; run++ {
		began := time.Now()
		if err := o.dev.Do(o.ctx, "speed", record); err != nil {
			return 0, err
		}
		if took := time.Since(began).Seconds(); run > 0 {
			seconds, total = min(seconds, took), total+took
		}
	}
	return seconds, nil
}

// timing is an operation to be timed.
type timing struct {
	name string
	make func(o *operands) (device.Cost, func(device.Encoder))
}

// speed times single operations at real sizes, in each form's type; PyTorch does the
// same ones.
func (p *proof) speed() error {
	for _, f := range p.forms {
		dev, err := p.open(f.compute)
		if err != nil {
			return err
		}
		for _, t := range p.timings(f) {
			if err = p.clock(dev, f, t); err != nil {
				err = fmt.Errorf("%s in %v: %w", t.name, f, err)
				break
			}
		}
		if err := errors.Join(err, dev.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (p *proof) clock(dev device.Device, f form, t timing) error {
	progress("%s in %v", t.name, f)
	o := &operands{ctx: p.ctx, dev: dev}
	defer o.release()
	cost, record := t.make(o)
	seconds, err := o.timed(record)
	if err != nil {
		return err
	}
	return p.add(Row{
		Case: t.name, Weights: f.weights, Compute: strings.ToLower(f.compute.String()), Seconds: seconds, Device: dev.Info().Name,
		TFLOPS: float64(cost.FLOPs) / seconds / 1e12, Values: map[string]float64{"clock_mhz": clockMHz(p.ctx)},
	})
}

// timings lists the operations of a form: products for all, the others where weights
// and products have one type.
func (p *proof) timings(f form) []timing {
	list := []timing{
		{fmt.Sprintf("product %dx%dx%d", p.rows, p.dims.Dim, p.dims.FFN), func(o *operands) (device.Cost, func(device.Encoder)) {
			return p.product(o, f, p.dims.Dim, p.dims.FFN)
		}},
		{fmt.Sprintf("product %dx%dx%d", p.rows, p.dims.Dim, p.dims.Dim), func(o *operands) (device.Cost, func(device.Encoder)) {
			return p.product(o, f, p.dims.Dim, p.dims.Dim)
		}},
	}
	if f.weights != strings.ToLower(f.compute.String()) {
		return list
	}
	list = append(list, timing{fmt.Sprintf("attention %d tokens, %d heads of %d", p.tokens, p.heads, p.head()), func(o *operands) (device.Cost, func(device.Encoder)) {
		a := p.selfAttention(o, f.compute)
		return a.Cost(), func(e device.Encoder) { e.Record(a) }
	}})
	for i, scale := range []int{1, 2, 4, 8} { // of the VAE's decoder, from the pixels up
		c := p.dims.VAE * min(4, 1<<i)
		h, w := p.height/scale, p.width/scale
		list = append(list, timing{fmt.Sprintf("convolution %d of %d, %dx%d", c, c, h, w), func(o *operands) (device.Cost, func(device.Encoder)) {
			conv := device.Conv{
				X: o.frames(1, 4, h, w, c), Y: o.frames(0, 4, h, w, c), W: o.mat(device.F32, 2, c, 27*c),
				KT: 3, KH: 3, KW: 3, StrideT: 1, Stride: 1, PadH: 1, PadW: 1,
			}
			conv.Prev = [2]device.Frames{o.frames(3, 1, h, w, c), o.frames(4, 1, h, w, c)}
			return conv.Cost(), func(e device.Encoder) { e.Record(conv) }
		}})
	}
	return list
}

func (p *proof) head() int { return p.dims.Dim / p.dims.Heads }

// product returns x·Wᵀ as the model has it: x in the type of the products.
func (p *proof) product(o *operands, f form, in, out int) (device.Cost, func(device.Encoder)) {
	l := device.Linear{X: o.mat(f.compute, 1, p.rows, in), Y: o.mat(device.F32, 0, p.rows, out)}
	l.W = device.Weight{Out: out, In: in}
	switch f.weights {
	case "int8":
		l.W.Format, l.W.Data, l.W.Scale = device.INT8, o.mat(device.I8, 0, out, in), o.mat(device.F32, 2, 1, out)
	case "nf4":
		l.W.Format, l.W.Block = device.NF4, 64
		l.W.Data, l.W.Code, l.W.Scale = o.mat(device.U8, 0, 1, out*in/2), o.mat(device.F32, 2, 1, 16), o.mat(device.F32, 3, 1, out*in/64)
	default:
		dtype, _ := device.ParseDType(strings.ToUpper(f.weights))
		l.W.Data = o.mat(dtype, 2, out, in)
	}
	if o.err != nil {
		return device.Cost{}, nil
	}
	return l.Cost(), func(e device.Encoder) { e.Record(l) }
}

func (p *proof) selfAttention(o *operands, dtype device.DType) device.Attention {
	cols := p.heads * p.head()
	return device.Attention{
		Q: o.mat(dtype, 1, p.tokens, cols), K: o.mat(dtype, 2, p.tokens, cols), V: o.mat(dtype, 3, p.tokens, cols),
		O: o.mat(device.F32, 0, p.tokens, cols), Heads: p.heads, Scale: float32(1 / math.Sqrt(float64(p.head()))),
	}
}

// attention keeps a self-attention's operands and result for PyTorch, in each form's
// type of products.
func (p *proof) attention() error {
	for i, f := range p.forms {
		dev, err := p.open(f.compute)
		if err != nil {
			return err
		}
		err = p.attend(dev, f, i == 0)
		if err := errors.Join(err, dev.Close()); err != nil {
			return fmt.Errorf("%v: %w", f, err)
		}
	}
	return nil
}

func (p *proof) attend(dev device.Device, f form, first bool) error {
	o := &operands{ctx: p.ctx, dev: dev}
	defer o.release()
	a := p.selfAttention(o, device.F32)
	seconds, err := o.timed(func(e device.Encoder) { e.Record(a) })
	if err != nil {
		return err
	}
	cols := p.heads * p.head()
	out := make([]float32, p.tokens*cols)
	if err := dev.Read(p.ctx, device.Bytes(out), a.O.Buf); err != nil {
		return err
	}
	if _, err := rms(out); err != nil {
		return err
	}
	compute := strings.ToLower(f.compute.String())
	if first {
		var qkv [3][]float32
		for i := range qkv {
			qkv[i] = normals(uint64(i+1), p.tokens*cols)
		}
		err = p.keep("attention-input.safetensors", tensor("q", qkv[0], p.tokens, p.heads, p.head()),
			tensor("k", qkv[1], p.tokens, p.heads, p.head()), tensor("v", qkv[2], p.tokens, p.heads, p.head()))
	}
	return errors.Join(err,
		p.keep("attention-output-"+compute+".safetensors", tensor("o", out, p.tokens, p.heads, p.head())),
		p.add(Row{
			Case: fmt.Sprintf("%d tokens, %d heads of %d", p.tokens, p.heads, p.head()), Compute: compute, Tokens: p.tokens,
			Seconds: seconds, TFLOPS: float64(a.Cost().FLOPs) / seconds / 1e12, Device: dev.Info().Name,
		}))
}

// clockMHz returns how fast the GPU's processors run now; 0 where nobody knows.
func clockMHz(ctx context.Context) float64 { return queried(ctx, "clocks.sm") }

// queried asks nvidia-smi.
func queried(ctx context.Context, what string) float64 {
	text, err := exec.CommandContext(ctx, "nvidia-smi", "--query-gpu="+what, "--format=csv,noheader,nounits", "--id=0").Output()
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return n
}
