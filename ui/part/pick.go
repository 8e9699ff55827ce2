package part

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/driver/desktop"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"
)

// Pick is an object that can be tapped, as a row of a list.
type Pick struct {
	widget.BaseWidget
	back    *Backdrop
	content fyne.CanvasObject
	tapped  func()
}

var _ desktop.Hoverable = (*Pick)(nil)

// NewPick returns a row that calls tapped.
func NewPick(content fyne.CanvasObject, tapped func()) *Pick {
	p := &Pick{back: Background("", "", 6), content: content, tapped: tapped}
	p.ExtendBaseWidget(p)
	return p
}

// Tapped implements fyne.Tappable.
func (p *Pick) Tapped(*fyne.PointEvent) { p.tapped() }

// MouseIn implements desktop.Hoverable.
func (p *Pick) MouseIn(*desktop.MouseEvent) { p.back.SetColors(theme.ColorNameHover, "") }

// MouseMoved implements desktop.Hoverable.
func (p *Pick) MouseMoved(*desktop.MouseEvent) {}

// MouseOut implements desktop.Hoverable.
func (p *Pick) MouseOut() { p.back.SetColors("", "") }

// CreateRenderer implements fyne.Widget.
func (p *Pick) CreateRenderer() fyne.WidgetRenderer {
	return widget.NewSimpleRenderer(container.NewStack(p.back, Inset(6, 6, 8, 8, p.content)))
}
