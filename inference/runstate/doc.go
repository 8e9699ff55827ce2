// Package runstate keeps the state of a run in a folder, so that a run which was
// killed at any moment goes on from its last saved step.
//
// The folder holds state.safetensors, previous.safetensors with the state before
// it, a lock that only a living process holds, and whatever else the run keeps
// there. A state is complete under its name or not there at all, and carries a
// checksum: a file that was damaged all the same gives way to the previous one.
// The package knows nothing of what the state means.
package runstate
