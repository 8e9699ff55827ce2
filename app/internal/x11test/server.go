package x11test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/jezek/xgb"
	"github.com/jezek/xgb/xproto"
	"github.com/jezek/xgb/xtest"
)

// Server is an X server without a screen, and a connection to it. Its methods are
// for one goroutine, and fail the test when the server does.
type Server struct {
	Display string // such as ":99"

	t      testing.TB
	conn   *xgb.Conn
	screen *xproto.ScreenInfo
	keys   map[xproto.Keysym]key
}

// Start starts a server with a screen of the size until the test ends. The test is
// skipped where there is no Xvfb, but not on CI.
func Start(t testing.TB, width, height int) *Server {
	t.Helper()
	path, err := exec.LookPath("Xvfb")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("Xvfb is not installed: `make deps` does")
		}
		t.Skip("Xvfb is not installed: `make deps` does")
	}
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	cmd := exec.Command(path, "-displayfd", "3", "-nolisten", "tcp", "-screen", "0", fmt.Sprintf("%dx%dx24", width, height))
	cmd.ExtraFiles = []*os.File{write}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	write.Close()
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	number, err := bufio.NewReader(read).ReadString('\n') // once it is ready
	if err != nil {
		t.Fatalf("Xvfb names no display: %v", err)
	}
	xgb.Logger.SetOutput(io.Discard) // it logs that the connection ends with the server
	s := &Server{Display: ":" + strings.TrimSpace(number), t: t}
	if s.conn, err = xgb.NewConnDisplay(s.Display); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conn.Close)
	s.screen = xproto.Setup(s.conn).DefaultScreen(s.conn)
	s.check(xtest.Init(s.conn))
	s.readKeyboard()
	return s
}

func (s *Server) check(err error) {
	if err != nil {
		s.t.Helper()
		s.t.Fatal("X11: ", err)
	}
}

func (s *Server) atom(name string) xproto.Atom {
	reply, err := xproto.InternAtom(s.conn, false, uint16(len(name)), name).Reply()
	s.check(err)
	return reply.Atom
}
