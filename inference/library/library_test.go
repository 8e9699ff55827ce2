package library

import (
	"encoding/json"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/inference"
	"gimbal/inference/video"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t testing.TB, dir string) *Library {
	t.Helper()
	l, err := Open(dir)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

func settings(prompt, output string) Settings {
	job := inference.DefaultJob()
	job.Prompt, job.Output, job.Frames, job.Quant = prompt, output, 5, inference.QuantNF4
	return Settings{Job: job, Camera: "forward"}
}

// finished adds a run that is done, with frames of its own.
func finished(t testing.TB, l *Library, dir, prompt string) Entry {
	t.Helper()
	e, err := l.Create(settings(prompt, filepath.Join(dir, prompt+".mp4")))
	must(t, err)
	frames, err := video.CreatePNGs(l.FramesDir(e.ID))
	must(t, err)
	for i := range 5 {
		must(t, frames.WriteFrame(gradient(i)))
	}
	base := filepath.Join(dir, prompt)
	e.State, e.Video, e.ContactSheet, e.Sidecar = Done, base+".mp4", base+".png", base+".json"
	for _, path := range []string{e.Video, e.ContactSheet, e.Sidecar} {
		must(t, os.WriteFile(path, []byte(prompt), 0o644))
	}
	must(t, l.Put(e))
	return e
}

// gradient is a frame of many colours that tells its number.
func gradient(i int) *image.RGBA {
	img := image.NewRGBA(image.Rect(0, 0, 96, 64))
	for y := range 64 {
		for x := range 96 {
			img.SetRGBA(x, y, color.RGBA{uint8(2*x + 10*i), uint8(4 * y), uint8(255 - x - y), 255})
		}
	}
	return img
}

// TestSlowDisk makes sure that what the library knows is told while a disk is waited for.
func TestSlowDisk(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	e := finished(t, l, dir, "a red fox")
	before := l.Version()
	slow, err := l.db.Begin(true) // what writes to the database waits for this
	must(t, err)
	kept := make(chan error)
	e.Device = "slow"
	go func() { kept <- l.Put(e) }()
	for ; ; time.Sleep(time.Millisecond) { // the copy in the run's folder comes first
		text, err := os.ReadFile(filepath.Join(l.Folder(e.ID), entryName))
		must(t, err)
		if strings.Contains(string(text), `"slow"`) {
			break
		}
	}
	if now, ok := l.Get(e.ID); !ok || now.Device != "" || l.Version() != before || len(l.Search("fox")) != 1 {
		t.Errorf("before it is on disk: %+v, version %d", now, l.Version())
	}
	must(t, slow.Rollback())
	must(t, <-kept)
	if now, _ := l.Get(e.ID); now.Device != "slow" || l.Version() != before+1 {
		t.Errorf("then: %+v, version %d", now, l.Version())
	}
}

func TestKeeps(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	a, b := finished(t, l, dir, "a red fox"), finished(t, l, dir, "A blue whale")
	must(t, l.SetThumbnail(a.ID, gradient(0)))
	must(t, l.Close())
	if err := l.Put(a); err == nil {
		t.Error("a closed library takes entries")
	}
	l = open(t, dir)
	all := l.Search("")
	if len(all) != 2 || all[0].ID != b.ID || all[1].Settings != a.Settings || len(l.Report().Interrupted) != 0 {
		t.Errorf("entries %+v", all)
	}
	for query, want := range map[string]int{"fox": 1, "BLUE a": 1, "red blue": 0, "nf4 forward": 2, "seed:42": 2, "done": 2, "failed": 0} {
		if got := len(l.Search(query)); got != want {
			t.Errorf("%q finds %d, want %d", query, got, want)
		}
	}
	thumb, err := l.Thumbnail(a.ID)
	must(t, err)
	if thumb.Bounds().Dx() != 96 {
		t.Errorf("thumbnail %v", thumb.Bounds())
	}
	if _, err := l.Thumbnail(b.ID); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no thumbnail: %v", err)
	}
}

func TestInUse(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	if _, err := Open(dir); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
	must(t, l.Close())
	open(t, dir)
}

// TestDamaged damages the database in many ways. Whatever happens, all runs are there
// afterwards.
func TestDamaged(t *testing.T) {
	whole := t.TempDir()
	l := open(t, whole)
	for _, prompt := range []string{"one", "two", "three"} {
		finished(t, l, whole, prompt)
	}
	must(t, l.Close())
	database, err := os.ReadFile(filepath.Join(whole, databaseName))
	must(t, err)
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, len(database))
	for i := range noise {
		noise[i] = byte(random.Uint32())
	}
	damages := map[string]func([]byte) []byte{
		"empty":     func([]byte) []byte { return nil }, // bbolt makes a new one
		"no room":   func(b []byte) []byte { return b[:100] },
		"cut":       func(b []byte) []byte { return b[:8192] },
		"cut later": func(b []byte) []byte { return b[:len(b)-4096] },
		"noise":     func(b []byte) []byte { return noise },
		"zeros":     func(b []byte) []byte { return make([]byte, len(b)) },
		"entry":     func(b []byte) []byte { return replace(b, `"state":"done"`, `"state"?"done"`) },
	}
	for k := range 25 {
		damages["page "+string(rune('A'+k))] = func(b []byte) []byte {
			at := 8192 + random.IntN(len(b)-8192-64) // behind the two meta pages
			copy(b[at:], noise[:64])
			return b
		}
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "library")
			must(t, os.CopyFS(dir, os.DirFS(whole)))
			path := filepath.Join(dir, databaseName)
			must(t, os.WriteFile(path, damage(append([]byte(nil), database...)), 0o644))
			l := open(t, dir)
			if n := len(l.Search("")); n != 3 {
				t.Fatalf("%d runs, report %+v", n, l.Report())
			}
			if aside := l.Report().SetAside; aside != "" {
				if _, err := os.Stat(aside); err != nil || l.Report().Rebuilt != 3 {
					t.Errorf("report %+v, %v", l.Report(), err)
				}
			}
			if l.Report().Rebuilt == 0 && !strings.HasPrefix(name, "page") && name != "cut later" { // free pages may be anything
				t.Error("nothing is said of it")
			}
			finished(t, l, dir, "four")
		})
	}
}

func replace(b []byte, old, new string) []byte {
	for i := range len(b) - len(old) {
		if string(b[i:i+len(old)]) == old {
			copy(b[i:], new)
		}
	}
	return b
}

// TestKilled opens the library of a program that was killed.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	done, err := l.Create(settings("done", filepath.Join(dir, "done.mp4")))
	must(t, err)
	dead, err := l.Create(settings("dead", filepath.Join(dir, "dead.mp4")))
	must(t, err)
	for _, e := range []Entry{done, dead} {
		e.State = Running
		must(t, l.Put(e))
	}
	must(t, os.WriteFile(filepath.Join(dir, "done.mp4"), []byte("video"), 0o644))
	must(t, video.WriteSidecar(filepath.Join(dir, "done.json"), map[string]int{"width": 32, "height": 16, "frames": 5}))
	must(t, l.Close())

	l = open(t, dir)
	if e, _ := l.Get(done.ID); e.State != Done || e.Frames != 5 || e.Video == "" {
		t.Errorf("its video is there: %+v", e)
	}
	if e, _ := l.Get(dead.ID); e.State != Interrupted || e.CanResume() {
		t.Errorf("it has no state: %+v", e)
	}
	if r := l.Report(); len(r.Interrupted) != 1 || r.Interrupted[0] != dead.ID {
		t.Errorf("report %+v", r)
	}
}

type trash string

func (t trash) Trash(path string) error {
	return os.Rename(path, filepath.Join(string(t), filepath.Base(path)))
}

type noTrash struct{}

func (noTrash) Trash(string) error { return errors.New("full") }

func TestDelete(t *testing.T) {
	dir, bin := t.TempDir(), t.TempDir()
	l := open(t, dir)
	e := finished(t, l, dir, "fox")
	if err := l.Delete(e.ID, noTrash{}); err == nil {
		t.Fatal("deleted although the trash is full")
	}
	if _, ok := l.Get(e.ID); !ok {
		t.Error("gone although the trash is full")
	}
	waiting, err := l.Create(settings("waiting", filepath.Join(dir, "w.mp4")))
	must(t, err)
	if err := l.Delete(waiting.ID, trash(bin)); err == nil {
		t.Error("deleted while it waits")
	}
	must(t, os.Remove(e.Sidecar)) // the user was faster
	must(t, l.Delete(e.ID, trash(bin)))
	if _, err := os.Stat(filepath.Join(bin, "fox.mp4")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(l.Folder(e.ID)); err == nil {
		t.Error("its folder is there")
	}
	must(t, l.Close())
	if l = open(t, dir); len(l.Search("")) != 1 {
		t.Errorf("left: %+v", l.Search(""))
	}
}

func TestVideo(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	e := finished(t, l, dir, "fox")
	v, err := l.Video(e.ID)
	must(t, err)
	if v.Frames != 5 || v.Width != 96 || v.Height != 64 || v.FPS != 16 {
		t.Errorf("video %+v", v)
	}
	v.Prefetch(3, 5)
	for i := range 5 {
		frame, err := v.Frame(i)
		must(t, err)
		if want := gradient(i); string(frame.Pix) != string(want.Pix) {
			t.Errorf("frame %d is not exact", i)
		}
		if v.Cached(i) != frame {
			t.Errorf("frame %d is not kept", i)
		}
	}
	for _, i := range []int{-1, 5} {
		if _, err := v.Frame(i); err == nil {
			t.Errorf("frame %d is there", i)
		}
	}
}

// TestVideoMemory makes sure that few frames of a large video stay in memory.
func TestVideoMemory(t *testing.T) {
	v := &Video{Width: 4096, Height: 2048, Frames: 1000, decoded: map[int]*image.RGBA{}}
	for i := range v.Frames {
		v.cache(i, image.NewRGBA(image.Rect(0, 0, 1, 1)))
	}
	if len(v.decoded) != 4 || len(v.used) != 4 || v.Cached(999) == nil || v.Cached(0) != nil {
		t.Errorf("%d frames are kept", len(v.decoded))
	}
}

func TestExport(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	e := finished(t, l, dir, "fox")
	out := func(name string) string { return filepath.Join(dir, "out", name) }
	must(t, os.Mkdir(out(""), 0o755))
	last := 0
	progress := func(done, total int) {
		if last = done; total != 5 {
			t.Errorf("%d of %d", done, total)
		}
	}
	for kind, name := range map[ExportKind]string{ExportMP4: "v.mp4", ExportGIF: "v.gif", ExportPNGs: "frames", ExportSheet: "s.png"} {
		if last = 5; kind != ExportMP4 {
			last = 0
		}
		must(t, l.Export(t.Context(), e.ID, kind, out(name), progress))
		if last != 5 {
			t.Errorf("%s: progress ends at %d", kind, last)
		}
	}
	if text, err := os.ReadFile(out("v.mp4")); err != nil || string(text) != "fox" {
		t.Errorf("%q, %v", text, err)
	}
	checkGIF(t, out("v.gif"))
	frame, err := readPNG(framePath(out("frames"), 4))
	must(t, err)
	if string(frame.Pix) != string(gradient(4).Pix) {
		t.Error("exported frame is not exact")
	}
	f, err := os.Open(out("s.png"))
	must(t, err)
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	for _, err := range []error{
		l.Export(t.Context(), e.ID, ExportPNGs, out("frames"), progress), // frames are there
		l.Export(t.Context(), e.ID, ExportMP4, e.Video, progress),        // onto itself
		l.Export(t.Context(), e.ID, "avi", out("v.avi"), progress),
		l.Export(t.Context(), "x", ExportMP4, out("x.mp4"), progress),
	} {
		if err == nil {
			t.Error("no error")
		}
	}
	if text, _ := os.ReadFile(e.Video); string(text) != "fox" {
		t.Error("the video is harmed")
	}
}

// checkGIF looks at an animation's times, and at how near its colours come.
func checkGIF(t *testing.T, path string) {
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	g, err := gif.DecodeAll(f)
	must(t, err)
	total := 0
	for _, d := range g.Delay {
		total += d
	}
	if len(g.Image) != 5 || total != 31 || g.LoopCount != 0 {
		t.Errorf("%d pictures, %d/100 s, loops %d", len(g.Image), total, g.LoopCount)
	}
	for i, img := range g.Image {
		if d := blurDifference(img, gradient(i)); d > 6 {
			t.Errorf("picture %d is off by %.1f of 255 on average", i, d)
		}
	}
}

// blurDifference compares means over 8x8 pixels, as an eye sees dithering.
func blurDifference(a, b image.Image) float64 {
	var sum float64
	n := 0
	for y := 0; y < 64; y += 8 {
		for x := 0; x < 96; x += 8 {
			for c := range 3 {
				sum += max(mean(a, x, y, c)-mean(b, x, y, c), mean(b, x, y, c)-mean(a, x, y, c))
				n++
			}
		}
	}
	return sum / float64(n)
}

func mean(img image.Image, x0, y0, c int) float64 {
	var sum uint32
	for y := range 8 {
		for x := range 8 {
			r, g, b, _ := img.At(x0+x, y0+y).RGBA()
			sum += [3]uint32{r, g, b}[c] >> 8
		}
	}
	return float64(sum) / 64
}

// TestEntryJSON makes sure that entries survive as they are kept.
func TestEntryJSON(t *testing.T) {
	l := open(t, t.TempDir())
	e := finished(t, l, t.TempDir(), "fox")
	text, err := json.Marshal(e)
	must(t, err)
	var again Entry
	must(t, json.Unmarshal(text, &again))
	if again.Settings != e.Settings || again.Video != e.Video || !again.Created.Equal(e.Created) {
		t.Errorf("%+v, want %+v", again, e)
	}
}

func BenchmarkFrame(b *testing.B) {
	dir := b.TempDir()
	frames, err := video.CreatePNGs(dir)
	must(b, err)
	img := image.NewRGBA(image.Rect(0, 0, 832, 480))
	for i := range img.Pix {
		img.Pix[i] = byte(i*i>>9 | i<<3)
		if i%4 == 3 {
			img.Pix[i] = 255
		}
	}
	must(b, frames.WriteFrame(img))
	for b.Loop() {
		if _, err := readPNG(framePath(dir, 0)); err != nil {
			b.Fatal(err)
		}
	}
}

// TestOldEntries opens runs that commit 203db1e kept.
func TestOldEntries(t *testing.T) {
	dir := t.TempDir()
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "203db1e"))))
	l := open(t, dir)
	all := l.Search("")
	if len(all) != 2 || l.Report().Rebuilt != 2 {
		t.Fatalf("entries %+v", all)
	}
	cancelled, done := all[0], all[1]
	want := inference.Job{
		Image: "/home/ada/demo/pictures/meadow.png", Prompt: "a meadow", NegativePrompt: "fog",
		Recipe: inference.Recipe{Frames: 9, MaxArea: 9216, Steps: 3, Solver: "dpm++", Shift: 2.5, Guidance: inference.Guidance{Low: 2, High: 4}, Boundary: 0.8},
		Seed:   7, NoiseRNG: "cpu", FPS: 24, Quant: inference.QuantNF4Double, Output: done.Video,
		VAEChunk: 2, VAEChunkThreshold: 9, VAETile: 128, AttentionDType: "f16",
	}
	if done.Settings.Job != want || done.Settings.Camera != "orbit-left" || done.State != Done {
		t.Errorf("%+v, want the job %+v", done, want)
	}
	if cancelled.Settings.Job.Quant != inference.QuantINT8 || cancelled.Settings.Job.ActionPath != "/home/ada/camera" || !cancelled.CanResume() {
		t.Errorf("%+v", cancelled)
	}
	must(t, l.Put(done)) // as it is kept now
	must(t, l.Close())
	if again, _ := open(t, dir).Get(done.ID); again.Settings != done.Settings {
		t.Errorf("%+v, want %+v", again.Settings, done.Settings)
	}
}

func TestMadeBy(t *testing.T) {
	dir := t.TempDir()
	l := open(t, dir)
	before := l.Version()
	e := finished(t, l, dir, "fox")
	if l.Version() == before {
		t.Error("the version did not grow")
	}
	if id, ok := l.MadeBy(e.Sidecar); !ok || id != e.ID {
		t.Errorf("the sidecar is of %q, %t", id, ok)
	}
	for _, path := range []string{"", filepath.Join(dir, "whale.mp4")} {
		if id, ok := l.MadeBy(path); ok {
			t.Errorf("%q is of %q", path, id)
		}
	}
}
