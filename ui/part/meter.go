package part

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
)

// Meter is a thin bar that fills.
type Meter struct {
	widget.BaseWidget
	fraction float32
	ink      fyne.ThemeColorName
}

// NewMeter returns an empty meter.
func NewMeter() *Meter {
	m := &Meter{ink: theme.ColorNamePrimary}
	m.ExtendBaseWidget(m)
	return m
}

// Set fills the meter from 0 to 1.
func (m *Meter) Set(fraction float64, ink fyne.ThemeColorName) {
	f := min(max(float32(fraction), 0), 1)
	if m.fraction != f || m.ink != ink {
		m.fraction, m.ink = f, ink
		m.Refresh()
	}
}

// Fraction returns how full the meter is.
func (m *Meter) Fraction() float32 { return m.fraction }

// CreateRenderer implements fyne.Widget.
func (m *Meter) CreateRenderer() fyne.WidgetRenderer {
	r := &meterRenderer{meter: m, track: Background(look.ColorSunken, "", 2), bar: Background(m.ink, "", 2)}
	return r
}

type meterRenderer struct {
	meter      *Meter
	track, bar *Backdrop
}

func (r *meterRenderer) Destroy()                     {}
func (r *meterRenderer) MinSize() fyne.Size           { return fyne.NewSize(40, 4) }
func (r *meterRenderer) Objects() []fyne.CanvasObject { return []fyne.CanvasObject{r.track, r.bar} }

func (r *meterRenderer) Layout(size fyne.Size) {
	r.track.Resize(size)
	width := size.Width * r.meter.fraction
	if r.meter.fraction > 0 {
		width = max(width, size.Height)
	}
	r.bar.Resize(fyne.NewSize(width, size.Height))
}

func (r *meterRenderer) Refresh() {
	r.bar.SetColors(r.meter.ink, "")
	r.track.Refresh()
	r.bar.Refresh()
	r.Layout(r.meter.Size())
}
