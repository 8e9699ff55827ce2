package inference_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
)

func TestPath(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	here, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"~":                                "/home/me",
		"~/a b.png":                        "/home/me/a b.png",
		"~you/a.png":                       "~you/a.png",
		"./~":                              "./~",
		"a/~/b":                            "a/~/b",
		"a.png":                            "a.png",
		" a.png":                           " a.png",
		"":                                 "",
		"file:///tmp/a%20b.png":            "/tmp/a b.png",
		"FILE:///tmp/%E5%B1%B1.png\n":      "/tmp/山.png",
		"file://localhost/tmp/a.png":       "/tmp/a.png",
		"file://" + here + "/tmp/a.png":    "/tmp/a.png",
		"file:/tmp/a.png":                  "/tmp/a.png",
		"file:///tmp/100%.png":             "/tmp/100%.png",
		"file:///tmp/a?b#c.png":            "/tmp/a?b#c.png",
		"file://elsewhere.example/tmp/a":   "file://elsewhere.example/tmp/a",
		"file:a.png":                       "file:a.png",
		"https://example.com/file:///a.md": "https://example.com/file:///a.md",
	} {
		if got := inference.Path(text); got != want {
			t.Errorf("%q is the path %q, want %q", text, got, want)
		}
	}
	var j inference.Job
	for _, s := range inference.Settings {
		if s.Use == inference.NoFile {
			continue
		}
		err := s.Set(&j, "~/x")
		if path, _, _ := strings.Cut(s.Text(j), ":"); err != nil || path != filepath.Join("/home/me", "x") { // a LoRA has strengths behind it
			t.Errorf("%s of ~/x is %q: %v", s.Name, s.Text(j), err)
		}
	}
}
