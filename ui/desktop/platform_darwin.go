package desktop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"unsafe"

	"github.com/progrium/macdriver/macos/appkit"
	"github.com/progrium/macdriver/macos/foundation"
	"github.com/progrium/macdriver/objc"
	"github.com/sqweek/dialog"

	"gimbal/ui/desktop/awake"
)

// mac is a Mac.
type mac struct{ main func(func()) }

func newPlatform(o Options, opened func(paths []string)) platform {
	receiveFiles(o.Log, opened)
	return mac{o.Main}
}

// receiveFiles teaches the application's delegate, which is GLFW's and exists once
// GLFW starts, to take files and folders from the Finder and the Dock.
func receiveFiles(log *slog.Logger, opened func(paths []string)) {
	delegate := objc.GetClass("GLFWApplicationDelegate")
	if delegate.Ptr() == nil {
		log.Warn("files cannot be opened from the Finder: there is no GLFWApplicationDelegate")
		return
	}
	objc.AddMethod(delegate, objc.Sel("application:openURLs:"), func(_, _ objc.Object, urls []foundation.URL) {
		var paths []string
		for _, u := range urls {
			paths = append(paths, u.Path())
		}
		go opened(paths)
	})
}

// pooled runs f with an autorelease pool, for goroutines have none.
func pooled(f func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	objc.WithAutoreleasePool(f)
}

func (mac) setIcon(png []byte) {
	pooled(func() {
		var icon appkit.Image
		if png != nil {
			icon = appkit.NewImageWithData(png)
		}
		appkit.Application_SharedApplication().SetApplicationIconImage(icon)
	})
}

func (mac) keepAwake(reason string) (release func(), err error) { return awake.Keep(reason) }

func (mac) reveal(path string) error {
	pooled(func() {
		appkit.Workspace_SharedWorkspace().ActivateFileViewerSelectingURLs([]foundation.IURL{pathURL(path)})
	})
	return nil
}

func (mac) open(url string) (err error) {
	pooled(func() {
		// Not the binding, which reads a BOOL as if it were a word.
		if objc.Call[uintptr](appkit.Workspace_SharedWorkspace(), objc.Sel("openURL:"), foundation.URL_URLWithString(url))&0xff == 0 {
			err = fmt.Errorf("no program opens %s", url)
		}
	})
	return err
}

func (mac) trash(path string) (err error) {
	pooled(func() {
		var cause unsafe.Pointer // NSError*
		if objc.Call[uintptr](foundation.FileManager_DefaultManager(), objc.Sel("trashItemAtURL:resultingItemURL:error:"),
			pathURL(path), nil, unsafe.Pointer(&cause))&0xff != 0 {
			return
		}
		err = fmt.Errorf("moving %s to the trash failed", path)
		if cause != nil {
			err = fmt.Errorf("%w: %s", err, foundation.ErrorFrom(cause).LocalizedDescription())
		}
	})
	return err
}

func pathURL(path string) foundation.URL { return foundation.URL_URLWithString(fileURL(path)) }

func (mac) pick(p Panel) (path string, err error) {
	folder := ""
	if p.Folder != "" {
		folder = fileURL(p.Folder) // the panel takes a URL for its folder
	}
	if p.Kind == PickFolder {
		path, err = dialog.Directory().Title(p.Title).SetStartDir(folder).Browse()
	} else {
		b := dialog.File().Title(p.Title).SetStartDir(folder).SetStartFile(p.Name)
		if len(p.Extensions) > 0 {
			b = b.Filter(p.Filter, p.Extensions...)
		}
		if p.Kind == SaveFile {
			path, err = b.Save()
		} else {
			path, err = b.Load()
		}
	}
	if errors.Is(err, dialog.ErrCancelled) {
		return "", nil
	}
	return path, err
}

// clipboardTypes are the pictures that the pasteboard is asked for: what was copied as a file
// has it before TIFF, which the system makes of any picture.
var clipboardTypes = []appkit.PasteboardType{appkit.PasteboardTypePNG, "public.jpeg", "public.heic", "public.avif", "org.webmproject.webp", "com.compuserve.gif", appkit.PasteboardTypeTIFF}

// clipboardPicture reads the pasteboard on the window's thread, for that one's text is
// read there too, and it is not for several threads at once.
func (m mac) clipboardPicture(ctx context.Context) ([]byte, error) {
	read := make(chan []byte, 1)
	m.main(func() {
		pooled(func() {
			board := appkit.Pasteboard_GeneralPasteboard()
			if board.StringForType(appkit.PasteboardTypeFileURL) != "" {
				read <- nil // the Finder copied a file; the picture beside it is its icon
				return
			}
			var data []byte
			for _, kind := range clipboardTypes {
				if data = board.DataForType(kind); data != nil {
					break
				}
			}
			read <- data
		})
	})
	select {
	case data := <-read:
		return data, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
