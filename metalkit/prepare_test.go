package metalkit

import (
	"testing"

	"gimbal/inference/device"
	"gimbal/inference/umt5"
	"gimbal/inference/weights"
)

// TestFirstStart counts the pipelines that the first run on a chip waits for until its first step
// is done: those of the fixed variants. The others are made beside it, and it says how far that is.
func TestFirstStart(t *testing.T) {
	drv := newClock(fastest(quick...))
	drv.compilers = 4
	dev, _ := tuned(t, drv, t.TempDir())
	var told []device.Preparation
	dev.OnPreparation(func(n device.Preparation) { told = append(told, n) })
	text, err := umt5.Load(t.Context(), hollowOver(dev), weights.LingBotWorld.DryText())
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close()
	if _, err := text.Encode(t.Context(), make([]int32, 512)); err != nil {
		t.Fatal(err)
	}
	if err := walkExpert(t.Context(), hollowOver(dev), 11); err != nil {
		t.Fatal(err)
	}
	dev.behind.Wait()
	made, beside := len(*drv.names), dev.prepare.made
	if waited := made - beside; waited > 40 || waited < 10 {
		t.Errorf("the run waits for %d of %d pipelines", waited, made)
	}
	for range 2 {
		if err := walkExpert(t.Context(), hollowOver(dev), 11); err != nil {
			t.Fatal(err)
		}
		dev.behind.Wait()
	}
	if len(*drv.runs) == 0 || len(told) < 3 {
		t.Fatalf("%d runs for timing, told %v", len(*drv.runs), told)
	}
	if err := dev.Do(t.Context(), "last", func(device.Encoder) {}); err != nil {
		t.Fatal(err)
	}
	if last := told[len(told)-1]; last.Done != last.Total {
		t.Errorf("in the end %+v", last)
	}
	t.Logf("waited for %d pipelines, %d were made beside", made-beside, beside)
}
