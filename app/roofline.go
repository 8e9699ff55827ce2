package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/vae"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
	"gimbal/metalkit"
)

// rooflineFrames are the lengths of clips, at 480x832, that the model is made for.
var rooflineFrames = []int{5, 41, 81}

// roofline writes what a step takes on a chip, or on all, as the kernels' plans of dispatches
// have it.
func roofline(ctx context.Context, name string, w io.Writer) error {
	chips := metalkit.Chips()
	if name != "all" {
		chip, ok := metalkit.FindChip(name)
		if !ok {
			return usagef("--roofline %s: no such chip; want all, or one of %s", name, strings.Join(listChips(), ", "))
		}
		chips = []metalkit.Chip{chip}
	}
	for _, chip := range chips {
		fmt.Fprintf(w, "%s: %d GPU cores at %d MHz, %.1f TFLOP/s, %.0f GB/s, %d MB of system-level cache\n",
			chip.Name, chip.Cores, chip.MHz, chip.FLOPS()/1e12, chip.Bandwidth/1e9, chip.Cache>>20)
		if s := chip.Speedup(); s > 1 {
			fmt.Fprintf(w, "  not counted: its Neural Accelerators, %.1f TFLOP/s in products of 16 bits\n", s*chip.FLOPS()/1e12)
		}
		for _, frames := range rooflineFrames {
			events, err := rooflineStep(ctx, chip, frames)
			if err != nil {
				return err
			}
			if err := writeRoofline(w, fmt.Sprintf("%d frames of 480x832, one step", frames), 2, events); err != nil {
				return err
			}
		}
		for _, c := range rooflineChunks() {
			if err := c.write(ctx, chip, w); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprint(w, `
A chunk of a causal model is four steps and the clean forward of its latent frames in a full
window, of the size that its makers recommend, and its camera branch; its decoding is told by itself.
A step of the others is two forwards at LingBot-World's real sizes, bf16 weights and products, a text of
512 tokens, everything exact reused, by the kernels that are taken without tuning. Seconds
are those at the chip's peak, of arithmetic or of memory, whichever is longer, with the
lanes that tiles and the last threadgroups leave idle: no kernel reaches them quite.
Moved is what comes from and goes to memory over the least; it counts on three quarters of
the cache for what threadgroups that run one after the other share, and on those that run
at once to read what they share together.
`)
	return err
}

func listChips() (names []string) {
	for _, c := range metalkit.Chips() {
		names = append(names, fmt.Sprintf("%q", c.Name))
	}
	return names
}

// rooflineStep plans one forward of a guided step, which the other one equals.
func rooflineStep(ctx context.Context, chip metalkit.Chip, frames int) ([]metalkit.Event, error) {
	dev, err := metalkit.OpenRoofline(chip, device.BF16)
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	expert := weights.LingBotWorld.DryExpert()
	model, err := wan.Load(ctx, dev, expert.Store, expert.Config)
	if err != nil {
		return nil, err
	}
	defer model.Close()
	session, err := model.NewSession(ctx, blankInput(model, frames, 480, 832))
	if err != nil {
		return nil, err
	}
	defer session.Close()
	dev.Take() // what is computed once
	if err := session.Velocity(ctx, nil, 0, 0, nil); err != nil {
		return nil, err
	}
	return dev.Take(), nil
}

// rooflineOf is a causal model whose chunk is planned.
type rooflineOf struct {
	title         string
	dims          weights.Dims
	steps, chunk  int // a chunk's, and its latent frames
	window, sink  int // latent frames
	height, width int // pixels
}

// rooflineChunks are the causal models by their makers' recipes, and the demo model by ours.
func rooflineChunks() (all []rooflineOf) {
	for _, name := range []string{"v2-1.3b-fast", "v2-14b-fast"} {
		v, _ := engine.FindVariant(name)
		all = append(all, rooflineOf{v.Title, v.Dims, v.Recipe.Steps, v.Recipe.Chunk, 18, 6, 480, 832})
	}
	demo := weights.Dims{Dim: 256, FFN: 768, Heads: 4, Layers: 8, VAE: 16, Text: 64, Causal: true}
	return append(all, rooflineOf{"the demo model", demo, 4, 2, 12, 2, 128, 208})
}

// write writes what a chunk takes once its window is full.
func (c rooflineOf) write(ctx context.Context, chip metalkit.Chip, w io.Writer) error {
	dev, err := metalkit.OpenRoofline(chip, device.BF16)
	if err != nil {
		return err
	}
	defer dev.Close()
	expert := c.dims.DryExpert()
	model, err := wan.Load(ctx, dev, expert.Store, expert.Config)
	if err != nil {
		return err
	}
	defer model.Close()
	in := blankInput(model, inference.Wan.Frames(c.chunk), c.height, c.width)
	in.AttentionType = device.BF16
	in.Cache = &wan.Cache{Frames: c.window, Sink: c.sink, Times: []float64{1, 0}}
	session, err := model.NewSession(ctx, in)
	if err != nil {
		return err
	}
	defer session.Close()
	for k := 0; k*in.F < c.window; k++ {
		if err := session.Chunk(ctx, nil, nil); err != nil {
			return err
		}
	}
	dev.Take() // until the window is full
	err = session.Chunk(ctx, nil, nil)
	for range c.steps {
		err = errors.Join(err, session.Velocity(ctx, nil, 1, 0, nil))
	}
	if err := errors.Join(err, session.Remember(ctx, nil, 0)); err != nil {
		return err
	}
	title := fmt.Sprintf("%s, a chunk of %d frames of %dx%d", c.title, in.F*inference.Wan.FrameStride, c.height, c.width)
	if err := writeRoofline(w, title, 1, dev.Take()); err != nil {
		return err
	}
	decoder, err := vae.Load(ctx, dev, c.dims.DryVAE(), vae.WanStatistics())
	if err != nil {
		return err
	}
	defer decoder.Close()
	d := decoder.NewDecoder(1)
	defer d.Close()
	for range 2 { // the first chunk is shorter
		dev.Take()
		if err := d.Decode(ctx, nil, in.F, in.H, in.W, func(int, []float32) error { return nil }); err != nil {
			return err
		}
	}
	return writeRoofline(w, title+", its decoding", 1, dev.Take())
}

// rooflineRow is all operations of one kind and size.
type rooflineRow struct {
	metalkit.Operation
	count int
}

// writeRoofline writes what events take, each so many times.
func writeRoofline(w io.Writer, what string, times int, events []metalkit.Event) error {
	type key struct {
		kind, kernel string
		sizes        [4]int
	}
	rows := map[key]rooflineRow{}
	all := rooflineRow{}
	for _, e := range events {
		for _, o := range e.Operations {
			k := key{o.Kind, o.Kernel, o.Sizes}
			rows[k] = rows[k].plus(o, times)
			all = all.plus(o, times)
		}
	}
	fmt.Fprintf(w, "\n%s: %.2f TFLOP, %.3f s at peak\n", what, float64(all.Least.FLOPs)/1e12, all.Seconds)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "count\tTFLOP\tleast GB\tmoved\toccupancy\tseconds\ttime %\t  operation")
	for _, r := range slices.SortedFunc(maps.Values(rows), func(a, b rooflineRow) int { return cmp.Compare(b.Seconds, a.Seconds) }) {
		fmt.Fprintf(t, "%d\t%.3f\t%.2f\t%.2f\t%.2f\t%.4f\t%.1f\t  %s %s\n", r.count, float64(r.Least.FLOPs)/1e12, float64(r.Least.Bytes)/1e9,
			float64(r.Moved)/float64(r.Least.Bytes), r.Occupancy, r.Seconds, 100*r.Seconds/all.Seconds, r.Kind, r.shape())
	}
	return t.Flush()
}

func (r rooflineRow) plus(o metalkit.Operation, times int) rooflineRow {
	sum := rooflineRow{o, r.count + times}
	n := int64(times)
	sum.Least = r.Least.Plus(device.Cost{FLOPs: n * o.Least.FLOPs, Bytes: n * o.Least.Bytes})
	sum.Moved = r.Moved + n*o.Moved
	sum.Seconds = r.Seconds + float64(times)*o.Seconds
	return sum
}

// shape is the row's sizes and kernel.
func (r rooflineRow) shape() string {
	s := ""
	for i, n := range r.Sizes {
		if n == 0 {
			break
		}
		if i > 0 {
			s += "x"
		}
		s += fmt.Sprint(n)
	}
	return s + " by " + r.Kernel
}
