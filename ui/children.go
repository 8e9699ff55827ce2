package ui

import (
	"maps"
	"slices"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/part"
	"gimbal/ui/player"
)

// children returns what an object of the window holds, as far as named parts lie in it.
func children(o fyne.CanvasObject) []fyne.CanvasObject {
	switch o := o.(type) {
	case *fyne.Container:
		return o.Objects
	case *container.Scroll:
		return []fyne.CanvasObject{o.Content}
	case *container.ThemeOverride:
		return []fyne.CanvasObject{o.Content}
	case *widget.PopUp:
		return []fyne.CanvasObject{o.Content}
	case *player.Player:
		return append(slices.Collect(maps.Values(o.Parts())), o.Screen())
	case *part.Disclosure:
		return o.Children()
	}
	return nil
}
