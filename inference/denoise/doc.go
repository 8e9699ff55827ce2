// Package denoise takes a latent from noise to a video's: the loop over the schedule and
// what it is made of.
//
//   - loop.go: the loop. It knows neither a device nor a file.
//   - guidance.go: classifier-free guidance, and which expert's turn it is.
//   - solver.go: the schedule and the Solver; unipc.go and dpmpp.go: one method each, UniPC
//     and DPM-Solver++ of order two, as the reference configures them. Another solver is a
//     file and a row in methods, and its name in package inference's settings.
//   - cache.go: what leaves forward passes out; EasyCache. residuals.go: what leaves a model's
//     blocks out, MagCache and TeaCache; calibration.go: what they go by, and how a run takes it
//     down.
//   - state.go: what a solver needs to go on after a kill.
//
// A solver follows the flow equation dx/dσ = v(x, σ). The schedule and every coefficient
// are computed in the reference's types (float64 for the schedule, float32 for the rest,
// rounded after each operation), because the coefficients cancel where steps are small: a
// more accurate formula gives another video.
package denoise
