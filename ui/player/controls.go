package player

import (
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/look"
	"gimbal/ui/part"
)

// controls are the row below the screen.
type controls struct {
	player   *Player
	previous *widget.Button
	play     *widget.Button
	next     *widget.Button
	slider   *widget.Slider
	time     *part.Text
	speed    *widget.Select
	loop     *widget.Button
	compare  *widget.Button
	full     *widget.Button
	row      fyne.CanvasObject
	setting  bool // the slider moves by itself
}

func newControls(p *Player) *controls {
	c := &controls{player: p, time: part.NewCaption("").Aligned(fyne.TextAlignTrailing)}
	c.previous = part.IconButton(look.IconPrevious, func() { p.Step(-1) })
	c.play = part.IconButton(playIcons[false](), p.Toggle)
	c.next = part.IconButton(look.IconNext, func() { p.Step(1) })
	c.loop = part.IconButton(look.IconLoop, func() { p.SetLoop(!p.Loop()) })
	c.compare = part.IconButton(look.IconCompare, func() { p.SetCompare(!p.screen.Comparing()) })
	c.full = part.IconButton(look.IconFull, func() {
		if p.OnFull != nil {
			p.OnFull()
		}
	})
	c.slider = widget.NewSlider(0, 1)
	c.slider.OnChanged = func(v float64) {
		if !c.setting {
			p.Seek(int(v))
		}
	}
	c.speed = widget.NewSelect(p.words.Speeds, func(string) {
		if i := c.speed.SelectedIndex(); i >= 0 && !c.setting {
			p.SetSpeed(Speeds[i])
		}
	})
	c.row = part.Line(2, c.previous, c.play, c.next, part.Spread(part.Accented(c.slider)), part.Sized(96, 0, c.time), part.Gap(4, 0),
		part.Sized(74, 0, c.speed), c.loop, c.compare, c.full)
	c.reset()
	return c
}

// reset fits the controls to another video.
func (c *controls) reset() {
	c.setting = true
	c.slider.Max = float64(max(1, c.player.video.Frames-1))
	c.slider.SetValue(0)
	for i, speed := range Speeds {
		if speed == c.player.clock.speed {
			c.speed.SetSelectedIndex(i)
		}
	}
	c.setting = false
	c.update()
}

// update shows the player's state; it only touches what changed.
func (c *controls) update() {
	p := c.player
	c.setting = true
	c.slider.SetValue(float64(max(0, p.shown)))
	c.setting = false
	words := ""
	if p.video.Frames > 0 {
		words = fmt.Sprintf("%d / %d", max(0, p.shown)+1, p.video.Frames)
		if p.video.FPS > 0 {
			words += fmt.Sprintf("  ·  %.1f s", float64(max(0, p.shown))/float64(p.video.FPS))
		}
	}
	c.time.SetText(words)
	if icon := playIcons[p.clock.playing](); c.play.Icon == nil || c.play.Icon.Name() != icon.Name() {
		c.play.SetIcon(icon)
	}
	pressed(c.loop, p.clock.loop)
	pressed(c.compare, p.screen.Comparing())
}

// pressed shows a button as switched on.
func pressed(b *widget.Button, on bool) {
	want := widget.LowImportance
	if on {
		want = widget.MediumImportance
	}
	if b.Importance != want {
		b.Importance = want
		b.Refresh()
	}
}

// newFrame puts a row of controls below a screen.
func newFrame(screen, row fyne.CanvasObject) fyne.CanvasObject {
	return part.Dock(nil, part.Inset(8, 0, 0, 0, row), nil, nil, screen)
}

// Parts are the player's controls by name, for tests that drive a real window.
func (p *Player) Parts() map[string]fyne.CanvasObject {
	c := p.controls
	return map[string]fyne.CanvasObject{
		"previous": c.previous, "play": c.play, "next": c.next, "slider": c.slider, "speed": c.speed,
		"loop": c.loop, "compare": c.compare, "full": c.full,
	}
}
