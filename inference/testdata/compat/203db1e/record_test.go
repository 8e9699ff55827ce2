package studio

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"gimbal/assets"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/quant"
	"gimbal/ui/library"
)

// TestRecord leaves a library and settings as a window of 203db1e does that was used for a
// while and then killed. See README.md for how it is run.
func TestRecord(t *testing.T) {
	const self = "/proc/self/cwd" // paths that hold wherever the folder is copied to
	t.Chdir(os.Getenv("GIMBAL_RECORD"))
	demo, err := assets.UnpackDemo(self + "/cache")
	must(t, err)
	must(t, os.CopyFS("model", os.DirFS(demo.Checkpoint)))
	must(t, os.CopyFS("camera", os.DirFS(filepath.Join(demo.Cameras, "strafe"))))
	must(t, os.Mkdir("trash", 0o755))
	engine := NewEngine(EngineOptions{
		Open:     func(context.Context) (device.Device, error) { return cpu.Open(cpu.Options{}) },
		RatesDir: "rates", Log: slog.New(slog.DiscardHandler),
	})
	st, err := New(Options{
		Engine: engine, Dir: self + "/own", OutputDir: self + "/videos", Trash: fakeTrash("trash"),
		Demo: func() (assets.Demo, error) { return demo, nil }, Log: slog.New(slog.DiscardHandler),
	})
	must(t, err)
	b := &bench{Studio: st, t: t}
	b.await("the start", func(s Snapshot) bool { return s.Model.Whole && s.Form.CanRun && s.Device.Ready })

	// One that is done.
	b.SetPicture(self + "/picture.png")
	b.SetCamera(Camera{Kind: CameraBuiltin, Name: "forward"})
	b.Edit(FieldPrompt, "a desert with a tree at dusk")
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSteps, "3")
	b.Edit(FieldSize, "3072")
	b.Edit(FieldSeed, "21")
	done := b.generate()
	b.finished(done.ID, library.Done)

	// One that is cancelled, and behind it one whose model is damaged while it waits.
	b.SetCamera(Camera{Kind: CameraFolder, Folder: self + "/camera"})
	b.Edit(FieldSteps, "24")
	b.Edit(FieldSolver, "dpm++")
	b.Edit(FieldQuant, "nf4-double")
	cancelled := b.generate()
	b.await("steps", func(s Snapshot) bool { return s.Run.Entry.ID == cancelled.ID && s.Run.Step >= 2 })
	b.Edit(FieldQuant, "none")
	b.SetModelFolder(self + "/model")
	b.Edit(FieldPrompt, "an empty plaza")
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSize, "3072")
	b.await("the model", func(s Snapshot) bool { return s.Model.Whole && !s.Model.Demo && s.Form.CanRun })
	failed := b.generate()
	must(t, os.Truncate("model/Wan2.1_VAE.pth", 1000))
	b.Cancel(cancelled.ID)
	b.finished(cancelled.ID, library.Cancelled)
	b.finished(failed.ID, library.Failed)

	// What the form and the settings hold.
	for field, text := range map[Field]string{
		FieldPrompt: "一片绿色的草地 \"with\" columns", FieldNegative: "blurry\nlow quality", FieldFrames: "41", FieldSize: "640x352", FieldSteps: "24",
		FieldSolver: "dpm++", FieldShift: "5.5", FieldGuidanceLow: "3.5", FieldGuidanceHigh: "4.25", FieldBoundary: "0.875",
		FieldSeed: "18446744073709551615", FieldNoise: "cpu", FieldFPS: "24", FieldVAEChunk: "2", FieldVAEThreshold: "9", FieldVAETile: "256",
		FieldAttnType: "f16", FieldQuant: "nf4-double",
	} {
		b.Edit(field, text)
	}
	b.SetOffload(false)
	b.SavePreset("Evening")
	b.Edit(FieldAttnChunk, "512")
	b.Edit(FieldAttnType, "bf16")
	b.SetQuant(quant.Options{Kind: quant.INT8})
	b.SavePreset("Chunks")
	b.Edit(FieldAttnChunk, "0")
	b.Edit(FieldAttnType, "f16")
	b.SetQuant(quant.Options{Kind: quant.NF4, Nested: true})
	b.SetDemo(true)
	b.SetLanguage("zh")
	b.SetAppearance("dark")
	b.SetWindow(1111, 777)
	form := b.Snapshot().Form.Inputs

	// One that runs and one that waits when the program is killed.
	b.SetCamera(Camera{})
	b.Edit(FieldPrompt, "a green meadow")
	b.Edit(FieldFrames, "5")
	b.Edit(FieldSteps, "24")
	b.Edit(FieldSize, "3072")
	b.Edit(FieldVAETile, "0")
	b.Edit(FieldQuant, "none")
	b.await("the demo", func(s Snapshot) bool { return s.Model.Whole && s.Model.Demo && s.Form.CanRun })
	running := b.generate()
	b.Edit(FieldPrompt, "a walk")
	b.await("the prompt", func(s Snapshot) bool { return s.Form.CanRun })
	b.generate()
	b.change(func(n *Snapshot) { n.Form.Inputs = form })
	b.await("steps", func(s Snapshot) bool { return s.Run.Entry.ID == running.ID && s.Run.Step >= 2 && len(s.Queue) == 1 })
	time.Sleep(500 * time.Millisecond) // the settings are written
	must(t, syscall.Kill(os.Getpid(), syscall.SIGKILL))
}
