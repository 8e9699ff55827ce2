// Package player shows videos frame by frame: play, pause, scrub, loop, step, speed,
// and the first frame beside the current one. Frames are read in the background, so
// that a slow disk drops frames and never the window.
package player
