// Package ui is Gimbal's window: thin Fyne views over studio's view-model. A view
// shows what a Snapshot says and tells the Studio what the user does; it decides
// nothing. All of it runs in Fyne's goroutine, a Snapshot comes ten times per second at
// most, and a view only touches what differs from the one before.
//
//   - look, part, plot, player are the theme and the widgets, which know nothing of Gimbal.
//   - live_*.go are the page of walks; get.go is where models are downloaded.
//   - translation holds all words, in English and Simplified Chinese.
//   - studio is what the window shows and what its controls do; desktop is the system.
//   - field.go makes the controls of settings: to place one in the form takes one line.
//
// Fyne's clipboard only has text: copied pictures come from the desktop.
package ui
