package look

import (
	"image/color"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"
)

type palette map[fyne.ThemeColorName]color.NRGBA

func (p palette) color(name fyne.ThemeColorName, variant fyne.ThemeVariant) color.Color {
	if c, ok := p[name]; ok {
		return c
	}
	return theme.DefaultTheme().Color(name, variant)
}

// rgb is a colour as designers write it.
func rgb(hex uint32) color.NRGBA { return rgba(hex, 1) }

func rgba(hex uint32, alpha float64) color.NRGBA {
	return color.NRGBA{R: uint8(hex >> 16), G: uint8(hex >> 8), B: uint8(hex), A: uint8(alpha*255 + 0.5)}
}

var light = palette{
	theme.ColorNameBackground:          rgb(0xf7f7f9),
	ColorSidebar:                       rgb(0xefeff3),
	ColorRaised:                        rgb(0xffffff),
	ColorSunken:                        rgb(0xe1e1e8),
	ColorStage:                         rgb(0x101012),
	theme.ColorNameForeground:          rgb(0x1d1d1f),
	ColorSecondary:                     rgb(0x6a6a70),
	theme.ColorNamePlaceHolder:         rgb(0x8a8a91),
	theme.ColorNameDisabled:            rgb(0xa9a9b1),
	theme.ColorNameSeparator:           rgb(0xdbdbe1),
	theme.ColorNameInputBackground:     rgb(0xffffff),
	theme.ColorNameInputBorder:         rgb(0xd2d2d9),
	theme.ColorNameButton:              rgb(0xe2e2e8),
	theme.ColorNameDisabledButton:      rgb(0xe8e8ed),
	theme.ColorNameHover:               rgba(0x000000, 0.06),
	theme.ColorNamePressed:             rgba(0x000000, 0.12),
	theme.ColorNamePrimary:             rgb(0x5a57d9),
	theme.ColorNameHyperlink:           rgb(0x4b48c8),
	theme.ColorNameForegroundOnPrimary: rgb(0xffffff),
	ColorTint:                          rgba(0x5a57d9, 0.13),
	theme.ColorNameFocus:               rgba(0x5a57d9, 0.30),
	theme.ColorNameSelection:           rgba(0x5a57d9, 0.22),
	theme.ColorNameError:               rgb(0xc8102e),
	theme.ColorNameForegroundOnError:   rgb(0xffffff),
	theme.ColorNameWarning:             rgb(0x9a5b00),
	theme.ColorNameForegroundOnWarning: rgb(0xffffff),
	theme.ColorNameSuccess:             rgb(0x1c7c3c),
	theme.ColorNameForegroundOnSuccess: rgb(0xffffff),
	theme.ColorNameOverlayBackground:   rgb(0xffffff),
	theme.ColorNameMenuBackground:      rgb(0xffffff),
	theme.ColorNameHeaderBackground:    rgb(0xefeff3),
	theme.ColorNameShadow:              rgba(0x000000, 0.11),
	theme.ColorNameScrollBar:           rgba(0x000000, 0.28),
	theme.ColorNameScrollBarBackground: rgba(0x000000, 0),
}

var dark = palette{
	theme.ColorNameBackground:          rgb(0x1d1d1f),
	ColorSidebar:                       rgb(0x262629),
	ColorRaised:                        rgb(0x4b4b52),
	ColorSunken:                        rgb(0x323236),
	ColorStage:                         rgb(0x101012),
	theme.ColorNameForeground:          rgb(0xf2f2f5),
	ColorSecondary:                     rgb(0xa3a3ab),
	theme.ColorNamePlaceHolder:         rgb(0x85858d),
	theme.ColorNameDisabled:            rgb(0x6b6b73),
	theme.ColorNameSeparator:           rgb(0x38383c),
	theme.ColorNameInputBackground:     rgb(0x303034),
	theme.ColorNameInputBorder:         rgb(0x46464c),
	theme.ColorNameButton:              rgb(0x3d3d43),
	theme.ColorNameDisabledButton:      rgb(0x303034),
	theme.ColorNameHover:               rgba(0xffffff, 0.08),
	theme.ColorNamePressed:             rgba(0xffffff, 0.14),
	theme.ColorNamePrimary:             rgb(0x6f6cf0),
	theme.ColorNameHyperlink:           rgb(0xa19fff),
	theme.ColorNameForegroundOnPrimary: rgb(0xffffff),
	ColorTint:                          rgba(0x8d8aff, 0.20),
	theme.ColorNameFocus:               rgba(0x8d8aff, 0.35),
	theme.ColorNameSelection:           rgba(0x8d8aff, 0.30),
	theme.ColorNameError:               rgb(0xff6b64),
	theme.ColorNameForegroundOnError:   rgb(0x2b0503),
	theme.ColorNameWarning:             rgb(0xffb84d),
	theme.ColorNameForegroundOnWarning: rgb(0x2b1a00),
	theme.ColorNameSuccess:             rgb(0x4fd273),
	theme.ColorNameForegroundOnSuccess: rgb(0x03240d),
	theme.ColorNameOverlayBackground:   rgb(0x2a2a2e),
	theme.ColorNameMenuBackground:      rgb(0x2a2a2e),
	theme.ColorNameHeaderBackground:    rgb(0x262629),
	theme.ColorNameShadow:              rgba(0x000000, 0.40),
	theme.ColorNameScrollBar:           rgba(0xffffff, 0.30),
	theme.ColorNameScrollBarBackground: rgba(0xffffff, 0),
}
