package ui

import (
	"context"
	"slices"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"

	"gimbal/inference/queue"
)

// closeTime is how long the studio may take to save what runs.
const closeTime = 5 * time.Second

// Close ends the program, after a question if a run is under way.
func (w *Window) Close() {
	if w.closing {
		return
	}
	now := w.studio.Snapshot() // w.now may be a tenth of a second old
	if !now.Busy() {
		w.quit()
		return
	}
	var words []string
	if now.Here() {
		words = append(words, tr("quit.text"))
	}
	if slices.ContainsFunc(now.UnderWay(), func(r queue.Run) bool { return r.Entry.Settings.Server != "" }) {
		words = append(words, tr("quit.text_server"))
	}
	text := widget.NewLabel(strings.Join(words, "\n"))
	d := dialog.NewCustomConfirm(tr("quit.title"), tr("quit.yes"), tr("quit.no"), text, func(yes bool) {
		if yes {
			w.quit()
		}
	}, w.window)
	w.open(d)
}

// quit keeps the window's size and closes the studio, without blocking the window.
func (w *Window) quit() {
	w.closing = true
	if !w.full {
		size := w.window.Canvas().Size()
		w.studio.SetWindow(size.Width, size.Height)
	}
	w.stage.player.Pause()
	w.stage.preview.halt()
	stop := w.stop
	go func() {
		if stop != nil {
			stop()
		}
		ctx, cancel := context.WithTimeout(context.Background(), closeTime)
		defer cancel()
		if err := w.studio.Close(ctx); err != nil {
			w.options.Log.Warn("closing", "err", err)
		}
		fyne.Do(func() {
			w.window.SetCloseIntercept(nil)
			w.window.Close()
		})
	}()
}
