//go:build !darwin

package desktop

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// clipboardTypes are the pictures that the clipboard is asked for, the best first.
var clipboardTypes = []string{"image/png", "image/jpeg", "image/webp", "image/avif", "image/heic", "image/tiff", "image/bmp", "image/gif"}

// clipboardPicture asks for the selection CLIPBOARD as ICCCM, section 2, says. The window's own
// connection is GLFW's, which asks for text alone.
func (xdg) clipboardPicture(ctx context.Context) ([]byte, error) {
	if os.Getenv("DISPLAY") == "" {
		return nil, nil
	}
	conn, err := xgb.NewConn()
	if err != nil {
		return nil, fmt.Errorf("pictures on the clipboard: %w: %w", errors.ErrUnsupported, err)
	}
	defer context.AfterFunc(ctx, conn.Close)() // ends whatever waits for the server
	defer conn.Close()
	c := selection{conn: conn, limit: clipboardBytes}
	data, err := c.picture()
	if err != nil && err != errClipboardSize {
		err = fmt.Errorf("the picture on the clipboard: %w", err)
	}
	return data, err
}

// selection asks the program that owns the clipboard for it. The answers are put in a property
// of a window of its own.
type selection struct {
	conn      *xgb.Conn
	limit     int // of the bytes that are taken, a multiple of four
	window    xproto.Window
	clipboard xproto.Atom
	property  xproto.Atom
	incr      xproto.Atom
}

func (c *selection) picture() (data []byte, err error) {
	for name, atom := range map[string]*xproto.Atom{"CLIPBOARD": &c.clipboard, "GIMBAL_PICTURE": &c.property, "INCR": &c.incr} {
		if *atom, err = c.atom(name); err != nil {
			return nil, err
		}
	}
	owner, err := xproto.GetSelectionOwner(c.conn, c.clipboard).Reply()
	if err != nil || owner.Owner == xproto.WindowNone {
		return nil, err
	}
	if c.window, err = xproto.NewWindowId(c.conn); err != nil {
		return nil, err
	}
	root := xproto.Setup(c.conn).DefaultScreen(c.conn).Root
	if err := xproto.CreateWindowChecked(c.conn, 0, c.window, root, 0, 0, 1, 1, 0, xproto.WindowClassInputOnly, 0,
		xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange}).Check(); err != nil {
		return nil, err
	}
	for _, name := range clipboardTypes {
		if data, err := c.ask(name); err != nil || len(data) > 0 {
			return data, err
		}
	}
	return nil, nil
}

func (c *selection) atom(name string) (xproto.Atom, error) {
	reply, err := xproto.InternAtom(c.conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		return 0, err
	}
	return reply.Atom, nil
}

// ask returns the clipboard as one type, nil where its owner has no such.
func (c *selection) ask(name string) ([]byte, error) {
	target, err := c.atom(name)
	if err != nil {
		return nil, err
	}
	if err := xproto.ConvertSelectionChecked(c.conn, c.window, c.clipboard, target, c.property, xproto.TimeCurrentTime).Check(); err != nil {
		return nil, err
	}
	for {
		event, err := c.next()
		if err != nil {
			return nil, err
		}
		if e, ok := event.(xproto.SelectionNotifyEvent); ok && e.Selection == c.clipboard && e.Target == target {
			if e.Property == xproto.AtomNone {
				return nil, nil
			}
			break
		}
	}
	kind, data, err := c.take()
	if err == nil && kind == c.incr {
		return c.pieces()
	}
	return data, err
}

// pieces returns what comes in pieces, the last of which is empty. That take removes a
// piece asks for the next.
func (c *selection) pieces() (all []byte, err error) {
	for {
		event, err := c.next()
		if err != nil {
			return nil, err
		}
		if e, ok := event.(xproto.PropertyNotifyEvent); !ok || e.Atom != c.property || e.State != xproto.PropertyNewValue {
			continue
		}
		kind, piece, err := c.take()
		switch {
		case err != nil:
			return nil, err
		case kind == xproto.AtomNone:
			continue
		case len(piece) == 0:
			return all, nil
		case len(all)+len(piece) > c.limit:
			return nil, errClipboardSize
		}
		all = append(all, piece...)
	}
}

// take reads and removes the property; the kind is AtomNone when there is none.
func (c *selection) take() (kind xproto.Atom, data []byte, err error) {
	reply, err := xproto.GetProperty(c.conn, true, c.window, c.property, xproto.GetPropertyTypeAny, 0, uint32(c.limit/4)).Reply()
	if err != nil {
		return 0, nil, err
	}
	if reply.BytesAfter > 0 {
		return 0, nil, errClipboardSize
	}
	return reply.Type, reply.Value, nil
}

func (c *selection) next() (xgb.Event, error) {
	event, xerr := c.conn.WaitForEvent()
	switch {
	case xerr != nil:
		return nil, xerr
	case event == nil:
		return nil, errors.New("the connection to the X server ended")
	}
	return event, nil
}
