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
// that. To go back, the model is made to remember the chunks before, but only what it still knows
// of them: of the sink and the window all blocks, of the chunks before those fewer and fewer, as a
// chunk hears of what its window has forgotten through the blocks above it (wan.Session.Depth).
// That gives the same bits and costs the same however long the walk is: with the demo model 33
// chunks and 1.5 s of processor time, where 100 whole chunks take 8 s. Nothing is kept for it,
// where copies of what the model knows would be 20 MB each of the demo and gigabytes of
// LingBot-World.
//
// Where the prompt changes, the chunks that the next one attends to are remembered again as by the
// new one (engine.Walk.Tell), before it is known what is pressed: a forward for each of them, 5 of the
// demo model and 4 of LingBot-World, where a chunk takes 5. What a way knows is then that of its
// latents and of its last prompt alone, so that going back asks for no more than before. Three chunks
// after that may be guided from the old words to the new, for models that are slow to take them up
// (inference.Causal.WordsGuide): by the demo model 1.17 s of processor time for the three, as for the next three.
package live
