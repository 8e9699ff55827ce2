// Package studio is everything of Gimbal's main window but the window: the form
// and what is wrong with it, the model, the presets, the stage and what is kept between
// sessions. Videos are made by an engine, run after run by a queue, and kept by a library;
// here is what people see and do of them. It has no widgets and computes nothing.
//
//   - studio.go: a change of the state, and everything that follows from one. check.go: work
//     in the background on what the form holds; derive.go: what follows at once.
//   - form.go: Edit, by the table of settings. problem.go, messages.go: what is wrong.
//   - files.go, camera.go, model.go, get.go, preset.go, drop.go, runs.go, library.go, walk.go: the parts.
//   - snapshot.go: what a window is shown. settings.go: what is kept, and how it was before.
//
// A window shows a Snapshot and calls a Studio's methods:
//
//	st, err := studio.New(options)
//	stop := st.Subscribe(func(s studio.Snapshot) { fyne.Do(func() { window.show(s) }) })
//	entry.OnChanged = func(text string) { st.Edit(studio.FieldFrames, text) }
//
// Every method returns at once; files are read, runs made and settings saved in the
// background, and what comes of it appears in the next Snapshot. Methods may be
// called from any goroutine. What people read is typed (Code, Phase, library.State)
// with English words beside it, so that a window can translate it.
package studio
