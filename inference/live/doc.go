// Package live lets a person walk through a picture: a Session takes the keys that are held,
// has an engine.Walk make chunk after chunk of video, shows their pictures evenly, and keeps
// all of it on disk.
//
//   - session.go: what a client does with a walk; state.go: what it sees of it.
//   - input.go: from keys to where the camera goes in a chunk.
//   - maker.go: the goroutine that makes chunks and goes back; show.go: those that decode them,
//     while the next one is made, and that show their pictures in time.
//   - log.go, record.go: the walk on disk, whole up to its last chunk whenever the program is
//     killed. ways.go: the ways that part from each other where somebody went back.
//   - save.go: videos and action folders. walker.go: what is needed of the model.
//
// What is pressed acts at the next chunk: a chunk is begun as late as it can be for its
// pictures to follow those before without a gap, and at once where the machine is slower than
// that. To go back, the model is made to remember the chunks before, which takes a forward for
// each where making one takes a forward for every step besides: measured with the demo model, a
// fifth of the time, and no memory, where a copy of what it remembers would be 20 MB of the demo
// and gigabytes of LingBot-World.
package live
