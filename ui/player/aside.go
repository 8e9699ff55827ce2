package player

import "fyne.io/fyne/v2"

// Aside does work beside the window and then done in it: Background in the window, and in
// tests both at once.
type Aside func(work, done func())

// Background does work in a goroutine of its own, and done in the window's.
func Background(work, done func()) {
	go func() {
		work()
		fyne.Do(done)
	}()
}
