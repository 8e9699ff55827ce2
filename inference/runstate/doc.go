// Package runstate keeps the state of a run in a folder, so that a run which was
// killed at any moment goes on from its last saved step.
//
// The folder holds state.safetensors, which each save replaces in one step, a
// lock that only a living process holds, and whatever else the run keeps there.
// The package knows nothing of what the state means.
package runstate
