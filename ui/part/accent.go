package part

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"

	"gimbal/ui/look"
)

// Accented shows an object, a slider say, in the accent colour where Fyne has it in the
// colour of text.
func Accented(o fyne.CanvasObject) *container.ThemeOverride {
	return container.NewThemeOverride(o, accented{})
}

// accented is the theme of the moment with two colours changed.
type accented struct{}

func (accented) Color(name fyne.ThemeColorName, v fyne.ThemeVariant) color.Color {
	switch name {
	case theme.ColorNameForeground:
		name = theme.ColorNamePrimary
	case theme.ColorNameInputBackground:
		name = look.ColorSunken
	}
	return current().Color(name, v)
}

func (accented) Font(style fyne.TextStyle) fyne.Resource    { return current().Font(style) }
func (accented) Icon(name fyne.ThemeIconName) fyne.Resource { return current().Icon(name) }
func (accented) Size(name fyne.ThemeSizeName) float32       { return current().Size(name) }

func current() fyne.Theme { return fyne.CurrentApp().Settings().Theme() }
