package ui

import (
	"runtime/debug"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"

	"gimbal/assets"
	"gimbal/ui/look"
	"gimbal/ui/part"
)

// licences are what Gimbal is built of that the list of modules does not say.
const licences = `Inter — © The Inter Project Authors, SIL Open Font License 1.1
Material icons — © Google, Apache License 2.0
openh264 — © Cisco Systems, BSD 2-Clause; in github.com/pion/mediadevices
OpenBLAS (Linux) — © The OpenBLAS developers, BSD 3-Clause
LingBot-World — the model's weights have a licence of their own, of the folder that you chose`

// showAbout shows the version and what the program is built of.
func (w *Window) showAbout() {
	icon := container.NewCenter(part.Sized(72, 72, widget.NewIcon(fyne.NewStaticResource("icon.png", assets.Icon))))
	line := func(t *part.Text) fyne.CanvasObject { return container.NewCenter(part.Line(0, t)) }
	list := widget.NewLabel(licences + "\n\n" + tr("about.modules") + "\n" + modules())
	list.SizeName, list.Wrapping, list.Selectable = "helperText", fyne.TextWrapWord, true
	scroll := container.NewVScroll(list)
	scroll.SetMinSize(fyne.NewSize(440, 190))
	content := part.Column(8, icon,
		line(part.NewText("Gimbal").Bold().Sized("subHeadingText")),
		line(part.NewCaption(join(tr("about.version", map[string]any{"Version": w.options.About.Version}), w.options.About.Build, w.now.Device.Name))),
		line(part.NewText(tr("about.text")).Colored(look.ColorSecondary)),
		line(part.NewCaption(tr("about.licence"))),
		container.NewStack(part.Background(look.ColorSunken, "", 8), scroll))
	dialog.ShowCustom(tr("menu.about"), tr("close"), content, w.window)
}

// modules are the Go modules in this program, with their versions.
func modules() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	var lines []string
	for _, m := range info.Deps {
		lines = append(lines, m.Path+" "+m.Version)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
