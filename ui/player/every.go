package player

import (
	"time"

	"fyne.io/fyne/v2"
)

// Every calls f again and again until stop is called: a Ticker in the window, and in
// tests whatever holds still.
type Every func(interval time.Duration, f func()) (stop func())

// Ticker calls f in the window's goroutine.
func Ticker(interval time.Duration, f func()) (stop func()) {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(interval)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				fyne.Do(f)
			}
		}
	}()
	return func() { close(done) }
}
