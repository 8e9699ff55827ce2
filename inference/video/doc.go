// Package video writes what a run made: frames to an H.264 .mp4, to numbered
// PNG files and to a contact sheet, and a JSON sidecar beside them.
//
// Frames are *image.RGBA, opaque; FromFloat makes one of the model's planes.
// Every writer takes frames one after the other and keeps none, writes to a
// temporary file in the same folder and renames it when it is complete: a
// failed or interrupted write never harms a file that was there before.
//
// The encoder is openh264, through internal/openh264. What a sidecar holds is
// the pipeline's affair.
package video
