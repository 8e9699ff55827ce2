package ui

import (
	"slices"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/container"
	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"gimbal/ui/part"
	"gimbal/ui/studio"
)

// serverSettings are where videos are made: by this computer, or by a server with its key
// and one of its models.
type serverSettings struct {
	w       *Window
	where   *part.Segmented
	address *widget.Entry
	key     *widget.Entry
	model   *widget.Select
	state   *part.Text
	fields  *fyne.Container // of a server
	setting bool
	view    fyne.CanvasObject
}

// The order of serverSettings.where.
const (
	madeHere = iota
	madeThere
)

func newServerSettings(w *Window, form part.Form) *serverSettings {
	inner := form.Width - form.Label
	v := &serverSettings{w: w, address: widget.NewEntry(), key: widget.NewPasswordEntry(), state: part.NewNote("", inner)}
	v.where = part.NewSegmented([]string{tr("server.here"), tr("server.there")}, v.choose)
	v.address.SetPlaceHolder("http://studio:7860")
	v.key.SetPlaceHolder(tr("server.key_kept"))
	v.model = widget.NewSelect(nil, func(name string) {
		if !v.setting {
			w.studio.SetServerModel(name)
		}
	})
	connect := widget.NewButton(tr("server.connect"), v.connect)
	v.address.OnSubmitted, v.key.OnSubmitted = func(string) { v.connect() }, func(string) { v.connect() }
	v.fields = part.Column(12,
		form.Row(tr("server.address"), v.address, nil),
		form.Row(tr("server.key"), container.NewBorder(nil, nil, nil, connect, v.key), nil),
		form.Row(tr("server.model"), v.model, nil),
		part.Inset(-6, 0, form.Label, 0, v.state))
	v.view = part.Column(12, form.Row(tr("server"), v.where, nil), v.fields)
	v.address.SetText(w.now.Settings.Server)
	v.where.SetSelected(madeHere)
	if w.now.Settings.Server != "" {
		v.where.SetSelected(madeThere)
	}
	w.names["server.there"], w.names["server.address"], w.names["server.key"] = v.where, v.address, v.key
	w.names["server.connect"], w.names["server.model"] = connect, v.model
	v.show(w.now)
	return v
}

// choose shows the fields of a server, or takes this computer at once.
func (v *serverSettings) choose(i int) {
	v.where.SetSelected(i)
	if i == madeHere {
		v.w.studio.SetServer("", "")
	}
	v.show(v.w.now)
}

func (v *serverSettings) connect() {
	if strings.TrimSpace(v.address.Text) != "" {
		v.w.studio.SetServer(v.address.Text, v.key.Text)
		v.key.SetText("")
	}
}

// show says what is known of the server.
func (v *serverSettings) show(s studio.Snapshot) {
	setVisible(v.fields, v.where.Selected() == madeThere)
	text, color := tr("server.hint"), theme.ColorNamePlaceHolder
	switch of := s.Server; {
	case s.Settings.Server == "" || s.Model.Demo:
	case of.Address != s.Settings.Server:
		text = tr("server.asking")
	case of.Error != "":
		text, color = withDetails(tr("server.away"), of.Error), theme.ColorNameError
	default:
		text = tr("server.connected", map[string]any{"Device": s.Device.Name})
	}
	v.state.SetText(text)
	v.state.SetColor(color)
	v.setting = true
	if !slices.Equal(v.model.Options, s.Server.Models) {
		v.model.SetOptions(s.Server.Models)
	}
	setEnabled(v.model, len(s.Server.Models) > 0)
	if v.model.Selected != s.Settings.ServerModel {
		v.model.SetSelected(s.Settings.ServerModel)
	}
	v.setting = false
}
