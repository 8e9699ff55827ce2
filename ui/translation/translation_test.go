package translation

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/ui/studio"
)

func words(t *testing.T, language string) map[string]string {
	t.Helper()
	text, err := files.ReadFile(language + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]string
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

var places = regexp.MustCompile(`{{\.\w+}}`)

// Both languages have the same keys, with the same places to fill in.
func TestLanguagesAgree(t *testing.T) {
	en, zh := words(t, "en"), words(t, "zh")
	for key, text := range en {
		other, ok := zh[key]
		if !ok {
			t.Errorf("zh.json lacks %q", key)
			continue
		}
		a, b := places.FindAllString(text, -1), places.FindAllString(other, -1)
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%q has the places %v in English and %v in Chinese", key, a, b)
		}
	}
	for key := range zh {
		if _, ok := en[key]; !ok {
			t.Errorf("en.json lacks %q", key)
		}
	}
}

// used returns every key that the window's code asks for.
func used(t *testing.T) map[string]bool {
	keys := map[string]bool{}
	sources, err := filepath.Glob("../*.go")
	if err != nil || len(sources) == 0 {
		t.Fatal("no sources", err)
	}
	literal := regexp.MustCompile(`(?:\btr\(|appearance\([^,]+, |step\("\d", |item\(library\.\w+, |add\("\w+", |f\.(?:entry|choice|check|row)\()"([a-z_0-9]+(?:\.[a-z_0-9]+)*)"`)
	for _, path := range sources {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range literal.FindAllStringSubmatch(string(text), -1) {
			keys[m[1]] = true
		}
	}
	for key := range studio.English() {
		keys[key] = true
	}
	for _, s := range inference.Settings {
		if s.Form {
			keys[s.Name] = true
		}
	}
	for _, name := range append(studio.BuiltinCameras(), "none", "folder") {
		keys["camera."+name] = true
	}
	for _, d := range clip.Directions {
		keys["way."+string(d)] = true
	}
	for _, s := range []library.State{library.Queued, library.Running, library.Done, library.Failed, library.Cancelled, library.Interrupted} {
		keys["state."+string(s)] = true
	}
	for _, c := range []library.Cause{library.OutOfMemory, library.TooLarge, library.DeviceLost, library.GPUStopped, library.Unhealthy, library.DiskFull, library.FilesLost, library.Busy, library.Other} {
		keys["run."+string(c)] = true
	}
	for _, p := range []queue.Phase{queue.Starting, queue.Waiting, queue.Loading, queue.Quantizing, queue.EncodingText, queue.EncodingPicture,
		queue.Sampling, queue.Decoding, queue.Cancelling, queue.Finished} {
		keys["phase."+string(p)] = true
	}
	for _, f := range []studio.Field{studio.FieldFrames, studio.FieldSteps, studio.FieldSize, studio.FieldQuant, studio.FieldSeed} {
		keys[string(f)] = true
	}
	for _, id := range []string{studio.PresetQuick, studio.PresetProduction, studio.PresetFull, studio.PresetDemo} {
		keys["preset."+id] = true
	}
	for _, can := range []studio.WalkCan{studio.WalkChecking, studio.WalkWhole, studio.WalkServer, studio.WalkNoModel, studio.WalkPicture, studio.WalkPrompt} {
		keys["live.can."+string(can)] = true
	}
	for _, part := range []string{"", "high_noise_model", "low_noise_model", "causal_model", "text encoder", "tokenizer", "VAE"} {
		keys["part."+part] = true
	}
	return keys
}

// Every key that is asked for is there, and no other.
func TestKeys(t *testing.T) {
	asked, there := used(t), words(t, "en")
	for key := range asked {
		if _, ok := there[key]; !ok {
			t.Errorf("en.json lacks %q", key)
		}
	}
	for _, s := range inference.Settings { // what a form shows beside a setting's label, if it is there
		asked[s.Name+".hint"], asked[s.Name+".on"] = true, true
	}
	for key := range there {
		if !asked[key] {
			t.Errorf("en.json has %q, which nothing asks for", key)
		}
	}
}

// The English messages have the places that the studio fills.
func TestPlacesAreFilled(t *testing.T) {
	there := words(t, "en")
	for key, text := range studio.English() {
		for _, place := range places.FindAllString(there[key], -1) {
			if !strings.Contains(text, place) {
				t.Errorf("%s has the place %s, which the studio does not fill: %q", key, place, text)
			}
		}
	}
}

func TestLoad(t *testing.T) {
	for _, c := range []struct{ system, language, want string }{
		{"en_GB.UTF-8", "", "Generate"}, {"zh_CN.UTF-8", "", "生成"}, {"zh_TW.UTF-8", "", "生成"}, {"de_DE.UTF-8", "", "Generate"},
		{"en_GB.UTF-8", "zh", "生成"}, {"zh_CN.UTF-8", "en", "Generate"},
	} {
		t.Setenv("LANG", c.system)
		t.Setenv("LC_ALL", c.system)
		t.Setenv("LANGUAGE", "")
		if err := Load(c.language); err != nil {
			t.Fatal(err)
		}
		if got := T("generate"); runtime.GOOS == "linux" && got != c.want {
			t.Errorf("on a system in %s with %q chosen, it says %q, want %q", c.system, c.language, got, c.want)
		}
	}
	if err := Load("tlh"); err == nil {
		t.Error("Klingon is no language of the window")
	}
	if err := Load("en"); err != nil {
		t.Fatal(err)
	}
	if got := T("run.steps", map[string]any{"N": 7}); got != "7 steps" {
		t.Errorf("filled in: %q", got)
	}
	if got := T("no.such.key"); got != "no.such.key" {
		t.Errorf("of an unknown key: %q", got)
	}
}

// One thing is not called several.
func TestPlurals(t *testing.T) {
	if err := Load("en"); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[int]string{0: "0 runs", 1: "1 run", 2: "2 runs"} {
		if got := T("library.count", map[string]any{"N": n}); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	several := regexp.MustCompile(`\b1 (\w+ )?(runs|frames|steps|tokens|poses|latent frames)\b`)
	one := map[string]any{"N": 1, "Runs": 1, "Frames": 1, "Steps": 1, "Tokens": 1, "Count": 1, "Poses": 1, "Chunk": 1, "Least": 1, "Path": "p", "Seconds": "0.1", "Limit": 1,
		"Frame": 1, "Error": "0", "Scale": "1", "Pictures": 4}
	for key := range words(t, "en") {
		if text := T(key, one); several.MatchString(text) {
			t.Errorf("%s: %q", key, text)
		}
	}
}
