package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
)

func runQuantize(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("quantize", flag.ContinueOnError)
	var dir string
	pathVar(fs, &dir, "ckpt_dir", "`folder` of the checkpoint")
	asJSON := fs.Bool("json", false, "print events as JSON lines")
	quant := quantFlags(fs)
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	q, err := quant()
	switch {
	case dir == "":
		return usagef("--ckpt_dir: none given; name the folder of the checkpoint")
	case err != nil:
		return err
	case q == inference.QuantNone:
		return usagef("--quant: none given; want bf16, int8, nf4 or nf4-double")
	}
	show := newReporter(*asJSON, stdout, stderr)
	defer show.close()
	local := onCPU()
	defer local.Close()
	return local.Quantize(ctx, dir, q, func(e inference.Event) {
		show.event(e)
		if made, ok := e.(inference.Quantized); ok && !*asJSON {
			fmt.Fprintln(stdout, made.File)
		}
	})
}

// onCPU returns an engine for what needs no GPU.
func onCPU() *engine.Local {
	return engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) }, Log: slog.Default(),
	})
}
