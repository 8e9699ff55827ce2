package ui

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"gimbal/inference/engine"
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

func newPromptInput(f *form) *promptInput {
	p := &promptInput{entry: f.textField(studio.FieldPrompt), tokens: part.NewCaption("")}
	p.entry.SetPlaceHolder(tr("prompt.example"))
	p.view = measures.Section(tr("prompt"), p.tokens, p.entry.Entry, f.hint(studio.FieldPrompt, columnWidth))
	return p
}

func (p *promptInput) show(s studio.Snapshot) { showTokens(p.tokens, s.Form.Tokens) }

// showTokens says how much of what the model reads a text takes.
func showTokens(t *part.Text, n engine.Tokens) {
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
