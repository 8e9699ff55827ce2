package weights

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is the model that a set of tensors is of.
type Kind string

// The kinds.
const (
	KindExpert Kind = "expert"
	KindText   Kind = "text encoder"
	KindVAE    Kind = "VAE"
)

// keyLayout is a way to name the tensors of a model.
type keyLayout struct {
	kind      Kind
	signature []string  // names that tell it
	unless    [2]string // a name, if it is there, that must not be without the other
	rename    func(name string) string
}

// keyLayouts turn the names in a file into those of the original checkpoints, by which the
// tables and everything else know the tensors. To add one: a file keys_NAME.go and an entry
// here.
var keyLayouts = []keyLayout{
	{KindExpert, []string{"head.modulation", "text_embedding.2.weight", "blocks.0.self_attn.norm_q.weight"}, [2]string{}, asItIs},
	{KindText, []string{umt5Embedding, umt5Query}, [2]string{}, asItIs},
	{KindVAE, []string{"encoder.conv1.weight", "decoder.conv1.weight", "decoder.head.0.gamma"}, [2]string{}, asItIs},
	diffusersExpert, fastVideoExpert,
	huggingFaceText, llamaText,
	diffusersVAE,
}

func asItIs(name string) string { return name }

// keyPrefixes are what names may begin with: no more than one of them does in a model.
var keyPrefixes = []string{
	"model.diffusion_model.", "diffusion_model.", "net.", "transformer.",
	"text_encoders.umt5xxl.transformer.", "text_encoders.umt5xxl.", "cond_stage_model.transformer.", "cond_stage_model.", "text_encoder.",
	"first_stage_model.", "vae.",
	"model.", "module.", "_orig_mod.", "dit.",
}

// cutPrefix splits a name behind its prefix, "" if it has none.
func cutPrefix(name string) (prefix, rest string) {
	for _, p := range keyPrefixes {
		if rest, ok := strings.CutPrefix(name, p); ok {
			return p, rest
		}
	}
	return "", name
}

// model is a model among the tensors of a file.
type model struct {
	keyLayout
	prefix string
}

// models finds the models among tensors, at most one of each kind.
func models(tensors map[string]*entry) map[Kind]model {
	found := map[Kind]model{}
	for _, prefix := range append([]string{""}, keyPrefixes...) {
		for _, layout := range keyLayouts {
			if _, already := found[layout.kind]; already {
				continue
			}
			has := func(name string) bool { return tensors[prefix+name] != nil }
			if !slices.ContainsFunc(layout.signature, func(name string) bool { return !has(name) }) && has(layout.unless[0]) == has(layout.unless[1]) {
				found[layout.kind] = model{layout, prefix}
			}
		}
	}
	return found
}

// canonical returns the tensors by the original names: those of the one of the models in
// found that is of a kind, or, for no kind, of the only one. Names that the model has not
// stay.
func canonical(tensors map[string]*entry, found map[Kind]model, kind Kind) map[string]*entry {
	found = maps.Clone(found)
	if kind == "" && len(found) == 1 {
		kind = slices.Collect(maps.Keys(found))[0]
	}
	m, ok := found[kind]
	if !ok {
		return withoutPrefix(tensors)
	}
	delete(found, kind)
	renamed := make(map[string]*entry, len(tensors))
	for _, name := range slices.Backward(slices.Sorted(maps.Keys(tensors))) { // shared before encoder.embed_tokens
		to := name
		if rest, ok := strings.CutPrefix(name, m.prefix); ok {
			to = m.rename(rest)
		}
		if renamed[to] != nil {
			to = name // a second one: nobody uses it
		}
		if to != name || !belongs(name, found, m.prefix) {
			renamed[to] = tensors[name]
		}
	}
	if kind == KindExpert {
		unflattenPatch(renamed)
	}
	return renamed
}

// belongs reports whether a name is of another of the models in a file, in which this one
// has a prefix.
func belongs(name string, others map[Kind]model, prefix string) bool {
	for _, other := range others {
		if other.prefix != prefix && other.prefix != "" && strings.HasPrefix(name, other.prefix) || other.prefix == "" && prefix != "" {
			return true
		}
	}
	return false
}

// withoutPrefix strips a prefix that all names have.
func withoutPrefix(tensors map[string]*entry) map[string]*entry {
	for _, prefix := range keyPrefixes {
		renamed := make(map[string]*entry, len(tensors))
		for name, e := range tensors {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				renamed[rest] = e
			}
		}
		if len(renamed) > 0 && len(renamed) == len(tensors) {
			return renamed
		}
	}
	return tensors
}

// unflattenPatch undoes what stable-diffusion.cpp does to the one weight of five dimensions:
// [out*in frames rows columns].
func unflattenPatch(tensors map[string]*entry) {
	w, b := tensors[patchWeight], tensors["patch_embedding.bias"]
	if w == nil || b == nil || len(w.shape) != 4 || len(b.shape) != 1 {
		return
	}
	if out := b.shape[0]; out > 0 && w.shape[0]%out == 0 {
		reshaped := *w
		reshaped.shape = append([]int{out, w.shape[0] / out}, w.shape[1:]...)
		tensors[patchWeight] = &reshaped
	}
}

// rules rename modules, whatever tensor of theirs a name is of: from is the beginning of a
// name, in whole words between points, in which N is any number, which to then has again.
// The first one that fits counts.
type rules []struct{ from, to string }

func (r rules) rename(name string) string {
	words := strings.Split(name, ".")
	for _, rule := range r {
		if number, n := matches(words, strings.Split(rule.from, ".")); n > 0 {
			to := strings.Split(rule.to, ".")
			for i, word := range to {
				if word == "N" {
					to[i] = number
				}
			}
			return strings.Join(append(to, words[n:]...), ".")
		}
	}
	return name
}

// matches returns how many words a rule takes, 0 if it does not fit, and its number.
func matches(words, rule []string) (number string, n int) {
	if len(words) < len(rule) {
		return "", 0
	}
	for i, want := range rule {
		if want == "N" {
			if _, err := strconv.ParseUint(words[i], 10, 32); err != nil {
				return "", 0
			}
			number = words[i]
		} else if words[i] != want {
			return "", 0
		}
	}
	return number, len(rule)
}
