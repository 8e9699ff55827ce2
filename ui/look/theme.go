package look

import (
	_ "embed"
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

// Colours beside Fyne's.
const (
	ColorSidebar   fyne.ThemeColorName = "gimbalSidebar"   // behind the inputs
	ColorSecondary fyne.ThemeColorName = "gimbalSecondary" // text that explains
	ColorRaised    fyne.ThemeColorName = "gimbalRaised"    // a card, the chosen part of a control
	ColorSunken    fyne.ThemeColorName = "gimbalSunken"    // a well: behind pictures, tracks, controls
	ColorTint      fyne.ThemeColorName = "gimbalTint"      // the accent, faint
	ColorStage     fyne.ThemeColorName = "gimbalStage"     // behind a video on the full screen
)

// Sizes beside Fyne's.
const (
	SizeRadius fyne.ThemeSizeName = "gimbalRadius" // corners of cards and pictures
)

// Appearances that New takes.
const (
	System = ""
	Light  = "light"
	Dark   = "dark"
)

var (
	//go:embed font/Inter-Regular.otf
	regular []byte
	//go:embed font/Inter-SemiBold.otf
	semiBold []byte

	regularFont  = fyne.NewStaticResource("Inter-Regular.otf", regular)
	semiBoldFont = fyne.NewStaticResource("Inter-SemiBold.otf", semiBold)
)

// New returns the theme in an appearance; System follows the system's.
func New(appearance string) fyne.Theme { return look{appearance} }

type look struct{ appearance string }

func (l look) Color(name fyne.ThemeColorName, variant fyne.ThemeVariant) color.Color {
	if l.appearance == Dark || l.appearance == System && variant == theme.VariantDark {
		return dark.color(name, theme.VariantDark)
	}
	return light.color(name, theme.VariantLight)
}

func (look) Font(style fyne.TextStyle) fyne.Resource {
	switch {
	case style.Monospace, style.Symbol, style.Italic:
		return theme.DefaultTheme().Font(style)
	case style.Bold:
		return semiBoldFont
	}
	return regularFont
}

func (look) Icon(name fyne.ThemeIconName) fyne.Resource { return theme.DefaultTheme().Icon(name) }

var sizes = map[fyne.ThemeSizeName]float32{
	theme.SizeNameText:            13,
	theme.SizeNameCaptionText:     11,
	theme.SizeNameSubHeadingText:  16,
	theme.SizeNameHeadingText:     22,
	theme.SizeNamePadding:         4,
	theme.SizeNameInnerPadding:    6,
	theme.SizeNameLineSpacing:     3,
	theme.SizeNameInlineIcon:      16,
	theme.SizeNameInputBorder:     1,
	theme.SizeNameInputRadius:     6,
	theme.SizeNameSelectionRadius: 5,
	theme.SizeNameScrollBar:       10,
	theme.SizeNameScrollBarSmall:  3,
	theme.SizeNameScrollBarRadius: 3,
	SizeRadius:                    10,
}

func (look) Size(name fyne.ThemeSizeName) float32 {
	if s, ok := sizes[name]; ok {
		return s
	}
	return theme.DefaultTheme().Size(name)
}
