package weights

import "strings"

// keyLayouts are ways to name the tensors of the models, other than the original
// checkpoints': each turns the names in a file into the original ones, by which the tables
// and everything else know the tensors, or reports that they are none of its own. To add
// one: a file keys_NAME.go and an entry here.
var keyLayouts = []func(tensors map[string]*entry) (renamed map[string]*entry, ok bool){
	prefixed("model.diffusion_model."),
	prefixed("model."),
}

// prefixed are the original names behind a prefix that all of them have.
func prefixed(prefix string) func(map[string]*entry) (map[string]*entry, bool) {
	return func(tensors map[string]*entry) (map[string]*entry, bool) {
		for name := range tensors {
			if !strings.HasPrefix(name, prefix) {
				return nil, false
			}
		}
		renamed := make(map[string]*entry, len(tensors))
		for name, e := range tensors {
			renamed[name[len(prefix):]] = e
		}
		return renamed, true
	}
}

// canonical returns the tensors by the original names.
func canonical(tensors map[string]*entry) map[string]*entry {
	for _, layout := range keyLayouts {
		if renamed, ok := layout(tensors); ok {
			return renamed
		}
	}
	return tensors
}
