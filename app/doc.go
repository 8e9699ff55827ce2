// Command gimbal turns a picture, a camera path and a prompt into a video with a
// LingBot-World checkpoint.
//
// This package is wiring and life cycle only: it reads flags, hands a job and a device to
// gimbal/inference/engine, and shows events and errors in the words of the command line.
// Work belongs there.
package main
