// Package awake keeps the machine, not its screen, from sleeping by itself: of the window
// during a run, and of the commands that take long.
package awake
