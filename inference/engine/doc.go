// Package engine turns jobs into videos on this machine. Engine is what its clients, the
// command line, the queue and the window, know; Local is the one that computes here.
//
//   - local.go: opens the device and the checkpoint once, lets runs wait for each other,
//     learns how fast the device is. inspect.go says what a checkpoint holds.
//   - pipeline.go: an open checkpoint. check.go sees whether its parts belong together,
//     quantize.go puts quantised weights in the place of the experts' own.
//   - run.go: one job from its prompt to its video, phase by phase. encode.go, sample.go and
//     decode.go are the phases, state.go keeps them on disk, output.go knows the files.
//   - calibration.go: a run's cache, and what it goes by on disk.
//   - chunks.go, maker.go and stream.go: runs of causal models; walk.go: the same without an end,
//     for package live.
//   - plan.go runs the same run on a device that counts. There is no second model of what
//     a run takes.
//
// The package wires the model's parts (wan, vae, umt5, tokenizer, denoise, noise, clip,
// picture, video), which know nothing of each other. It speaks in typed errors and
// events; their words for a terminal or a window are those of its clients.
package engine
