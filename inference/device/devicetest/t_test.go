package devicetest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/device/devicetest"
)

// shifted computes everything right but Unary with SiLU, to whose results it adds a row of X.
type shifted struct{ device.Device }

type shiftedEncoder struct{ device.Encoder }

func (d shifted) Do(ctx context.Context, label string, f func(device.Encoder)) error {
	return d.Device.Do(ctx, label, func(e device.Encoder) { f(shiftedEncoder{e}) })
}

func (e shiftedEncoder) Record(op device.Op) {
	if u, ok := op.(device.Unary); ok && u.F == device.SiLU {
		u.F = device.GELU
		op = u
	}
	e.Encoder.Record(op)
}

func TestCheck(t *testing.T) {
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	var began []string
	parts := devicetest.Options{Parts: []string{"Unary", "Lost", "Submissions"}}
	result, err := devicetest.Check(t.Context(), dev, parts, func(part string) { began = append(began, part) })
	if err != nil || result.Cases < 20 || len(result.Failures) > 0 || strings.Join(began, " ") != "Submissions Unary Lost" {
		t.Errorf("the CPU: %d cases, failures %v, parts %v, %v", result.Cases, result.Failures, began, err)
	}
	wrong, err := devicetest.Check(t.Context(), shifted{dev}, parts, func(string) {})
	if err != nil || wrong.Cases != result.Cases || len(wrong.Failures) == 0 || len(wrong.Failures) == wrong.Cases {
		t.Errorf("a wrong SiLU: %d of %d cases fail, %v", len(wrong.Failures), wrong.Cases, err)
	}
	for _, f := range wrong.Failures {
		if !strings.HasPrefix(f.Case, "Unary/") || !strings.Contains(f.Text, "results off") {
			t.Errorf("a wrong SiLU: %+v", f)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	result, err = devicetest.Check(ctx, dev, devicetest.Options{}, func(string) { cancel() })
	if !errors.Is(err, context.Canceled) || len(result.Failures) > 0 {
		t.Errorf("cancelled: %d cases, failures %v, %v", result.Cases, result.Failures, err)
	}
}
