//go:build !darwin

package desktop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/png"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
)

// startX starts an X server of the test's own as the display.
func startX(t *testing.T) {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-nolisten", "tcp", "-noreset", "-screen", "0", "64x64x24")
	cmd.ExtraFiles = []*os.File{write}
	err = cmd.Start()
	write.Close()
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("CI") == "" {
		t.Skip("Xvfb is not installed: `make deps` does")
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	number, err := bufio.NewReader(read).ReadString('\n') // once it is ready
	if err != nil {
		t.Fatalf("Xvfb names no display: %v", err)
	}
	t.Setenv("DISPLAY", ":"+strings.TrimSpace(number))
}

// owner is a program that the user copied in.
type owner struct {
	conn  *xgb.Conn
	kind  string // of its data, such as "image/png"
	data  []byte
	piece int  // how much it gives at a time by INCR, 0 for all at once
	mute  bool // it answers nobody
	ended chan error
}

// own has o own the clipboard until the test ends.
func (o *owner) own(t *testing.T) {
	t.Helper()
	conn, err := xgb.NewConn()
	if err != nil {
		t.Fatal(err)
	}
	o.conn, o.ended = conn, make(chan error, 1)
	window, err := xproto.NewWindowId(conn)
	if err == nil {
		err = xproto.CreateWindowChecked(conn, 0, window, xproto.Setup(conn).DefaultScreen(conn).Root, 0, 0, 1, 1, 0,
			xproto.WindowClassInputOnly, 0, 0, nil).Check()
	}
	if err == nil {
		err = xproto.SetSelectionOwnerChecked(conn, window, o.atom("CLIPBOARD"), xproto.TimeCurrentTime).Check()
	}
	if err != nil {
		t.Fatal(err)
	}
	go func() { o.ended <- o.serve() }()
	t.Cleanup(func() {
		conn.Close()
		if err := <-o.ended; err != nil {
			t.Error("the owner of the clipboard: ", err)
		}
	})
}

func (o *owner) atom(name string) xproto.Atom {
	reply, err := xproto.InternAtom(o.conn, false, uint16(len(name)), name).Reply()
	if err != nil {
		return xproto.AtomNone
	}
	return reply.Atom
}

func (o *owner) serve() error {
	for {
		event, err := o.next()
		if event == nil {
			return err
		}
		if e, ok := event.(xproto.SelectionRequestEvent); ok && !o.mute {
			if err := o.answer(e); err != nil {
				return err
			}
		}
	}
}

// next returns the next event, nil after the last.
func (o *owner) next() (xgb.Event, error) {
	for {
		event, err := o.conn.WaitForEvent()
		if _, gone := err.(xproto.WindowError); gone {
			continue // who asked has had enough
		}
		if err != nil {
			return nil, err
		}
		return event, nil
	}
}

func (o *owner) answer(e xproto.SelectionRequestEvent) error {
	answer := xproto.SelectionNotifyEvent{Time: e.Time, Requestor: e.Requestor, Selection: e.Selection, Target: e.Target}
	if e.Target == o.atom(o.kind) {
		answer.Property = e.Property
		if o.piece > 0 {
			xproto.ChangeWindowAttributes(o.conn, e.Requestor, xproto.CwEventMask, []uint32{xproto.EventMaskPropertyChange})
			least := make([]byte, 4)
			xgb.Put32(least, uint32(o.piece))
			xproto.ChangeProperty(o.conn, xproto.PropModeReplace, e.Requestor, e.Property, o.atom("INCR"), 32, 1, least)
		} else {
			o.put(e, o.data)
		}
	}
	xproto.SendEvent(o.conn, false, e.Requestor, xproto.EventMaskNoEvent, string(answer.Bytes()))
	if o.piece > 0 && answer.Property != xproto.AtomNone {
		return o.givePieces(e)
	}
	return nil
}

func (o *owner) put(e xproto.SelectionRequestEvent, data []byte) {
	xproto.ChangeProperty(o.conn, xproto.PropModeReplace, e.Requestor, e.Property, e.Target, 8, uint32(len(data)), data)
}

// givePieces puts a piece whenever the one before was taken, and an empty one at the end.
func (o *owner) givePieces(e xproto.SelectionRequestEvent) error {
	for rest := o.data; ; {
		event, err := o.next()
		if event == nil {
			return err
		}
		if n, ok := event.(xproto.PropertyNotifyEvent); !ok || n.Atom != e.Property || n.State != xproto.PropertyDelete {
			continue
		}
		piece := rest[:min(o.piece, len(rest))]
		o.put(e, piece)
		if len(piece) == 0 {
			return nil
		}
		rest = rest[len(piece):]
	}
}

// noise is a picture that does not compress.
func noise(t *testing.T, width, height int) []byte {
	t.Helper()
	img := image.NewGray(image.Rect(0, 0, width, height))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = byte(random.Uint32())
	}
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestClipboardOfX11(t *testing.T) {
	startX(t)
	d := newDesktop(t)
	if data, err := d.ClipboardPicture(); data != nil || err != nil {
		t.Errorf("a clipboard that nobody owns gives %d bytes, %v", len(data), err)
	}
	small, large := noise(t, 40, 30), noise(t, 1000, 600)
	for _, o := range []*owner{
		{kind: "image/png", data: small},
		{kind: "image/jpeg", data: small},
		{kind: "image/bmp", data: small},
		{kind: "image/png", data: large, piece: 64 << 10},
		{kind: "image/jpeg", data: small, piece: 7},
		{kind: "image/png", data: small, piece: len(small)},
		{kind: "UTF8_STRING", data: []byte("/a.png")},
	} {
		t.Run(fmt.Sprintf("%s of %d by %d", strings.ReplaceAll(o.kind, "/", " "), len(o.data), o.piece), func(t *testing.T) {
			o.own(t)
			want := o.data
			if o.kind == "UTF8_STRING" {
				want = nil
			}
			for range 2 { // a second time too
				if data, err := d.ClipboardPicture(); !bytes.Equal(data, want) || err != nil {
					t.Errorf("got %d bytes, %v, want %d", len(data), err, len(want))
				}
			}
		})
	}
}

func TestClipboardOfX11TooLarge(t *testing.T) {
	startX(t)
	for _, piece := range []int{0, 30} {
		for limit, want := range map[int]error{100: errClipboardSize, 104: nil} {
			t.Run(fmt.Sprintf("by %d, %d at most", piece, limit), func(t *testing.T) {
				o := &owner{kind: "image/png", data: make([]byte, 101), piece: piece}
				o.own(t)
				conn, err := xgb.NewConn()
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if data, err := (&selection{conn: conn, limit: limit}).picture(); err != want || (err == nil) != (len(data) == len(o.data)) {
					t.Errorf("of %d bytes got %d, %v", len(o.data), len(data), err)
				}
			})
		}
	}
}

func TestClipboardOfX11Silent(t *testing.T) {
	startX(t)
	d := newDesktop(t)
	(&owner{mute: true}).own(t)
	if data, err := d.ClipboardPicture(); data != nil || err != errClipboardTime {
		t.Errorf("got %d bytes, %v, want %v", len(data), err, errClipboardTime)
	}
}

func TestClipboardWithoutX11(t *testing.T) {
	d := newDesktop(t)
	t.Setenv("DISPLAY", "")
	if data, err := d.ClipboardPicture(); data != nil || err != nil {
		t.Errorf("without a display: %d bytes, %v", len(data), err)
	}
	t.Setenv("DISPLAY", "nowhere")
	if data, err := d.ClipboardPicture(); data != nil || !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("with a display that is none: %d bytes, %v", len(data), err)
	}
}
