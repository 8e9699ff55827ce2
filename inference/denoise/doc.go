// Package denoise holds the solvers of the flow equation dx/dσ = v(x, σ): UniPC and
// DPM-Solver++, both of order two, as the reference configures them.
//
// The schedule and every coefficient are computed in the reference's types (float64
// for the schedule, float32 for the rest, rounded after each operation), because the
// coefficients cancel where steps are small: a more accurate formula gives another
// video. Nothing here knows a device or a model.
package denoise
