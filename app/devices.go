package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"text/tabwriter"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/metalkit"
)

// deviceChoice says which device runs the model, and how.
type deviceChoice struct {
	name    string // auto, metal or cpu
	compute string // what Metal multiplies in: bf16, f16 or f32
	capture string // file for a capture of Metal's, or nothing
	memory  size   // that the device may hand out; 0 for what it has
}

// deviceVariable is the default of --device.
const deviceVariable = "GIMBAL_DEVICE"

func defaultDevice() deviceChoice {
	return deviceChoice{name: cmp.Or(os.Getenv(deviceVariable), "auto"), compute: "bf16"}
}

// deviceFlags adds the flags that choose a device.
func deviceFlags(fs *flag.FlagSet, c *deviceChoice) {
	*c = defaultDevice()
	fs.StringVar(&c.name, "device", c.name, "`device` that runs the model: metal (the GPU of an Apple Silicon Mac), cpu, or auto for metal where it is there and else cpu")
	fs.StringVar(&c.compute, "compute", c.compute, "`type` in which metal multiplies: bf16 (as the reference), f16 or f32; sums are F32, and the CPU multiplies in F32")
	fs.Var(&c.memory, "memory_limit", "memory that the device may hand out, in `bytes`, or as 20GB; 0 for what it has")
}

// computeTypes are the values of --compute.
var computeTypes = map[string]device.DType{"bf16": device.BF16, "f16": device.F16, "f32": device.F32}

// capturedBlock is the label of the submission that --metal_capture captures: a block of
// the transformer, the first one that runs.
const capturedBlock = "blocks.0"

// open opens the device. Where auto takes the CPU, it says why.
func (c deviceChoice) open(say func(text string)) (device.Device, error) {
	compute, ok := computeTypes[c.compute]
	if !ok {
		return nil, usagef("--compute %s: want bf16, f16 or f32", c.compute)
	}
	switch c.name {
	case "cpu":
		if c.capture != "" {
			return nil, usagef("--metal_capture %s: the CPU has none; it goes with --device metal", c.capture)
		}
		return c.openCPU()
	case "metal", "auto":
	default:
		return nil, usagef("--device %s: want auto, metal or cpu", c.name)
	}
	opts := metalOptions(slog.Default())
	opts.Compute, opts.MemoryLimit = compute, int64(c.memory)
	opts.Capture, opts.CaptureLabel = c.capture, capturedBlock
	var err error
	if opts.HighWatermark, err = highWatermark(); err != nil {
		return nil, err
	}
	dev, err := openMetal(opts)
	if err == nil || c.name == "metal" || c.capture != "" {
		return dev, err
	}
	say(fmt.Sprintf("The model runs on the CPU: %v.", err))
	return c.openCPU()
}

// metalOptions are how the program opens a Mac's GPU: products in bf16, as the weights
// are, the choices of kernels in the user's cache, and kernels checked against the CPU.
func metalOptions(log *slog.Logger) metalkit.Options {
	o := metalkit.Options{Compute: device.BF16, Log: log, Oracle: openCPU}
	if cache, err := os.UserCacheDir(); err == nil {
		o.Tuning = filepath.Join(cache, "Gimbal", "tuning")
	}
	return o
}

// openCPU opens the CPU without a limit of memory of its own.
func openCPU() (device.Device, error) { return cpu.Open(cpu.Options{}) }

func (c deviceChoice) openCPU() (device.Device, error) {
	return cpu.Open(cpu.Options{MemoryLimit: int64(c.memory)})
}

// watermarkVariable stands for PyTorch's PYTORCH_MPS_HIGH_WATERMARK_RATIO.
const watermarkVariable = "GIMBAL_METAL_HIGH_WATERMARK_RATIO"

// mostShare is more than anybody means by a share: who writes as much means percent.
const mostShare = 10

// highWatermark reads the environment variable, in which 0 stands for no limit.
func highWatermark() (float64, error) {
	text := os.Getenv(watermarkVariable)
	if text == "" {
		return 0, nil
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share >= 0) || share >= mostShare {
		return 0, usagef("environment variable %s=%q: want a share of the GPU's recommended working set, such as 0.8, or 0 for no limit", watermarkVariable, text)
	}
	if share == 0 {
		share = math.Inf(1)
	}
	return share, nil
}

func runDevices(_ context.Context, args []string, stdout, _ io.Writer) error {
	fs := flag.NewFlagSet("devices", flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintln(fs.Output(), "usage: gimbal devices\n\nLists the devices that can run the model, the one that --device auto takes first, and their limits.")
	}
	if err := parse(fs, args, stdout); err != nil {
		return err
	}
	share, err := highWatermark()
	if err != nil {
		return err
	}
	for _, d := range []struct {
		name string
		open func() (device.Device, error)
	}{
		{"metal", func() (device.Device, error) {
			opts := metalOptions(slog.Default())
			opts.HighWatermark = share
			return openMetal(opts)
		}},
		{"cpu", openCPU},
	} {
		dev, err := d.open()
		if errors.Is(err, device.ErrUnsupported) {
			fmt.Fprintf(stdout, "%s\n  not available: %v\n", d.name, err)
			continue
		}
		if err != nil {
			return err
		}
		describe(stdout, d.name, dev)
		if err := dev.Close(); err != nil {
			return err
		}
	}
	return nil
}

// describe writes what there is to say of a device.
func describe(w io.Writer, name string, dev device.Device) {
	info := dev.Info()
	fmt.Fprintln(w, name)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(table, "  %s\t%s\n", name, value) }
	row("name", info.Name)
	row("unified memory", map[bool]string{true: "yes", false: "no"}[info.Unified])
	row("memory that a run may take", fmt.Sprintf("%.1f GiB", float64(info.WorkingSet)/(1<<30)))
	for _, p := range dev.Describe() {
		row(p.Name, p.Value)
	}
	table.Flush()
}
