package engine

import (
	"fmt"
	"strings"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// Alone returns the expert that does every step because the other one is missing, at a
// boundary that leaves the other one some. Both are "" for a model of two experts, or of one
// that is meant to do without another.
func (m Model) Alone(boundary float64) (expert, missing string) {
	there := map[string]bool{}
	for _, p := range m.Parts {
		there[p.Name] = p.Path != ""
	}
	return alone(there, boundary)
}

func alone(there map[string]bool, boundary float64) (expert, missing string) {
	for i, name := range experts {
		other := experts[1-i]
		needed := boundary < 1 // some of the schedule is the high-noise expert's
		if name == weights.LowNoise {
			needed = boundary > 0
		}
		if !there[name] && there[other] && needed {
			return other, name
		}
	}
	return "", ""
}

// modelNotices are what a user should know of a model before a run at a boundary.
func modelNotices(l *weights.Layout, boundary float64) (notices []inference.Notice) {
	there := map[string]bool{}
	for name := range l.Experts {
		there[name] = true
	}
	if expert, missing := alone(there, boundary); expert != "" {
		notices = append(notices, inference.Notice{About: inference.NoticeExpert,
			Text: fmt.Sprintf("one expert does every step: %s, as there is no %s in %s", expert, missing, l.Dir)})
	}
	if l.Twins() {
		notices = append(notices, inference.Notice{About: inference.NoticeExpert, Text: twinsText})
	}
	for _, p := range l.Parts() {
		if len(p.Unused) > 0 {
			notices = append(notices, inference.Notice{About: inference.NoticeTensors, Text: p.Name + ": " + unusedText(p.Unused)})
		}
		if len(p.Zeros) > 0 {
			notices = append(notices, inference.Notice{About: inference.NoticeTensors, Text: p.Name + ": " + zerosText(p.Zeros)})
		}
	}
	return notices
}

const twinsText = "the experts for high and for low noise hold the same weights: was one file fetched twice?"

// UnusedText counts the tensors that the model does not use, and names the first.
func (p Part) UnusedText() string { return unusedText(p.Unused) }

func unusedText(names []string) string {
	tensors := "tensors are"
	if len(names) == 1 {
		tensors = "tensor is"
	}
	return fmt.Sprintf("%d %s not used: %s", len(names), tensors, some(names))
}

// ZerosText counts the layers that hold zeros only, and names the first.
func (p Part) ZerosText() string { return zerosText(p.Zeros) }

func zerosText(names []string) string {
	layers := "layers of the camera's branch hold"
	if len(names) == 1 {
		layers = "layer of the camera's branch holds"
	}
	return fmt.Sprintf("%d %s zeros only, as if never trained: %s", len(names), layers, some(names))
}

// some names the first of names.
func some(names []string) string {
	const most = 3
	such := ""
	if len(names) > most {
		such = "such as "
	}
	return such + strings.Join(names[:min(most, len(names))], ", ")
}
