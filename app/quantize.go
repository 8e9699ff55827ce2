package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/weights"
)

func runQuantize(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("quantize", flag.ContinueOnError)
	dir := fs.String("ckpt_dir", "", "`folder` of the checkpoint")
	asJSON := fs.Bool("json", false, "print events as JSON lines")
	var o weights.Quant
	quantFlags(fs, &o)
	if err := parse(fs, args, stdout, 0); err != nil {
		return err
	}
	switch {
	case *dir == "":
		return usagef("--ckpt_dir: none given; name the folder of the checkpoint")
	case !o.Enabled():
		return usagef("--quant: none given; want int8 or nf4")
	}
	if err := o.Validate(); err != nil {
		return usageError{err}
	}
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		return err
	}
	defer dev.Close()
	show := newReporter(*asJSON, stdout, stderr)
	defer show.close()
	p, err := inference.Load(ctx, inference.Options{Checkpoint: *dir, Device: dev, Quant: o}, func(e inference.Event) {
		show.event(e)
		if made, ok := e.(inference.Quantized); ok && !*asJSON {
			fmt.Fprintln(stdout, made.File)
		}
	})
	if err != nil {
		return err
	}
	return p.Close()
}
