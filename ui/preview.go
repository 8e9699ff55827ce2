package ui

import (
	"image"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"gimbal/ui/player"
)

// previewPace is the time between two of a preview's pictures: one latent frame is four
// frames of the video.
const previewPace = 4 * time.Second / 16

// preview shows what the video will be while it is made, moving.
type preview struct {
	screen *player.Screen
	images []image.Image
	at     int
	every  player.Every
	stop   func() // ends the moving; nil while nothing moves
	view   fyne.CanvasObject
}

func newPreview(every player.Every) *preview {
	p := &preview{every: every, screen: player.NewScreen("", "")}
	p.view = container.NewStack(p.screen)
	p.view.Hide()
	return p
}

// show takes over the pictures of a step; none ends the preview.
func (p *preview) show(images []image.Image) {
	if len(images) == len(p.images) && (len(images) == 0 || images[0] == p.images[0]) {
		return
	}
	p.images = images
	if len(images) == 0 {
		p.halt()
		p.at = 0
		p.screen.SetImage(nil)
		return
	}
	p.screen.SetImage(images[p.at%len(images)])
	if p.stop == nil && len(images) > 1 {
		p.stop = p.every(previewPace, p.next)
	}
}

// next shows the next picture.
func (p *preview) next() {
	if p.stop == nil || len(p.images) == 0 || !p.view.Visible() {
		return
	}
	p.at = (p.at + 1) % len(p.images)
	p.screen.SetImage(p.images[p.at])
}

func (p *preview) halt() {
	if p.stop != nil {
		p.stop()
		p.stop = nil
	}
}
