// Package desktop is what the window asks of the system around it: notifications,
// progress on the Dock, staying awake during a run, the file manager, the trash, the
// system's own file panels, copied pictures, files opened from the Finder, and the
// user's folders.
//
// New gives the system that the program runs on, NewRecorder one that only writes
// down what was asked of it. What a system does not have is either silently left
// out (progress, staying awake) or an error that wraps errors.ErrUnsupported (panels),
// upon which the window shows a dialog of its own.
//
// The files for one system (platform_darwin.go, platform_xdg.go, clipboard_x11.go) hold
// calls of that system and nothing else: whatever decides, counts, draws or waits is in
// the plain files.
package desktop
