package x11test

import (
	"image"
	"time"

	"github.com/jezek/xgb/xproto"
)

// Window is a top-level window of the program under test.
type Window struct {
	s  *Server
	id xproto.Window
}

// Window waits for the program's window and gives it the keyboard, as there is no
// window manager to do so.
func (s *Server) Window(timeout time.Duration) *Window {
	s.t.Helper()
	aware := s.atom("XdndAware")
	for end := time.Now().Add(timeout); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		tree, err := xproto.QueryTree(s.conn, s.screen.Root).Reply()
		s.check(err)
		for _, id := range tree.Children {
			attributes, err := xproto.GetWindowAttributes(s.conn, id).Reply()
			if err != nil || attributes.MapState != xproto.MapStateViewable {
				continue
			}
			property, err := xproto.GetProperty(s.conn, false, id, aware, xproto.GetPropertyTypeAny, 0, 1).Reply()
			if err != nil || property.ValueLen == 0 {
				continue
			}
			w := &Window{s: s, id: id}
			w.focus()
			return w
		}
	}
	s.t.Fatalf("no window came up within %v", timeout)
	return nil
}

func (w *Window) focus() {
	w.s.check(xproto.SetInputFocusChecked(w.s.conn, xproto.InputFocusParent, w.id, xproto.TimeCurrentTime).Check())
}

// Bounds returns where the window is on the screen.
func (w *Window) Bounds() image.Rectangle {
	geometry, err := xproto.GetGeometry(w.s.conn, xproto.Drawable(w.id)).Reply()
	w.s.check(err)
	at, err := xproto.TranslateCoordinates(w.s.conn, w.id, w.s.screen.Root, 0, 0).Reply()
	w.s.check(err)
	return image.Rect(0, 0, int(geometry.Width), int(geometry.Height)).Add(image.Pt(int(at.DstX), int(at.DstY)))
}

// Move puts the window somewhere else and gives it a size, as a window manager would.
func (w *Window) Move(to image.Rectangle) {
	w.s.check(xproto.ConfigureWindowChecked(w.s.conn, w.id,
		xproto.ConfigWindowX|xproto.ConfigWindowY|xproto.ConfigWindowWidth|xproto.ConfigWindowHeight,
		[]uint32{uint32(to.Min.X), uint32(to.Min.Y), uint32(to.Dx()), uint32(to.Dy())}).Check())
}

// Close asks the program to close the window, as its close button does.
func (w *Window) Close() {
	w.message("WM_PROTOCOLS", uint32(w.s.atom("WM_DELETE_WINDOW")), xproto.TimeCurrentTime)
}

// message sends a client message to the window.
func (w *Window) message(kind string, data ...uint32) {
	var five [5]uint32
	copy(five[:], data)
	event := xproto.ClientMessageEvent{
		Format: 32, Window: w.id, Type: w.s.atom(kind), Data: xproto.ClientMessageDataUnionData32New(five[:]),
	}
	w.s.check(xproto.SendEventChecked(w.s.conn, false, w.id, xproto.EventMaskNoEvent, string(event.Bytes())).Check())
}

// Screenshot returns what is on the screen.
func (s *Server) Screenshot() *image.NRGBA {
	s.t.Helper()
	width, height := int(s.screen.WidthInPixels), int(s.screen.HeightInPixels)
	reply, err := xproto.GetImage(s.conn, xproto.ImageFormatZPixmap, xproto.Drawable(s.screen.Root),
		0, 0, uint16(width), uint16(height), 1<<32-1).Reply()
	s.check(err)
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := 0; i+3 < len(img.Pix); i += 4 { // blue, green, red, nothing
		img.Pix[i], img.Pix[i+1], img.Pix[i+2], img.Pix[i+3] = reply.Data[i+2], reply.Data[i+1], reply.Data[i], 255
	}
	return img
}
