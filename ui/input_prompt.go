package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// promptInput is the section of the prompt.
type promptInput struct {
	entry  *field
	tokens *part.Text
	view   fyne.CanvasObject
}

func newPromptInput(w *Window, h *hints) *promptInput {
	p := &promptInput{entry: newTextField(w.studio, studio.FieldPrompt, h), tokens: part.NewCaption("")}
	p.entry.SetPlaceHolder(tr("prompt.example"))
	p.view = measures.Section(tr("prompt"), p.tokens, p.entry.Entry, h.add(studio.FieldPrompt, columnWidth))
	w.names["prompt"] = p.entry.Entry
	return p
}

func (p *promptInput) show(s studio.Snapshot) {
	p.entry.show(s.Form)
	showTokens(p.tokens, s.Form.Tokens)
}

// showTokens says how much of what the model reads a text takes.
func showTokens(t *part.Text, n studio.Tokens) {
	text, color := "", look.ColorSecondary
	if n.Limit > 0 {
		text = tr("prompt.tokens", map[string]any{"Count": fmt.Sprintf("%d / %d", n.N, n.Limit)})
		if n.N > n.Limit {
			color = theme.ColorNameWarning
		}
	}
	t.SetText(text)
	t.SetColor(color)
}
