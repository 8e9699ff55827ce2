package ui

import (
	"context"
	"fmt"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"golang.org/x/image/draw"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/keyframes"
	"gimbal/inference/library"
	"gimbal/inference/live"
	"gimbal/inference/queue"
	"gimbal/ui/desktop"
	"gimbal/ui/studio"
)

// fake is a Studio that shows what a test says and writes down what the window asks.
type fake struct {
	snapshot studio.Snapshot
	mu       sync.Mutex
	calls    []string
	thumb    image.Image

	path      keyframes.Path // in the editor
	recording studio.Recording
}

func (f *fake) note(format string, args ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, fmt.Sprintf(format, args...))
}

func (f *fake) asked(call string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.calls, call)
}

func (f *fake) Snapshot() studio.Snapshot                     { return f.snapshot }
func (f *fake) Subscribe(func(studio.Snapshot)) (stop func()) { return func() {} }
func (f *fake) Edit(field studio.Field, text string)          { f.note("edit %s %s", field, text) }
func (f *fake) SetPicture(path string)                        { f.note("picture %s", path) }
func (f *fake) SetCamera(name string)                         { f.note("camera %s", name) }
func (f *fake) SetCameraFolder(path string)                   { f.note("camera folder %s", path) }
func (f *fake) EditablePath() (keyframes.Path, int)           { return f.path, 81 }
func (f *fake) EditorPicture() image.Image                    { return nil }
func (f *fake) UsePath(p keyframes.Path)                      { f.path = p; f.note("use path") }
func (f *fake) GenerateOn(p keyframes.Path)                   { f.path = p; f.note("generate on path") }
func (f *fake) ExportPath(_ keyframes.Path, folder string)    { f.note("export path %s", folder) }
func (f *fake) ReadPath(string) (studio.Recording, error)     { return f.recording, nil }
func (f *fake) ActionsPath(keys string) (keyframes.Path, error) {
	return (*studio.Studio)(nil).ActionsPath(keys)
}
func (f *fake) Undo()                            { f.note("undo") }
func (f *fake) Redo()                            { f.note("redo") }
func (f *fake) Compare(id library.ID)            { f.note("compare %s", id) }
func (f *fake) SetVariations(n int)              { f.note("variations %d", n) }
func (f *fake) KeepAgainst()                     { f.note("keep against") }
func (f *fake) ForgetAgainst()                   { f.note("forget against") }
func (f *fake) LockSeed(on bool)                 { f.note("lock %t", on) }
func (f *fake) NewSeed()                         { f.note("new seed") }
func (f *fake) Drop(paths []string)              { f.note("drop %v", paths) }
func (f *fake) PastePicture(data []byte)         { f.note("paste %s", data) }
func (f *fake) SetModelFolder(path string)       { f.note("model %s", path) }
func (f *fake) SetAssetsFolder(path string)      { f.note("assets %s", path) }
func (f *fake) AskHub()                          { f.note("ask hub") }
func (f *fake) ChooseGet(name string)            { f.note("choose %s", name) }
func (f *fake) SetModelsFolder(path string)      { f.note("models %s", path) }
func (f *fake) AcceptLicence(on bool)            { f.note("accept %t", on) }
func (f *fake) SetHubToken(token string)         { f.note("token %s", token) }
func (f *fake) BeginGet()                        { f.note("begin") }
func (f *fake) PauseGet()                        { f.note("pause") }
func (f *fake) ResumeGet()                       { f.note("go on") }
func (f *fake) CancelGet()                       { f.note("give up") }
func (f *fake) SetDemo(on bool)                  { f.note("demo %t", on) }
func (f *fake) SetServer(address, key string)    { f.note("server %s %s", address, key) }
func (f *fake) SetServerModel(name string)       { f.note("server model %s", name) }
func (f *fake) SetOutputDir(path string)         { f.note("output %s", path) }
func (f *fake) SetLanguage(tag string)           { f.note("language %s", tag) }
func (f *fake) SetAppearance(name string)        { f.note("appearance %s", name) }
func (f *fake) SetWindow(width, height float32)  { f.note("window %g %g", width, height) }
func (f *fake) UseFewSteps()                     { f.note("few steps") }
func (f *fake) UsePreset(id string)              { f.note("preset %s", id) }
func (f *fake) SavePreset(name string)           { f.note("save %s", name) }
func (f *fake) RenamePreset(id, name string)     { f.note("rename %s %s", id, name) }
func (f *fake) DeletePreset(id string)           { f.note("delete preset %s", id) }
func (f *fake) MakeFit()                         { f.note("fit") }
func (f *fake) Generate()                        { f.note("generate") }
func (f *fake) Cancel(id library.ID)             { f.note("cancel %s", id) }
func (f *fake) Resume(id library.ID)             { f.note("resume %s", id) }
func (f *fake) Show(id library.ID)               { f.note("show %s", id) }
func (f *fake) Search(query string)              { f.note("search %s", query) }
func (f *fake) Thumbnail(library.ID) image.Image { return f.thumb }
func (f *fake) CopySettings(id library.ID)       { f.note("copy %s", id) }
func (f *fake) Export(id library.ID, k library.ExportKind, p string) {
	f.note("export %s %s %s", id, k, p)
}
func (f *fake) StartWalk(in live.Input)          { f.note("walk %v %v", in.Move, in.Turn) }
func (f *fake) ContinueWalk(dir string)          { f.note("continue %s", dir) }
func (f *fake) EndWalk()                         { f.note("end walk") }
func (f *fake) DeleteWalk(dir string)            { f.note("delete walk %s", dir) }
func (f *fake) OnWalkPicture(func(live.Picture)) {}
func (f *fake) HoldWalk(in live.Input)           { f.note("hold %v %v %t", in.Move, in.Turn, in.Slow) }
func (f *fake) DragWalk(right, up float64)       { f.note("drag %.3f %.3f", right, up) }
func (f *fake) SayWalk(prompt string)            { f.note("say %s", prompt) }
func (f *fake) PauseWalk(on bool)                { f.note("pause %t", on) }
func (f *fake) IdleWalk(on bool)                 { f.note("idle %t", on) }
func (f *fake) GoWalk(chunk int)                 { f.note("go %d", chunk) }
func (f *fake) NameWalk(chunk int, name string)  { f.note("name %d %s", chunk, name) }
func (f *fake) WalkThumb(int) image.Image        { return f.thumb }
func (f *fake) SaveWalk()                        { f.note("save walk") }
func (f *fake) SaveWalkCamera(dir string)        { f.note("save camera %s", dir) }
func (f *fake) UseWalkCamera()                   { f.note("use camera") }
func (f *fake) Delete(id library.ID)             { f.note("delete %s", id) }
func (f *fake) Dismiss(notice uint64)            { f.note("dismiss %d", notice) }
func (f *fake) Close(context.Context) error      { f.note("close"); return nil }

// newTestWindow returns a window over a fake studio, in English whatever the system's
// language, width by height large.
func newTestWindow(t *testing.T, s studio.Snapshot, width, height float32) (*Window, *fake) {
	t.Helper()
	if s.Settings.Language == "" {
		s.Settings.Language = "en"
	}
	app := test.NewTempApp(t)
	f := &fake{snapshot: s, thumb: photo(t, "plaza"), path: keyframes.Start()}
	w, err := New(Options{App: app, Studio: f, Desktop: desktop.NewRecorder(t.TempDir()), About: About{Version: "0.1.0"}, Log: slog.New(slog.DiscardHandler), every: still, aside: atOnce})
	if err != nil {
		t.Fatal(err)
	}
	w.window.Resize(fyne.NewSize(width, height))
	t.Cleanup(func() {
		w.stage.player.Pause()
		w.stage.preview.halt()
		w.window.SetCloseIntercept(nil)
		w.window.Close()
	})
	return w, f
}

// still moves nothing by itself.
func still(time.Duration, func()) (stop func()) { return func() {} }

// atOnce does in the test's goroutine what the window does beside itself.
func atOnce(work, done func()) { work(); done() }

// photo is one of the pictures that ship with Gimbal.
func photo(t testing.TB, name string) *image.RGBA {
	t.Helper()
	file, err := os.Open(filepath.Join("..", "assets", "pictures", name+".png"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	img, _, err := image.Decode(file)
	if err != nil {
		t.Fatal(err)
	}
	out := image.NewRGBA(img.Bounds())
	draw.Draw(out, out.Bounds(), img, img.Bounds().Min, draw.Src)
	return out
}

// empty is the state of the first start.
func empty() studio.Snapshot {
	s := studio.Snapshot{Version: 1}
	s.Form.Revision = 1
	s.Form.Inputs = studio.DefaultInputs()
	s.Form.Frames, s.Form.Seconds = s.Form.Inputs.Job.Frames, float64(s.Form.Inputs.Job.Frames)/16
	s.Form.Problems = []studio.Problem{
		{Field: studio.FieldPicture, Level: studio.Error, Code: studio.PictureMissing, Text: "Choose a picture"},
		{Field: studio.FieldPrompt, Level: studio.Error, Code: studio.PromptEmpty, Text: "Say in words"},
	}
	s.Model = studio.Model{Demo: true, Model: engine.Model{Whole: true, HasCamera: true}}
	s.Device = studio.Device{Ready: true, Device: engine.Device{Name: "Apple M3 Ultra", Limit: 400e9}}
	s.Settings.OutputDir = "/Users/ada/Movies/Gimbal"
	for i, name := range []string{"Quick", "Production", "Full length", "Demo"} {
		s.Presets = append(s.Presets, studio.Preset{
			ID: []string{"quick", "production", "full", "demo"}[i], Name: name, Builtin: true,
			Values:   inference.Job{Recipe: inference.Recipe{Frames: []int{5, 41, 81, 17}[i], Steps: []int{5, 20, 70, 12}[i]}},
			Estimate: studio.Estimate{Known: true, Time: about([]time.Duration{95, 3200, 21000, 16}[i] * time.Second), Memory: []int64{38e9, 52e9, 71e9, 3e8}[i]},
		})
	}
	return s
}

func about(d time.Duration) inference.Estimate { return inference.Estimate{Likely: d, High: d} }

// filled has a picture, a path and a prompt.
func filled(t testing.TB) studio.Snapshot {
	s := empty()
	f := &s.Form
	f.Problems, f.CanRun = nil, true
	job := &f.Inputs.Job
	job.Image, job.Prompt = "/Users/ada/Pictures/plaza.png", "A slow walk over a plaza in the morning light, long shadows on the stone"
	job.Frames, job.Steps, f.Frames, f.Seconds = 41, 20, 41, 41.0/16
	f.Inputs.Camera = "orbit-left"
	f.Picture = studio.Picture{Path: job.Image, Width: 832, Height: 480, Thumb: photo(t, "plaza")}
	f.Camera = orbit(t)
	f.Tokens, f.NegativeTokens = engine.Tokens{N: 23, Limit: 512}, engine.Tokens{N: 198, Limit: 512}
	f.Width, f.Height = 832, 480
	f.Estimate = s.Presets[1].Estimate
	s.Presets[1].Current = true
	for _, name := range []string{"plaza", "meadow", "desert"} {
		s.Recents = append(s.Recents, studio.Recent{Path: "/p/" + name, Thumb: photo(t, name)})
	}
	s.Device.Unsupported = map[inference.Quant]string{inference.QuantINT8: "INT8 needs Metal 3.1, this Mac has 3.0."}
	return s
}

// orbit is a built-in path as the form has it.
func orbit(t testing.TB) studio.CameraPath {
	t.Helper()
	return studio.BuiltinCamera("orbit-left", 41)
}

// watching has a video on the stage, made by the library from frames on disk.
func watching(t testing.TB) studio.Snapshot {
	t.Helper()
	s := filled(t)
	l, err := library.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	e, err := l.Create(entry("", library.Done, s.Form.Inputs.Job.Prompt).Settings)
	if err != nil {
		t.Fatal(err)
	}
	e.State, e.Frames, e.Width, e.Height, e.Settings.Job.FPS = library.Done, 12, 208, 128, 16
	if err := l.Put(e); err != nil {
		t.Fatal(err)
	}
	dir := l.FramesDir(e.ID)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range e.Frames {
		writeFrame(t, filepath.Join(dir, fmt.Sprintf("frame_%05d.png", i+1)), photo(t, []string{"plaza", "meadow", "desert"}[i/4]))
	}
	v, err := l.Video(e.ID)
	if err != nil {
		t.Fatal(err)
	}
	for i := range v.Frames {
		if _, err := v.Frame(i); err != nil {
			t.Fatal(err)
		}
	}
	s.Stage = studio.Stage{Entry: e, Video: v, Camera: orbit(t)}
	return s
}

func writeFrame(t testing.TB, path string, img image.Image) {
	t.Helper()
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := png.Encode(file, img); err != nil {
		t.Fatal(err)
	}
}

// running is in the middle of a run.
func running(t testing.TB) studio.Snapshot {
	s := filled(t)
	s.Run = queue.Run{
		Entry: entry("r1", library.Running, s.Form.Inputs.Job.Prompt), Phase: queue.Sampling, Step: 7, Steps: 20, FirstStep: 1,
		Expert: "high_noise_model", StepSeconds: 47.3, Elapsed: 391 * time.Second, Remaining: 702 * time.Second, Fraction: 0.36,
		Memory: queue.Memory{Memory: engine.Memory{Device: 51.4e9, Limit: 400e9}, Process: 2.1e9},
	}
	for _, name := range []string{"plaza", "meadow"} {
		s.Run.Preview = append(s.Run.Preview, library.Shrink(photo(t, name), 104))
	}
	s.Waiting = []library.Entry{entry("q1", library.Queued, "A desert at dusk")}
	return s
}

func entry(id library.ID, state library.State, prompt string) library.Entry {
	job := inference.DefaultJob()
	job.Prompt, job.Frames, job.Steps = prompt, 41, 20
	return library.Entry{
		ID: id, State: state, Settings: library.Settings{Job: job, Camera: "orbit-left"}, Device: "Apple M3 Ultra",
		Created: time.Date(2026, 11, 20, 9, 41, 0, 0, time.UTC), Seconds: 1093, Width: 832, Height: 480, Frames: 41,
		RunDir: map[bool]string{true: "/runs/" + string(id)}[state != library.Done], Steps: 7, Video: "/Users/ada/Movies/Gimbal/plaza.mp4",
	}
}

// withRuns has runs in all states.
func withRuns(t testing.TB) studio.Snapshot {
	s := filled(t)
	states := []library.State{library.Running, library.Done, library.Done, library.Interrupted, library.Failed, library.Done, library.Cancelled}
	prompts := []string{"A slow walk over a plaza in the morning light", "A meadow in the wind", "Over the dunes at dusk", "A harbour in the rain",
		"Snow in the old town", "A lane between white houses", "A path along the cliffs"}
	for i, state := range states {
		e := entry(library.ID(fmt.Sprint("e", i)), state, prompts[i])
		if state == library.Failed {
			e.Error = "step 9 (low_noise_model, block 3): the output has NaN"
		}
		s.Library.Entries = append(s.Library.Entries, e)
	}
	s.Library.Total = len(states)
	return s
}

// layOut lays the window out anew, as the real driver does before it draws.
func layOut(w *Window) {
	canvas := w.window.Canvas()
	for range 2 {
		for _, root := range append([]fyne.CanvasObject{canvas.Content()}, canvas.Overlays().List()...) {
			relayout(root)
		}
	}
}

func relayout(o fyne.CanvasObject) {
	switch o := o.(type) {
	case *fyne.Container:
		if o.Layout != nil {
			o.Layout.Layout(o.Objects, o.Size())
		}
		for _, child := range o.Objects {
			relayout(child)
		}
	case fyne.Widget:
		r := test.WidgetRenderer(o)
		r.Layout(o.Size())
		for _, child := range r.Objects() {
			relayout(child)
		}
	}
}
