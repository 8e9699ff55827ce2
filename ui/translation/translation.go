// Package translation holds every word that Gimbal's window shows, in English and
// Simplified Chinese. A test holds the two files to each other and to the code.
//
// The files are in the format of Fyne's package lang, which is not what looks the words
// up: lang knows no language but the system's, and on a system in one that Fyne has and
// Gimbal has not (German, say) it would show keys.
package translation

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"text/template"

	"fyne.io/fyne/v2/lang"

	"gimbal/ui/studio"
)

//go:embed *.json
var files embed.FS

// Languages are the languages of the window.
var Languages = []string{"en", "zh"}

// chosen are the words that T returns. As in Fyne, a program has one language.
var chosen atomic.Pointer[map[string]string]

// Load chooses a language: one of Languages, or "" for the system's, or for English if
// the system's is none of them.
func Load(language string) error {
	if language == "" {
		language = "en"
		system, _, _ := strings.Cut(lang.SystemLocale().LanguageString(), "-")
		if slices.Contains(Languages, system) {
			language = system
		}
	}
	text, err := files.ReadFile(language + ".json")
	if err != nil {
		return fmt.Errorf("translations: no language %q, expected one of %q", language, Languages)
	}
	words := map[string]string{}
	if err := json.Unmarshal(text, &words); err != nil {
		return fmt.Errorf("translations: %s.json: %w", language, err)
	}
	chosen.Store(&words)
	return nil
}

// T returns the words of a key, their places filled from args, a map or a struct. A key
// that has no words is returned as it is.
func T(key string, args ...any) string {
	text, ok := Lookup(key, args...)
	if !ok {
		return key
	}
	return text
}

// Lookup is T for keys that may have no words.
func Lookup(key string, args ...any) (text string, ok bool) {
	words := chosen.Load()
	if words == nil {
		return "", false
	}
	text, ok = (*words)[key]
	if !ok || len(args) == 0 || !strings.Contains(text, "{{") {
		return text, ok
	}
	t, err := template.New(key).Funcs(template.FuncMap{"plural": studio.Plural}).Parse(text)
	if err != nil {
		return "", false
	}
	var filled strings.Builder
	if err := t.Execute(&filled, args[0]); err != nil {
		return "", false
	}
	return filled.String(), true
}
