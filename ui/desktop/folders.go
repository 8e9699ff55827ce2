package desktop

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Folders are the user's folders for this program.
type Folders struct {
	Data  string // what cannot be made again: the library, presets
	Cache string // what can
	Log   string // log files
	Video string // finished videos
}

const name = "Gimbal"

// UserFolders returns the user's folders for this program; they need not be there yet.
func UserFolders() (Folders, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return Folders{}, fmt.Errorf("finding the folders for %s's data and logs: %w", name, err)
	}
	return foldersOf(runtime.GOOS, home, os.Getenv), nil
}

// foldersOf follows Apple's file system guide on a Mac and the XDG base directory
// specification elsewhere, which says to ignore relative paths.
func foldersOf(goos, home string, getenv func(string) string) Folders {
	if goos == "darwin" {
		library := filepath.Join(home, "Library")
		return Folders{
			Data:  filepath.Join(library, "Application Support", name),
			Cache: filepath.Join(library, "Caches", name),
			Log:   filepath.Join(library, "Logs", name),
			Video: filepath.Join(home, "Movies", name),
		}
	}
	xdg := func(variable, fallback string) string {
		if dir := getenv(variable); filepath.IsAbs(dir) {
			return filepath.Join(dir, name)
		}
		return filepath.Join(home, filepath.FromSlash(fallback), name)
	}
	return Folders{
		Data:  xdg("XDG_DATA_HOME", ".local/share"),
		Cache: xdg("XDG_CACHE_HOME", ".cache"),
		Log:   xdg("XDG_STATE_HOME", ".local/state"),
		Video: xdg("XDG_VIDEOS_DIR", "Videos"),
	}
}
