package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"time"

	"gimbal/app/internal/doctor"
	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
	"gimbal/inference/weights"
	"gimbal/metalkit"
)

// validation has Metal check every call and every access of memory, and end the process at a mistake
// (developer.apple.com/documentation/xcode/validating-your-apps-metal-api-usage and its page on shaders).
var validation = []string{"MTL_DEBUG_LAYER=1", "MTL_SHADER_VALIDATION=1"}

var doctorParts = []doctor.Part{
	{Name: "system", About: "the machine, the system, the devices", Limit: time.Minute, Run: examineSystem},
	{Name: "validation", About: "the GPU under Metal's validation of calls and memory", Env: validation, Limit: 20 * time.Minute, Run: examineValidation},
	{Name: "kernels", About: "every variant of the GPU's kernels against the CPU", Limit: 20 * time.Minute, Run: examineKernels},
	{Name: "gpu", About: "the GPU against loops in float64, in every type", Limit: 30 * time.Minute, Run: examineGPU},
	{Name: "cpu", About: "the CPU against loops in float64, in every type", Limit: 10 * time.Minute, Run: examineCPU},
	{Name: "reference", About: "a video of the demo model against PyTorch's, on each device", Limit: 10 * time.Minute, Run: examineReference},
	{Name: "speed", About: "a product, an attention, a convolution, and their share of the peak", Limit: 10 * time.Minute, Run: examineSpeed},
	{Name: "demo", About: "a demo video on the GPU against the same on the CPU", Limit: 20 * time.Minute, Run: examineDemo},
	{Name: "awake", About: "whether the machine can be kept awake", Limit: time.Minute, Run: examineAwake},
	{Name: "window", About: "the window, for a second", Limit: time.Minute, Run: examineWindow},
}

// faulty is a verdict of an error.
func faulty(err error) doctor.Verdict {
	if paused := (*inference.PausedError)(nil); errors.As(err, &paused) {
		err = paused.Err // nobody goes on with the run
	}
	return doctor.Verdict{Status: doctor.Failed, Text: errorText(err)}
}

func skipped(why string) doctor.Verdict { return doctor.Verdict{Status: doctor.Skipped, Text: why} }

// wrongs is a verdict of what was found wrong among all.
func wrongs(all int, what string, findings []string) doctor.Verdict {
	v := doctor.Verdict{Status: doctor.OK, Text: fmt.Sprintf("%d %s", all, what), Findings: findings}
	if len(findings) > 0 {
		first, _, _ := strings.Cut(findings[0], "\n")
		v.Status, v.Text = doctor.Failed, fmt.Sprintf("%d of %d %s are wrong; the first: %s", len(findings), all, what, first)
	}
	return v
}

// doctorOptions are how a user's GPU is opened, with what it says in the part's log.
func doctorOptions() metalkit.Options {
	return metalOptions(slog.New(slog.NewTextHandler(os.Stderr, nil)))
}

// openAsUsed opens the GPU with the tuner and the checks that a user has.
func openAsUsed() (device.Device, error) { return openMetal(doctorOptions()) }

// doctorGPU opens the GPU with options of its own; where there is none it has a verdict instead.
func doctorGPU(s *doctor.Session, compute device.DType) (device.Device, *doctor.Verdict) {
	s.Doing("open the GPU in %v", compute)
	opts := doctorOptions()
	opts.Compute, opts.Fixed = compute, true
	dev, err := openMetal(opts)
	if err == nil {
		return dev, nil
	}
	v := faulty(err)
	if noGPU(err) {
		v = skipped(errorText(err))
	}
	return nil, &v
}

// noGPU reports whether err says that there is no GPU where none has to be.
func noGPU(err error) bool { return errors.Is(err, device.ErrUnsupported) && !wantsGPU }

// closing closes dev, which may find something wrong itself.
func closing(dev device.Device, v *doctor.Verdict) {
	if err := dev.Close(); err != nil && v.Status == doctor.OK {
		*v = faulty(err)
	}
}

// examineSystem says what a report needs.
func examineSystem(_ context.Context, s *doctor.Session) doctor.Verdict {
	m := bench.ThisMachine()
	s.Printf("Gimbal %s, commit %s, built with %s for %s/%s\n", version, or(commit(), "not known"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	s.Printf("%s %s, %s, %d cores, %.1f GiB of memory, load %.1f\n", m.OS, m.Arch, or(m.CPU, "a processor that is not known"), m.Cores, float64(m.Memory)/(1<<30), m.Load[0])
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); ownVariable(name) {
			s.Printf("environment: %s\n", v)
		}
	}
	var found []string
	verdict := doctor.Verdict{Status: doctor.OK}
	for _, d := range []struct {
		name string
		open func() (device.Device, error)
	}{
		{"metal", openAsUsed},
		{"cpu", openCPU},
	} {
		s.Doing("open the device %s", d.name)
		dev, err := d.open()
		if err != nil {
			s.Printf("%s: %s\n", d.name, errorText(err))
			if d.name == "cpu" || !noGPU(err) {
				return faulty(fmt.Errorf("%s: %w", d.name, err))
			}
			continue
		}
		var out strings.Builder
		describe(&out, d.name, dev)
		s.Printf("%s", out.String())
		found = append(found, dev.Info().Name)
		for _, p := range dev.Describe() {
			if p.Name == device.SwitchedOff {
				verdict.Findings = append(verdict.Findings, "switched off on this machine: "+p.Value)
			}
		}
		closing(dev, &verdict)
	}
	if len(verdict.Findings) > 0 {
		verdict.Status = doctor.Failed
	}
	if verdict.Text == "" {
		verdict.Text = fmt.Sprintf("%s; %s, %s", strings.Join(found, " and "), m.OS, m.Arch)
	}
	return verdict
}

// ownVariable reports whether an environment variable says how Gimbal or the GPU works.
func ownVariable(name string) bool {
	for _, prefix := range []string{"GIMBAL_", "MTL_", "METAL_", "AGX_", "OPENBLAS_", "VECLIB_", "OMP_", "GOMAXPROCS", "GODEBUG", "GOGC", "GOMEMLIMIT"} {
		if strings.HasPrefix(name, prefix) && name != "GIMBAL_DOCTOR_PART" {
			return true
		}
	}
	return false
}

// examineValidation runs operations of every kind, of all shapes.
func examineValidation(ctx context.Context, s *doctor.Session) doctor.Verdict {
	if runtime.GOOS != "darwin" {
		return skipped("Metal's validation is a part of macOS")
	}
	dev, none := doctorGPU(s, device.BF16)
	if none != nil {
		return *none
	}
	return ofSuite(suite(ctx, s, dev, devicetest.Options{Product: narrowBound, Parts: []string{
		"Linear", "Quantised", "Attention", "Norm", "Rope", "Conv", "ConvFrames", "Unary", "Binary", "GatedAdd", "Gather", "Move"}}))
}

// What the suite allows products: in F32 the kernels add in order, so that rounding walks further
// than in a sum of pairs; in BF16 both factors are rounded to 2^-8.
const (
	wideBound   = 8e-6
	narrowBound = 20.0 / (1 << 8)
)

// suite runs the conformance suite, and closes dev.
func suite(ctx context.Context, s *doctor.Session, dev device.Device, opts devicetest.Options) (cases int, findings []string, err error) {
	name := dev.Info().Name
	if t := dev.Info().ComputeType; t != 0 {
		name += " in " + t.String()
	}
	result, err := devicetest.Check(ctx, dev, opts, func(part string) { s.Doing("%s on %s", part, name) })
	for _, f := range result.Failures {
		findings = append(findings, fmt.Sprintf("%s, %s: %s", name, f.Case, f.Text))
		s.Printf("%s: %s\n", f.Case, f.Text)
	}
	return result.Cases, findings, errors.Join(err, dev.Close())
}

// ofSuite is the verdict of what suite found.
func ofSuite(cases int, findings []string, err error) doctor.Verdict {
	if err != nil {
		return doctor.Verdict{Status: doctor.Failed, Text: errorText(fmt.Errorf("after %d cases: %w", cases, err)), Findings: findings}
	}
	return wrongs(cases, "cases", findings)
}

func examineGPU(ctx context.Context, s *doctor.Session) doctor.Verdict {
	var findings []string
	cases := 0
	for _, c := range []struct {
		compute device.DType
		bound   float64
	}{{device.F32, wideBound}, {device.BF16, narrowBound}} {
		dev, none := doctorGPU(s, c.compute)
		if none != nil {
			return *none
		}
		n, found, err := suite(ctx, s, dev, devicetest.Options{Product: c.bound})
		cases, findings = cases+n, append(findings, found...)
		if err != nil {
			return ofSuite(cases, findings, err)
		}
	}
	return ofSuite(cases, findings, nil)
}

func examineCPU(ctx context.Context, s *doctor.Session) doctor.Verdict {
	dev, err := openCPU()
	if err != nil {
		return faulty(err)
	}
	return ofSuite(suite(ctx, s, dev, devicetest.Options{}))
}

// examineKernels compares every variant of every kernel that the real model takes, in each form of
// its weights, with the CPU.
func examineKernels(ctx context.Context, s *doctor.Session) doctor.Verdict {
	var findings []string
	checked := 0
	for _, compute := range []device.DType{device.BF16, device.F32} {
		dev, none := doctorGPU(s, compute)
		if none != nil {
			return *none
		}
		n, found, err := checkKernels(ctx, s, dev, compute)
		checked += n
		findings = append(findings, found...)
		if err := errors.Join(err, dev.Close()); err != nil {
			return doctor.Verdict{Status: doctor.Failed, Text: errorText(err), Findings: findings}
		}
	}
	return wrongs(checked, "variants of kernels", findings)
}

func checkKernels(ctx context.Context, s *doctor.Session, dev device.Device, compute device.DType) (checked int, findings []string, err error) {
	ops, err := modelOperations(ctx, compute)
	if err != nil {
		return 0, nil, err
	}
	for _, op := range ops {
		s.Doing("%v in %v", op, compute)
		list, err := metalkit.SelfCheck(ctx, dev, op)
		for _, c := range list {
			name := strings.TrimSpace(c.Operation + " " + c.Variant)
			switch {
			case errors.Is(c.Err, device.ErrUnsupported):
				continue
			case c.Err != nil:
				findings = append(findings, fmt.Sprintf("%s in %v: %s", name, compute, errorText(c.Err)))
			case c.Wrong != "":
				findings = append(findings, fmt.Sprintf("%s in %v differs from the CPU %s", name, compute, c.Wrong))
			}
			checked++
		}
		if err != nil {
			return checked, findings, err
		}
	}
	for _, f := range findings {
		s.Printf("%s\n", f)
	}
	return checked, findings, nil
}

// modelOperations are the operations of LingBot-World, of each kind one: those of a block and of the
// VAE's decoder.
func modelOperations(ctx context.Context, compute device.DType) ([]device.Op, error) {
	dry, err := metalkit.OpenRoofline(metalkit.Chips()[0], compute)
	if err != nil {
		return nil, err
	}
	defer dry.Close()
	list := &lister{Device: dry, known: map[string]bool{}}
	d := weights.LingBotWorld
	d.Layers = 1
	if err := runBlank(ctx, list, d, 5, 480, 832); err != nil {
		return nil, err
	}
	return list.ops, nil
}

// lister is a device that keeps one of each operation.
type lister struct {
	device.Device
	known map[string]bool
	ops   []device.Op
}

func (l *lister) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return l.Device.Do(ctx, label, func(e device.Encoder) { f(listing{e, l}) })
}

type listing struct {
	device.Encoder
	to *lister
}

func (l listing) Record(op device.Op) {
	if name := op.String(); !l.to.known[name] {
		l.to.known[name] = true
		l.to.ops = append(l.to.ops, op)
	}
	l.Encoder.Record(op)
}
