package desktop

import (
	"context"
	"log/slog"
	"sync"
)

// Desktop is the system around the window. Its methods may be called from any
// goroutine; those that say so must not be called from the window's.
type Desktop interface {
	// Notify shows a notification.
	Notify(title, body string)
	// Progress shows on the Dock's icon how much is done, from 0 to 1; a negative
	// fraction takes it away.
	Progress(fraction float64)
	// KeepAwake keeps the machine, not its screen, from sleeping by itself until
	// release is called; calling that again does nothing.
	KeepAwake(reason string) (release func())
	// Reveal shows a file or folder in the file manager.
	Reveal(path string) error
	// Open opens a file, a folder or a URL with the program that the user chose for it.
	Open(target string) error
	// Trash moves a file or folder to where the user can get it back from.
	Trash(path string) error
	// Pick shows the system's own panel and waits for the user, so it must not be called
	// from the window's goroutine. The path is empty when the user cancels. The error
	// wraps errors.ErrUnsupported where there is no such panel.
	Pick(Panel) (path string, err error)
	// ClipboardPicture returns the picture that the user copied in any program, as the
	// bytes of a file that nobody has looked into, nil when the
	// clipboard holds none. It waits for the other program, two seconds at most, so it
	// must not be called from the window's goroutine. The error wraps
	// errors.ErrUnsupported where the clipboard cannot be asked for pictures.
	ClipboardPicture() ([]byte, error)
	// OnOpen has f called, from any goroutine, with the files and folders that the user
	// opens from the file manager or drops on the program's icon, also with those from
	// before this call.
	OnOpen(f func(paths []string))
	// Gamepad returns the state of the first gamepad there is; ok is false for none. Call it from the
	// window's goroutine while there is a window.
	Gamepad() (g Gamepad, ok bool)
	// Folders are the user's folders for this program; they need not be there yet.
	Folders() Folders
}

// Options are what a Desktop needs from the program.
type Options struct {
	Log    *slog.Logger
	Main   func(func())             // runs a function on the thread that owns the window, now or later
	Notify func(title, body string) // shows a notification
	Files  []string                 // files and folders that the program was started with
}

// platform is one system's calls.
type platform interface {
	setIcon(png []byte) // nil for the program's own
	keepAwake(reason string) (release func(), err error)
	reveal(path string) error
	open(url string) error
	trash(path string) error
	pick(Panel) (string, error)
	clipboardPicture(context.Context) ([]byte, error) // nil for none
}

// New returns the desktop that the program runs on. Call it before the window's
// toolkit starts: files that the program was started with are announced then.
func New(o Options) (Desktop, error) {
	folders, err := UserFolders()
	if err != nil {
		return nil, err
	}
	d := &system{Options: o, folders: folders}
	d.inbox.add(o.Files)
	d.platform = newPlatform(o, d.inbox.add)
	return d, nil
}

// system is a Desktop on any platform.
type system struct {
	Options
	platform platform
	folders  Folders
	inbox    inbox
	dock     dock // of the window's thread
}

func (s *system) Notify(title, body string) { s.Options.Notify(title, body) }

func (s *system) Progress(fraction float64) {
	s.Main(func() {
		if icon, changed := s.dock.show(fraction); changed {
			s.platform.setIcon(icon)
		}
	})
}

func (s *system) KeepAwake(reason string) (release func()) {
	release, err := s.platform.keepAwake(reason)
	if err != nil {
		s.Log.Info("the system may go to sleep during the run", "err", err)
		return func() {}
	}
	return sync.OnceFunc(release)
}

func (s *system) Reveal(path string) error      { return absolute(path, s.platform.reveal) }
func (s *system) Trash(path string) error       { return absolute(path, s.platform.trash) }
func (s *system) Pick(p Panel) (string, error)  { return s.platform.pick(p.clean()) }
func (s *system) OnOpen(f func(paths []string)) { s.inbox.deliver(f) }
func (s *system) Folders() Folders              { return s.folders }

func (s *system) Open(target string) error {
	if isURL(target) {
		return s.platform.open(target)
	}
	return absolute(target, func(path string) error { return s.platform.open(fileURL(path)) })
}
