// Package studio is everything of Gimbal's main window but the window: the form
// and what is wrong with it, the model, the presets, the queue of runs, the stage,
// the library and the settings. It has no widgets and no device in it.
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
