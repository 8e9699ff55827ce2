//go:build !darwin && !cuda

package metalkit

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/device/profile"
	"gimbal/metalkit/kernels"
)

// TestKernelBenchmark times operations by every variant that can run them.
func TestKernelBenchmark(t *testing.T) {
	for _, c := range []struct {
		op   bench.Operation
		want []string // variants
	}{
		{bench.Operation{Op: "linear", Sizes: []int{64, 64, 64}, X: "bf16", Y: "f32", Weights: "bf16"}, append([]string{
			"64x64x32x2", "64x64x32x4", "64x32x32x4", "32x32x32x4", "64x64x16x2", "64x64x16x4", "128x64x32x8", "128x64x32x4",
			"64x64x32x4_w", "128x64x32x8_w", "32x32x32x1_xw", "64x64x32x4_xw", "f32 64x64x32x4", "f32 64x32x32x4", "f32 64x64x32x2",
		}, matmul2dNames("linear_matmul2d", "matmul2d")...)},
		{bench.Operation{Op: "linear", Sizes: []int{20, 128, 24}, X: "f32", Y: "f32", Weights: "nf4"}, []string{
			"64x64x32x2", "64x64x32x4", "64x32x32x4", "32x32x32x4", "64x64x16x2", "64x64x16x4", "128x64x32x8", "128x64x32x4", "expand 128x64x32x8", "expand 64x64x32x4_w",
		}},
		{bench.Operation{Op: "linear", Sizes: []int{3, 64, 64}, X: "f32", Y: "f32", Weights: "f32"}, []string{""}},
		{bench.Operation{Op: "attention", Sizes: []int{2, 20, 40, 64}, X: "f32", Y: "f32"}, []string{"64x32x4", "64x64x4", "64x32x8"}},
		{bench.Operation{Op: "conv", Sizes: []int{1, 4, 4, 8, 8}, X: "bf16", Y: "f32", Weights: "f32"}, append([]string{
			"64x64x32x4", "64x32x32x4", "64x96x32x4", "128x32x32x4", "128x64x32x8", "32x32x32x4",
		}, matmul2dNames("conv_matmul2d", "matmul2d")...)},
		{bench.Operation{Op: "norm", Sizes: []int{4, 600}, X: "f32", Y: "bf16"}, []string{""}},
	} {
		t.Run(c.op.Op, func(t *testing.T) {
			o := bench.Options{
				Open:     func() (device.Device, error) { return openSoft(t, 2, false, Options{Compute: device.BF16}), nil },
				Progress: func(string) {},
			}
			peak := func(context.Context, device.Device) (profile.Peak, error) {
				return profile.Peak{FLOPS: 1e15, Bandwidth: 1e15}, nil
			}
			report, err := bench.Kernel(t.Context(), o, bench.KernelSettings{Operation: c.op, Runs: 1}, peak)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, row := range report.Rows.([]bench.KernelRow) {
				got = append(got, row.Variant)
				if row.Seconds <= 0 || row.Share <= 0 || row.Share > 1 {
					t.Errorf("%+v", row)
				}
			}
			slices.Sort(got)
			slices.Sort(c.want)
			if !slices.Equal(got, c.want) {
				t.Errorf("variants %q, want %q", got, c.want)
			}
		})
	}
}

// TestWithVariant runs what was asked for, and the device itself what it runs otherwise.
func TestWithVariant(t *testing.T) {
	dev := openTest(t, Options{Compute: device.BF16})
	x, w, y := allocMat(t, dev, device.F32, 64, 64), allocMat(t, dev, device.F32, 64, 64), allocMat(t, dev, device.F32, 64, 64)
	op := device.Linear{X: x, W: device.DenseWeight(w), Y: y}
	record := func(e device.Encoder) { e.Record(op) }
	for _, name := range dev.Variants(op) {
		if err := dev.WithVariant(op, name).Do(t.Context(), "test", record); err != nil {
			t.Fatal(err)
		}
		if got := dev.enc.plan[len(dev.enc.plan)-1].kernel; got != "linear_bf16_"+strings.TrimPrefix(name, "expand ") {
			t.Errorf("%s is run by %s", name, got)
		}
	}
	if err := dev.Do(t.Context(), "test", record); err != nil || dev.enc.plan[0].kernel != dev.variants.linear[0].kernel {
		t.Errorf("without a variant: %s, %v", dev.enc.plan[0].kernel, err)
	}
	defer func() {
		if recover() == nil {
			t.Error("there is a variant 1x1")
		}
	}()
	dev.WithVariant(op, "1x1")
}

// matmul2dNames lists the variants of the second source that take some types of weights, from the source.
func matmul2dNames(function, called string) (names []string) {
	for _, k := range kernels.Instances(function, "bfloat") {
		names = append(names, called+" "+strings.ReplaceAll(strings.Trim(fmt.Sprint(k.Sizes), "[]"), " ", "x"))
	}
	return names
}

var timeIt = regexp.MustCompile(`(?m)^// Time it: gimbal bench kernel (\w+) (\S+)`)

// TestHeaders wants every file of kernels to begin with its operation, where it is from, and
// a command that times it.
func TestHeaders(t *testing.T) {
	files, err := filepath.Glob("kernels/*.metal")
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		head, _, _ := strings.Cut(string(text), "#include")
		command := timeIt.FindStringSubmatch(head)
		if command == nil || !strings.Contains(head, "\n// Reference: ") {
			t.Errorf("%s begins with\n%s", file, head)
			continue
		}
		o := bench.Operation{X: "bf16", Y: "f32", Weights: "bf16"}
		if err := o.Parse(command[1], command[2]); err != nil || !strings.HasPrefix(filepath.Base(file), command[1]) {
			t.Errorf("%s: %s, %v", file, command[0], err)
		}
	}
}
