// Command gimbal turns a picture, a camera path and a prompt into a video with a
// LingBot-World checkpoint.
//
// This package is wiring and life cycle only: it reads flags, opens a device,
// hands both to gimbal/inference and shows its events. Work belongs there.
package main
