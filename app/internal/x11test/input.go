package x11test

import (
	"fmt"
	"image"
	"strings"
	"time"

	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// key is a key on the keyboard.
type key struct {
	code  xproto.Keycode
	shift bool
}

// named are the keys that are not a character: X11's keysymdef.h.
var named = map[string]xproto.Keysym{
	"shift": 0xffe1, "ctrl": 0xffe3, "alt": 0xffe9, "enter": 0xff0d, "escape": 0xff1b, "tab": 0xff09, "space": ' ',
	"backspace": 0xff08, "delete": 0xffff, "home": 0xff50, "end": 0xff57, "left": 0xff51, "up": 0xff52, "right": 0xff53, "down": 0xff54,
}

func (s *Server) readKeyboard() {
	setup := xproto.Setup(s.conn)
	count := byte(setup.MaxKeycode - setup.MinKeycode + 1)
	mapping, err := xproto.GetKeyboardMapping(s.conn, setup.MinKeycode, count).Reply()
	s.check(err)
	s.keys = map[xproto.Keysym]key{}
	columns := int(mapping.KeysymsPerKeycode)
	for i := range int(count) {
		for level := range min(2, columns) { // without and with shift
			symbol := mapping.Keysyms[i*columns+level]
			if _, known := s.keys[symbol]; !known {
				s.keys[symbol] = key{setup.MinKeycode + xproto.Keycode(i), level == 1}
			}
		}
	}
}

// Type types a text of ASCII characters.
func (s *Server) Type(text string) {
	s.t.Helper()
	for _, r := range text {
		k, ok := s.keys[xproto.Keysym(r)]
		if !ok {
			s.t.Fatalf("there is no key for %q", r)
		}
		if k.shift {
			s.fake(xproto.KeyPress, byte(s.keys[named["shift"]].code))
		}
		s.tap(k)
		if k.shift {
			s.fake(xproto.KeyRelease, byte(s.keys[named["shift"]].code))
		}
	}
}

// Press presses keys together: "ctrl+shift+s", "escape".
func (s *Server) Press(chord string) {
	s.t.Helper()
	names := strings.Split(chord, "+")
	var codes []byte
	for _, name := range names {
		symbol, ok := named[name]
		if !ok && len(name) == 1 {
			symbol, ok = xproto.Keysym(name[0]), true
		}
		k, there := s.keys[symbol]
		if !ok || !there {
			s.t.Fatalf("there is no key %q", name)
		}
		codes = append(codes, byte(k.code))
	}
	for _, code := range codes {
		s.fake(xproto.KeyPress, code)
	}
	for i := range codes {
		s.fake(xproto.KeyRelease, codes[len(codes)-1-i])
	}
}

// Hold presses a key and lets it down until release is called.
func (s *Server) Hold(name string) (release func()) {
	s.t.Helper()
	symbol, ok := named[name]
	if !ok && len(name) == 1 {
		symbol = xproto.Keysym(name[0])
	}
	k, there := s.keys[symbol]
	if !there {
		s.t.Fatalf("there is no key %q", name)
	}
	s.fake(xproto.KeyPress, byte(k.code))
	return func() { s.fake(xproto.KeyRelease, byte(k.code)) }
}

func (s *Server) tap(k key) {
	s.fake(xproto.KeyPress, byte(k.code))
	s.fake(xproto.KeyRelease, byte(k.code))
}

// Click clicks at a point of the screen.
func (s *Server) Click(at image.Point) {
	s.t.Helper()
	s.Point(at)
	s.fake(xproto.ButtonPress, 1)
	s.fake(xproto.ButtonRelease, 1)
}

// Drag moves the pointer from one point to another with its button held.
func (s *Server) Drag(from, to image.Point) {
	s.t.Helper()
	s.Point(from)
	s.fake(xproto.ButtonPress, 1)
	const moves = 8
	for i := 1; i <= moves; i++ {
		s.Point(from.Add(to.Sub(from).Mul(i).Div(moves)))
	}
	s.fake(xproto.ButtonRelease, 1)
}

// Point moves the pointer to a point of the screen.
func (s *Server) Point(at image.Point) {
	s.t.Helper()
	s.check(xtest.FakeInputChecked(s.conn, xproto.MotionNotify, 0, 0, s.screen.Root, int16(at.X), int16(at.Y), 0).Check())
	time.Sleep(30 * time.Millisecond) // people need as long, and hovering is seen
}

// Scroll turns the wheel by clicks, down if positive.
func (s *Server) Scroll(clicks int) {
	button := byte(5)
	if clicks < 0 {
		button, clicks = 4, -clicks
	}
	for range clicks {
		s.fake(xproto.ButtonPress, button)
		s.fake(xproto.ButtonRelease, button)
	}
}

func (s *Server) fake(kind, detail byte) {
	s.t.Helper()
	if err := xtest.FakeInputChecked(s.conn, kind, detail, 0, s.screen.Root, 0, 0, 0).Check(); err != nil {
		s.check(fmt.Errorf("input %d of %d: %w", kind, detail, err))
	}
	time.Sleep(8 * time.Millisecond)
}
