// Package inference turns a picture, a camera path and a prompt into a video
// with a LingBot-World checkpoint. It is the API that app and ui use:
//
//   - PlanOf and Pipeline.Plan say what a job takes before it runs, PlanAuto chooses
//     settings that fit.
//   - Load opens a checkpoint on a device and checks all of it.
//   - Pipeline.Generate runs a Job and reports what happens as Events.
//   - Pipeline.Resume goes on with a run that was interrupted.
//
// The package wires the model's parts (wan, vae, umt5, tokenizer, sampler, noise,
// camera, picture, video) and owns what lies between them: the order of work,
// the state of a run on disk, the checks of every step. It never imports Fyne or
// a particular device; the parts know nothing of each other.
package inference
