package x11test

import (
	"image"
	"net/url"
	"strings"
	"time"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// dndVersion is that of the XDND protocol which Drop speaks.
const dndVersion = 5

// Drop drags files and folders onto a point of the window and drops them, by the
// XDND protocol. The test fails if the window does not take them.
func (w *Window) Drop(at image.Point, paths ...string) {
	s := w.s
	s.t.Helper()
	var list strings.Builder
	for _, path := range paths {
		list.WriteString((&url.URL{Scheme: "file", Path: path}).String() + "\r\n")
	}
	source, err := xproto.NewWindowId(s.conn)
	s.check(err)
	s.check(xproto.CreateWindowChecked(s.conn, 0, source, s.screen.Root, 0, 0, 1, 1, 0,
		xproto.WindowClassInputOnly, s.screen.RootVisual, 0, nil).Check())
	defer xproto.DestroyWindow(s.conn, source)
	s.check(xproto.SetSelectionOwnerChecked(s.conn, source, s.atom("XdndSelection"), xproto.TimeCurrentTime).Check())

	s.Point(at)
	w.message("XdndEnter", uint32(source), dndVersion<<24, uint32(s.atom("text/uri-list")))
	w.message("XdndPosition", uint32(source), 0, uint32(at.X)<<16|uint32(at.Y), xproto.TimeCurrentTime, uint32(s.atom("XdndActionCopy")))
	const accepted = 1
	if status := s.serve(list.String(), "XdndStatus"); status.Data.Data32[1]&accepted == 0 {
		s.t.Fatalf("the window takes no files at %v", at)
	}
	w.message("XdndDrop", uint32(source), 0, xproto.TimeCurrentTime)
	s.serve(list.String(), "XdndFinished")
}

// serve answers requests for the dragged files until a message of the kind comes.
func (s *Server) serve(list, until string) xproto.ClientMessageEvent {
	s.t.Helper()
	kind := s.atom(until)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		event, err := s.conn.PollForEvent()
		s.checkEvent(err)
		switch e := event.(type) {
		case xproto.SelectionRequestEvent:
			s.check(xproto.ChangePropertyChecked(s.conn, xproto.PropModeReplace, e.Requestor, e.Property, e.Target, 8,
				uint32(len(list)), []byte(list)).Check())
			answer := xproto.SelectionNotifyEvent{
				Time: e.Time, Requestor: e.Requestor, Selection: e.Selection, Target: e.Target, Property: e.Property,
			}
			s.check(xproto.SendEventChecked(s.conn, false, e.Requestor, xproto.EventMaskNoEvent, string(answer.Bytes())).Check())
		case xproto.ClientMessageEvent:
			if e.Type == kind {
				return e
			}
		}
	}
	s.t.Fatalf("the window answered no %s", until)
	return xproto.ClientMessageEvent{}
}

func (s *Server) checkEvent(err xgb.Error) {
	if err != nil {
		s.t.Helper()
		s.check(err)
	}
}
