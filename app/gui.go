//go:build !headless

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"image"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"
	"fyne.io/fyne/v2/dialog"
	"github.com/google/renameio/v2"

	_ "gimbal/app/internal/clocale"
	"gimbal/assets"
	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/hub"
	"gimbal/inference/live"
	"gimbal/inference/service/client"
	"gimbal/ui"
	"gimbal/ui/desktop"
	"gimbal/ui/studio"
)

const windowUsage = "open the window"

// runWindow opens the window and returns when it is closed. Files and folders are
// taken as if they were dropped on it.
func runWindow(ctx context.Context, files []string, stderr io.Writer) error {
	switch err := desktop.CheckDisplay(); {
	case errors.Is(err, desktop.ErrNoDisplay):
		printUsage(stderr)
		return usagef("%w: give a command", err)
	case err != nil:
		return usagef("the window cannot be opened: %w; correct that, or give a command ('gimbal help' lists them)", err)
	}
	folders, err := desktop.UserFolders()
	if err != nil {
		return err
	}
	log, file, err := openLog(folders.Log, stderr)
	if err != nil {
		return err
	}
	defer file.Close()
	slog.SetDefault(log) // Fyne's messages, too
	log.Info("started", "version", version, "commit", commit(), "system", runtime.GOOS+"/"+runtime.GOARCH)

	var gui fyne.App
	desk, err := desktop.New(desktop.Options{
		Log: log, Main: fyne.Do, Files: absolute(files),
		Notify: func(title, body string) { gui.SendNotification(fyne.NewNotification(title, body)) },
	})
	if err != nil {
		return err
	}
	gui = newApp()
	if err := showWindow(ctx, gui, desk, log); err != nil {
		log.Error("the window does not open", "err", err)
		showFailure(gui, err)
		return err
	}
	return nil
}

// absolute returns paths that stay the same wherever the program goes.
func absolute(paths []string) []string {
	var all []string
	for _, path := range paths {
		if abs, err := filepath.Abs(path); err == nil {
			all = append(all, abs)
		}
	}
	return all
}

// newApp returns Fyne's part of the program. What Fyne knows of the program is not read
// from FyneApp.toml, which is not there where the program runs.
func newApp() fyne.App {
	const id = "io.github.gimbal"
	icon := fyne.NewStaticResource("icon.png", assets.Icon)
	app.SetMetadata(fyne.AppMetadata{ID: id, Name: "Gimbal", Version: version, Icon: icon})
	gui := app.NewWithID(id)
	gui.SetIcon(icon)
	return gui
}

// showWindow puts the window and what is behind it together, and returns when the
// window is closed.
func showWindow(ctx context.Context, gui fyne.App, desk desktop.Desktop, log *slog.Logger) error {
	folders := desk.Folders()
	local := engine.NewLocal(engine.Options{
		Open: func(context.Context) (device.Device, error) {
			return defaultDevice().open(func(text string) { log.Info(text) })
		}, Log: log,
	})
	st, err := studio.New(studio.Options{
		Engine: local, OpenWalk: func(ctx context.Context, r engine.Request) (live.Walker, error) {
			w, err := local.OpenWalk(ctx, r, func(inference.Event) {})
			if err != nil {
				return nil, err
			}
			return live.Of(w), nil
		}, Connect: func(server, key string) (engine.Engine, error) {
			c, err := client.New(server, key)
			if err != nil {
				return nil, err
			}
			return client.NewEngine(c, log), nil
		},
		Hub: func(token string) (*hub.Client, error) {
			o := hub.FromEnvironment()
			o.Token, o.Log = cmp.Or(token, o.Token), log
			return hub.New(o)
		},
		Keys: desktop.NewKeys(filepath.Join(folders.Data, "keys.json")), Dir: folders.Data, OutputDir: folders.Video, Demo: unpackDemo, Trash: desk, Log: log,
	})
	if err != nil {
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
		defer cancel()
		if err := st.Close(ctx); err != nil {
			log.Warn("closing", "err", err)
		}
	}()
	window, err := ui.New(ui.Options{App: gui, Studio: st, Desktop: desk, About: ui.About{Version: version, Build: commit()}, Log: log})
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { fyne.Do(gui.Quit) })()
	if path := os.Getenv(layoutVariable); path != "" {
		go writeLayout(window, path, log)
	}
	window.Run()
	return nil
}

// endTime is how long saving what runs may take at the end.
const endTime = 5 * time.Second

// showFailure says in a window why there is no other: nobody sees the terminal of a
// program that was started by double-click.
func showFailure(gui fyne.App, err error) {
	w := gui.NewWindow("Gimbal")
	w.Resize(fyne.NewSize(480, 240))
	shown := dialog.NewError(err, w)
	shown.SetOnClosed(gui.Quit)
	shown.Show()
	w.ShowAndRun()
}

// layoutVariable names a file for where the parts of the window are, which tests of
// the real window click on.
const layoutVariable = "GIMBAL_TEST_LAYOUT"

func writeLayout(window *ui.Window, path string, log *slog.Logger) {
	for ; ; time.Sleep(100 * time.Millisecond) {
		var layout map[string]image.Rectangle
		fyne.DoAndWait(func() { layout = ui.Rectangles(window) })
		text, err := json.Marshal(layout)
		if err == nil {
			err = renameio.WriteFile(path, text, 0o644)
		}
		if err != nil {
			log.Error("writing the window's layout", "err", err)
			return
		}
	}
}
