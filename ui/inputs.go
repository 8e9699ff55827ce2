package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"

	"gimbal/ui/look"
	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// inputs is the left side: the form, in sections.
type inputs struct {
	form    *form
	model   *modelCard
	picture *pictureInput
	camera  *cameraInput
	prompt  *promptInput
	video   *videoInput
	loras   *loraInput
	more    *advancedInput
	scroll  *container.Scroll
	view    fyne.CanvasObject
}

func newInputs(w *Window) *inputs {
	in := &inputs{form: newForm(w)}
	in.model = newModelCard(w, in.form)
	in.picture = newPictureInput(w, in.form)
	in.camera = newCameraInput(w, in.form)
	in.prompt = newPromptInput(in.form)
	in.video = newVideoInput(w, in.form)
	in.loras = newLoRAInput(w, in.form)
	in.more = newAdvancedInput(in.form)
	column := part.Column(22, in.model.view, in.picture.view, in.camera.view, in.prompt.view, in.video.view, in.loras.view, in.more.view)
	in.scroll = container.NewVScroll(part.Inset(16, 24, 18, 18, column))
	in.view = container.NewStack(part.Background(look.ColorSidebar, "", 0), part.ScrollThrough(part.Sized(columnWidth+36, 0, in.scroll), in.scroll.Scrolled))
	return in
}

func (in *inputs) show(s studio.Snapshot) {
	in.form.show(s)
	in.model.show(s)
	in.picture.show(s)
	in.camera.show(s)
	in.prompt.show(s)
	in.video.show(s)
	in.loras.show(s)
	in.more.show(s)
}
