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

	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/device/profile"
)

// enough is how many seconds of runs are timed.
const enough = 0.5

// timed returns the fewest seconds of some runs of op after one that chooses a variant.
func (p *proof) timed(dev device.Device, op device.Op) (seconds float64, err error) {
	seconds = math.Inf(1)
	total := 0.0
	for run := 0; run < 3 || total < enough && run < 50; run++ {
		began := time.Now()
		if err := dev.Do(p.ctx, "speed", func(e device.Encoder) { e.Record(op) }); err != nil {
			return 0, err
		}
		if took := time.Since(began).Seconds(); run > 0 {
			seconds, total = min(seconds, took), total+took
		}
	}
	return seconds, nil
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

// timing is an operation to be timed.
type timing struct {
	name string
	bench.Operation
}

func (p *proof) clock(dev device.Device, f form, t timing) error {
	progress("%s in %v", t.name, f)
	operands := bench.NewOperands(p.ctx, dev)
	defer operands.Release()
	op, err := t.Make(operands)
	if err != nil {
		return err
	}
	seconds, err := p.timed(dev, op)
	if err != nil {
		return err
	}
	return p.add(Row{
		Case: t.name, Weights: f.weights, Compute: name(f.compute), Seconds: seconds, Device: dev.Info().Name,
		TFLOPS: float64(op.Cost().FLOPs) / seconds / 1e12, Values: map[string]float64{"clock_mhz": clockMHz(p.ctx)},
	})
}

// timings lists the operations of a form: products for all, the others where weights
// and products have one type.
func (p *proof) timings(f form) (list []timing) {
	compute := name(f.compute)
	for _, out := range []int{p.dims.FFN, p.dims.Dim} {
		list = append(list, timing{
			fmt.Sprintf("product %dx%dx%d", p.rows, p.dims.Dim, out),
			bench.Operation{Op: "linear", Sizes: []int{p.rows, p.dims.Dim, out}, X: compute, Y: "f32", Weights: f.weights},
		})
	}
	if f.weights != compute {
		return list
	}
	list = append(list, timing{fmt.Sprintf("attention %d tokens, %d heads of %d", p.tokens, p.heads, p.head()), p.selfAttention(compute)})
	for i, scale := range []int{1, 2, 4, 8} { // of the VAE's decoder, from the pixels up
		c := p.dims.VAE * min(4, 1<<i)
		h, w := p.height/scale, p.width/scale
		list = append(list, timing{
			fmt.Sprintf("convolution %d of %d, %dx%d", c, c, h, w),
			bench.Operation{Op: "conv", Sizes: []int{4, h, w, c, c}, X: "f32", Y: "f32", Weights: "f32"},
		})
	}
	return list
}

func (p *proof) head() int { return p.dims.Dim / p.dims.Heads }

// selfAttention is one of operands of a type.
func (p *proof) selfAttention(dtype string) bench.Operation {
	return bench.Operation{Op: "attention", Sizes: []int{p.heads, p.tokens, p.tokens, p.head()}, X: dtype, Y: "f32"}
}

// name is what forms and rows call a type.
func name(dtype device.DType) string { return strings.ToLower(dtype.String()) }

// variants times a product by every variant of the kernel, in each form's type.
func (p *proof) variants() error {
	for _, f := range p.forms {
		o := bench.Options{Open: func() (device.Device, error) { return p.open(f.compute) }, Progress: func(text string) { progress("%s", text) }}
		s := bench.KernelSettings{Runs: 3}
		s.Operation = bench.Operation{Op: "linear", Sizes: []int{p.rows, p.dims.Dim, p.dims.FFN}, X: name(f.compute), Y: "f32", Weights: f.weights}
		report, err := bench.Kernel(p.ctx, o, s, func(context.Context, device.Device) (profile.Peak, error) {
			return profile.Peak{FLOPS: math.Inf(1), Bandwidth: math.Inf(1)}, nil // nobody asks for the share
		})
		if err != nil {
			return fmt.Errorf("%v: %w", f, err)
		}
		for _, r := range report.Rows.([]bench.KernelRow) {
			err = errors.Join(err, p.add(Row{
				Case: fmt.Sprintf("product %dx%dx%d, %s", p.rows, p.dims.Dim, p.dims.FFN, r.Variant), Weights: f.weights, Compute: name(f.compute),
				Seconds: r.Seconds, TFLOPS: r.Rate / 1e3, Device: report.Device,
			}))
		}
		if err != nil {
			return err
		}
	}
	return nil
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
	operands := bench.NewOperands(p.ctx, dev)
	defer operands.Release()
	op, err := p.selfAttention("f32").Make(operands)
	if err != nil {
		return err
	}
	a := op.(device.Attention)
	seconds, err := p.timed(dev, a)
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
	compute := name(f.compute)
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
