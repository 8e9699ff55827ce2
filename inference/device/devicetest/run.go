package devicetest

import (
	"slices"

	"gimbal/inference/device"
)

// Options are the bounds of a device. An error is counted in units of the result
// plus the root mean square of all results; that of rounding a result to the type
// of its destination is allowed on top.
type Options struct {
	Product   float64 // of Linear, Attention and Conv; 0 stands for 4e-6, arithmetic in F32
	Pointwise float64 // of all other operations; 0 stands for 2e-6

	Parts []string // of the suite to run, such as "Linear"; none stands for all

	// Parallel leaves out the part Lost, where other devices work in this process at the same time:
	// a mapped file that is lost fails the work of all.
	Parallel bool
}

// Run checks dev, which it uses alone and leaves open, in a test. Check does outside of one.
func Run[R tester[R]](t R, dev device.Device, opts Options) { run(onTest[R]{t, t.Run}, dev, opts) }

func run(t T, dev device.Device, opts Options) {
	if opts.Product == 0 {
		opts.Product = 4e-6
	}
	if opts.Pointwise == 0 {
		opts.Pointwise = 2e-6
	}
	for _, part := range []struct {
		name string
		run  func(T, suite)
	}{
		{"Buffers", buffers},
		{"Submissions", submissions},
		{"Mistakes", mistakes},
		{"Linear", linear},
		{"Quantised", quantised},
		{"Attention", attention},
		{"Norm", norm},
		{"Rope", rope},
		{"Conv", conv},
		{"ConvFrames", convFrames},
		{"Unary", unary},
		{"Binary", binaryOps},
		{"GatedAdd", gatedAdd},
		{"Gather", gather},
		{"Move", move},
		{"Lost", lost},
	} {
		if len(opts.Parts) > 0 && !slices.Contains(opts.Parts, part.name) || opts.Parallel && part.name == "Lost" {
			continue
		}
		t.Run(part.name, func(t T) { part.run(t, suite{dev: dev, opts: opts}) })
	}
}

type suite struct {
	dev    device.Device
	opts   Options
	layout layout
}
