// Package translation holds every word that Gimbal's window shows, in English and
// Simplified Chinese, for Fyne's package lang. A test holds the two files to each
// other and to the code.
package translation

import (
	"embed"
	"fmt"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"
)

//go:embed *.json
var files embed.FS

// Languages are the languages of the window.
var Languages = []string{"en", "zh"}

// Load makes the words known to Fyne. They appear in the system's language if it is
// one of Languages and else in English; language, if not empty, takes its place.
func Load(language string) error {
	for _, l := range Languages {
		words, err := files.ReadFile(l + ".json")
		if err == nil {
			err = lang.AddTranslations(fyne.NewStaticResource(l+".json", words))
		}
		if err != nil {
			return fmt.Errorf("translations: %w", err)
		}
	}
	if language == "" {
		return nil
	}
	words, err := files.ReadFile(language + ".json")
	if err != nil {
		return fmt.Errorf("translations: no language %q, expected one of %q", language, Languages)
	}
	// lang only knows the system's language, so that gets the words of the chosen one.
	return lang.AddTranslationsForLocale(words, lang.SystemLocale())
}

// T returns the words of a key, their places filled from args, a map or a struct.
func T(key string, args ...any) string { return lang.X(key, key, args...) }
