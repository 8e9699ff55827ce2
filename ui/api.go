package ui

import (
	"context"
	"image"
	"log/slog"

	"fyne.io/fyne/v2"

	"gimbal/inference/keyframes"
	"gimbal/inference/library"
	"gimbal/inference/live"
	"gimbal/ui/desktop"
	"gimbal/ui/player"
	"gimbal/ui/studio"
)

// Studio is what the window needs of a studio.Studio.
type Studio interface {
	Snapshot() studio.Snapshot
	Subscribe(f func(studio.Snapshot)) (stop func())

	Edit(field studio.Field, text string)
	SetPicture(path string)
	SetCamera(name string)
	SetCameraFolder(path string)
	EditablePath() (p keyframes.Path, frames int)
	EditorPicture() image.Image
	UsePath(p keyframes.Path)
	GenerateOn(p keyframes.Path)
	ExportPath(p keyframes.Path, folder string)
	ReadPath(path string) (studio.Recording, error)
	ActionsPath(actions string) (keyframes.Path, error)
	Undo()
	Redo()
	LockSeed(on bool)
	NewSeed()
	Drop(paths []string)
	PastePicture(data []byte)

	SetModelFolder(path string)
	SetAssetsFolder(path string)
	SetDemo(on bool)
	SetServer(address, key string)
	SetServerModel(name string)
	SetOutputDir(path string)
	SetLanguage(tag string)
	SetAppearance(name string)
	SetWindow(width, height float32)

	AskHub()
	ChooseGet(name string)
	SetModelsFolder(path string)
	AcceptLicence(on bool)
	SetHubToken(token string)
	BeginGet()
	PauseGet()
	ResumeGet()
	CancelGet()

	UseFewSteps()
	UsePreset(id string)
	SavePreset(name string)
	RenamePreset(id, name string)
	DeletePreset(id string)

	Generate()
	MakeFit()
	Cancel(id library.ID)
	Resume(id library.ID)

	Show(id library.ID)
	Compare(id library.ID)
	SetVariations(n int)
	KeepAgainst()
	ForgetAgainst()
	Search(query string)
	Thumbnail(id library.ID) image.Image
	CopySettings(id library.ID)
	Export(id library.ID, kind library.ExportKind, path string)
	Delete(id library.ID)
	Dismiss(notice uint64)

	StartWalk(held live.Input)
	ContinueWalk(dir string)
	EndWalk()
	DeleteWalk(dir string)
	OnWalkPicture(f func(live.Picture))
	HoldWalk(in live.Input)
	DragWalk(right, up float64)
	SayWalk(prompt string)
	PauseWalk(on bool)
	IdleWalk(on bool)
	GoWalk(chunk int)
	NameWalk(chunk int, name string)
	WalkThumb(chunk int) image.Image
	SaveWalk()
	SaveWalkCamera(dir string)
	UseWalkCamera()

	Close(ctx context.Context) error
}

var _ Studio = (*studio.Studio)(nil)

// Options are what the window needs of the program.
type Options struct {
	App     fyne.App
	Studio  Studio
	Desktop desktop.Desktop
	About   About
	Log     *slog.Logger

	every player.Every // moves videos and previews; nil for a player.Ticker
	aside player.Aside // reads pictures; nil for player.Background
}

// About is what the About box says, beside the licences.
type About struct {
	Version string
	Build   string // such as the commit
}
