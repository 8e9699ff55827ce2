package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"

	"gimbal/inference"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// adaptation is a job's LoRAs, open, and what they change in each expert. A nil one changes
// nothing.
type adaptation struct {
	files   []*weights.LoRA
	experts map[string]*weights.Adaptation // by folder
	sources []loraSource
	notices []inference.Notice
}

// loraSource says which LoRA a video comes from.
type loraSource struct {
	inference.LoRA
	Fingerprint string `json:"fingerprint"` // of its tensors, see weights.Store.Fingerprint
}

// LoRAFingerprint returns what tells the LoRA in a file from others: that of its tensors.
func LoRAFingerprint(path string) (string, error) {
	file, err := weights.OpenLoRA(path)
	if err != nil {
		return "", err
	}
	fingerprint, err := file.Fingerprint()
	return fingerprint, errors.Join(err, file.Close())
}

// openAdaptation opens the LoRAs that are used, for the experts of a layout. Errors are
// SettingErrors.
func openAdaptation(layout *weights.Layout, list inference.LoRAs) (*adaptation, error) {
	used := list.Used()
	if len(used) == 0 {
		return nil, nil
	}
	a := &adaptation{experts: map[string]*weights.Adaptation{}}
	var errs []error
	for _, l := range used {
		if err := a.open(layout, l); err != nil {
			errs = append(errs, &inference.SettingError{Setting: "lora", Mistake: inference.Unusable, Found: l.File, Err: err})
		}
	}
	if err := errors.Join(errs...); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *adaptation) open(layout *weights.Layout, l inference.LoRA) error {
	file, err := weights.OpenLoRA(l.File)
	if err != nil {
		return err
	}
	a.files = append(a.files, file)
	fingerprint, err := file.Fingerprint()
	if err == nil {
		err = checkLoRA(file, fingerprint)
	}
	if err != nil {
		return err
	}
	a.sources = append(a.sources, loraSource{l, fingerprint})
	strengths := map[string]float64{weights.HighNoise: l.High, weights.LowNoise: l.Low, weights.Causal: cmp.Or(l.Low, l.High)}
	var last weights.LoRAReport
	for _, name := range transformers {
		e, ok := layout.Experts[name]
		if !ok || strengths[name] == 0 {
			continue
		}
		sizes, _ := weights.ReadWanSizes(e.Store, e.Config) // whoever loads the expert says what is wrong
		if a.experts[name] == nil {
			a.experts[name] = &weights.Adaptation{}
		}
		if last, err = a.experts[name].Add(file, sizes, strengths[name]); err != nil {
			return err
		}
	}
	a.report(l.File, last)
	return nil
}

// checkedLoRAs are the fingerprints of the files whose contents were looked at.
var checkedLoRAs sync.Map

// checkLoRA looks at samples of a file's tensors, unless it has before.
func checkLoRA(file *weights.LoRA, fingerprint string) error {
	key := file.Path() + "\n" + fingerprint
	if _, seen := checkedLoRAs.Load(key); seen {
		return nil
	}
	err := file.CheckSamples(context.Background())
	if err == nil {
		checkedLoRAs.Store(key, nil)
	}
	return err
}

// report notes what of a file does not fit.
func (a *adaptation) report(path string, r weights.LoRAReport) {
	if len(r.Ignored) == 0 {
		return
	}
	text := fmt.Sprintf("%s: %d of its keys are not of this model and have no effect, such as %s", filepath.Base(path), len(r.Ignored), r.Ignored[0])
	if 2*r.Fit < r.Modules {
		text += fmt.Sprintf("; only %d of its %d modules fit: it may be of another model", r.Fit, r.Modules)
	}
	a.notices = append(a.notices, inference.Notice{About: inference.NoticeLoRA, Text: text})
}

// of returns what changes in an expert; nil for nothing.
func (a *adaptation) of(expert string) *weights.Adaptation {
	if a == nil {
		return nil
	}
	return a.experts[expert]
}

func (a *adaptation) close() error {
	if a == nil {
		return nil
	}
	var errs []error
	for _, file := range a.files {
		errs = append(errs, file.Close())
	}
	return errors.Join(errs...)
}

// adapt loads the experts with a run's LoRAs, which are then the pipeline's, in place of
// those that they have: little is read, as weights are mapped.
func (p *Pipeline) adapt(ctx context.Context, a *adaptation) error {
	if a == nil && p.adapted == nil {
		return nil
	}
	before := p.adapted
	p.adapted = a
	for name, m := range p.experts {
		m.Close() // first, as there may be no room for both
		e := p.layout.Experts[name]
		next, err := wan.LoadAdapted(ctx, p.dev, e.Store, e.Config, a.of(name))
		if err != nil {
			next, plain := wan.Load(context.WithoutCancel(ctx), p.dev, e.Store, e.Config) // the pipeline stays whole
			if plain == nil {
				p.experts[name] = next
			}
			return errors.Join(fmt.Errorf("%s: %w", name, err), plain)
		}
		p.experts[name] = next
	}
	return before.close()
}
