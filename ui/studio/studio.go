package studio

import (
	"context"
	"image"
	"log/slog"

	"gimbal/assets"
	"gimbal/inference/quant"
	"gimbal/ui/library"
)

// Options say what a Studio works with.
type Options struct {
	Engine Engine
	// Dir is the program's own folder, for settings.json, library/ and pasted/.
	Dir string
	// OutputDir is the folder for videos until the user chooses another.
	OutputDir string
	// Demo unpacks the demo model and says where it is.
	Demo func() (assets.Demo, error)
	// Trash takes what is deleted from the library.
	Trash library.Trash
	// Process returns the program's resident memory in bytes; nil for the real one.
	Process func() int64
	Log     *slog.Logger
}

// Studio is the view-model of the main window.
type Studio struct{}

// New opens the library and the settings in Options.Dir and starts to look at the
// last inputs in the background. It fails with library.ErrInUse if another Gimbal
// has that folder, and if the folder cannot be written.
func New(o Options) (*Studio, error) { return &Studio{}, nil }

// Close cancels what is under way, which the library then shows as interrupted and
// offers to resume, saves the settings and closes the library and the engine. It
// returns ctx's error if that ends first.
func (s *Studio) Close(ctx context.Context) error { return nil }

// Snapshot returns the state as it is now: what Edit changed is in it.
func (s *Studio) Snapshot() Snapshot { return Snapshot{} }

// Subscribe calls f with the state, at once and after changes, from a goroutine of
// its own, one call at a time and at most ten a second; the last change always
// arrives. The returned function ends that.
func (s *Studio) Subscribe(f func(Snapshot)) (stop func()) { return func() {} }

// Edit takes what was typed or chosen in a field. Text that is no valid value stays
// as it is (Form.Text), has a Problem, and leaves the last valid value in Inputs.
func (s *Studio) Edit(field Field, text string) {}

// SetPicture chooses the picture to start from; "" for none.
func (s *Studio) SetPicture(path string) {}

// PastePicture chooses a picture that is not a file: data in any of the formats of
// package picture. It is kept in Options.Dir.
func (s *Studio) PastePicture(data []byte) {}

// SetCamera chooses the camera path.
func (s *Studio) SetCamera(c Camera) {}

// SetQuant chooses how the weights are kept.
func (s *Studio) SetQuant(q quant.Options) {}

// SetOffload says whether one expert's working memory is kept at a time.
func (s *Studio) SetOffload(on bool) {}

// RollSeed draws a new seed.
func (s *Studio) RollSeed() {}

// LockSeed says whether Generate keeps the seed or draws a new one.
func (s *Studio) LockSeed(on bool) {}

// SetDemo asks for the demo model even where a model folder is chosen.
func (s *Studio) SetDemo(on bool) {}

// SetModelFolder chooses the model folder; "" forgets it, and the demo model is used.
func (s *Studio) SetModelFolder(path string) {}

// SetOutputDir chooses the folder for videos.
func (s *Studio) SetOutputDir(path string) {}

// SetWindow remembers the window's size, in Fyne's units.
func (s *Studio) SetWindow(width, height float32) {}

// SetLanguage chooses the language, "" for the system's.
func (s *Studio) SetLanguage(tag string) {}

// SetAppearance chooses "light", "dark", or "" for the system's.
func (s *Studio) SetAppearance(name string) {}

// UsePreset sets the form to a preset's values. "demo" also chooses the demo model,
// its picture, camera path and prompt; the other built-in presets go back to the
// model folder if there is one.
func (s *Studio) UsePreset(id string) {}

// SavePreset keeps the form's values under a name, in place of one's own preset of
// that name.
func (s *Studio) SavePreset(name string) {}

// RenamePreset renames one of one's own presets.
func (s *Studio) RenamePreset(id, name string) {}

// DeletePreset deletes one of one's own presets.
func (s *Studio) DeletePreset(id string) {}

// Drop takes files and folders that were dropped, opened from the Finder or pasted
// as paths (file:// addresses too): pictures, action folders or a file in one, a
// model folder, a video or sidecar that Gimbal made. A notice explains the others.
func (s *Studio) Drop(paths []string) {}

// Generate queues a run of what the form holds. If something is wrong, it only sets
// Form.Attempted; while files are still being read, it waits for that.
func (s *Studio) Generate() {}

// Cancel ends a run or takes it off the queue. What it saved stays for Resume.
func (s *Studio) Cancel(id library.ID) {}

// Resume queues a run that was interrupted, cancelled or failed, from where it was.
func (s *Studio) Resume(id library.ID) {}

// Search sets the library's query: words that all occur in a run's settings.
func (s *Studio) Search(query string) {}

// Show puts a run on the stage; "" clears it.
func (s *Studio) Show(id library.ID) {}

// Thumbnail returns a run's thumbnail, nil if it has none. It may read a little from
// disk.
func (s *Studio) Thumbnail(id library.ID) image.Image { return nil }

// CopySettings fills the form with a run's settings.
func (s *Studio) CopySettings(id library.ID) {}

// Delete takes a run out of the library and moves its files to the trash.
func (s *Studio) Delete(id library.ID) {}

// Export writes a run's video to path, a folder for library.ExportPNGs and else a
// file. Snapshot.Exports shows how far it is and a notice how it ended.
func (s *Studio) Export(id library.ID, kind library.ExportKind, path string) {}

// Dismiss removes a notice.
func (s *Studio) Dismiss(notice uint64) {}
