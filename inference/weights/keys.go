package weights

import "strings"

// keyLayout is a way to name the tensors of the models: it turns the names in a file
// into those of the original checkpoints, by which the tables and everything else know
// the tensors.
type keyLayout struct {
	detect func(names map[string]*entry) bool
	rename func(name string) string
}

// keyLayouts are looked through in this order for one that a file's names are in. To add
// one: a file keys_NAME.go and an entry here.
var keyLayouts = []keyLayout{
	prefixed("model.diffusion_model."),
	prefixed("model."),
}

// prefixed are the original names behind a prefix that all of them have.
func prefixed(prefix string) keyLayout {
	return keyLayout{
		detect: func(names map[string]*entry) bool {
			for name := range names {
				if !strings.HasPrefix(name, prefix) {
					return false
				}
			}
			return len(names) > 0
		},
		rename: func(name string) string { return strings.TrimPrefix(name, prefix) },
	}
}

// canonical returns the tensors by the original names.
func canonical(tensors map[string]*entry) map[string]*entry {
	for _, layout := range keyLayouts {
		if !layout.detect(tensors) {
			continue
		}
		renamed := make(map[string]*entry, len(tensors))
		for name, e := range tensors {
			renamed[layout.rename(name)] = e
		}
		return renamed
	}
	return tensors
}
