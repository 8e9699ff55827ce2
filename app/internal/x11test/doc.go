// Package x11test runs a program on an X server of its own and does to it what people
// do: look, type, click, drop files. It wants Xvfb and speaks X11 by itself.
package x11test
