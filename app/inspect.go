package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"gimbal/inference"
	"gimbal/inference/cpu"
)

func runInspect(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	fs := flag.NewFlagSet("inspect", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal inspect DIR\n\nDIR is a checkpoint or a camera action folder.")
	}
	if err := parse(fs, args, stdout, 1); err != nil {
		return err
	}
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		return err
	}
	defer dev.Close()
	return inference.Inspect(ctx, dev, fs.Arg(0), stdout)
}
