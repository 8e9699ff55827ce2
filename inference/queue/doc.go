// Package queue makes videos: it holds the runs that wait, makes them with an engine, one after
// the other, or has servers make them, keeps them in a library, and says at any time how far
// they are.
//
//   - queue.go: Add, Cancel, Resume, State, and who is told of changes.
//   - inputs.go: the name of a video, and the copies of what a run starts from, which are in
//     the run's folder of the library while the originals may change.
//   - worker.go: the goroutine that makes this machine's runs, and those of runs on servers.
//   - progress.go: Run, a run under way, and how its time and its bar are reckoned.
//
// What the library knows is on disk before a method returns and before anybody is told, so
// that a program that is killed finds every run again: those that waited or ran as
// interrupted, with the state from which they resume.
package queue
