// Package queue makes videos one after the other: it holds the runs that wait, makes them
// with an engine, keeps them in a library, and says at any time how far it is.
//
//   - queue.go: Add, Cancel, Resume, State, and who is told of changes.
//   - inputs.go: the name of a video, and the copies of what a run starts from, which are in
//     the run's folder of the library while the originals may change.
//   - worker.go: the goroutine that makes the runs.
//   - progress.go: Run, the run under way, and how its time and its bar are reckoned.
//
// What the library knows is on disk before a method returns and before anybody is told, so
// that a program that is killed finds every run again: those that waited or ran as
// interrupted, with the state from which they resume.
package queue
