package weights

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
)

// A file may hold more than its model reads. What that is decides: what stands beside a
// weight that is read, or looks like a scale, would change what the weight means, so that
// leaving it out gives a wrong result without a word; what belongs to another model's branch
// says that this is not the model. Such files are refused. What is known to be of no use is
// passed over, and the rest is told.

// ignorable are the last parts of the names of tensors that say nothing of a model's results:
// tables that are computed anew, what training kept, scales of activations, which stay in F32
// here, and a tokenizer.
var ignorable = []string{"freqs", "inv_freq", "position_ids", "num_batches_tracked", "_extra_state", "scale_input", "input_scale", spieceTensor}

// branches are parts of other models that have the rest in common with the ones here.
var branches = []struct{ part, of string }{
	{"img_emb", "the picture branch of Wan2.1"},
	{"k_img", "the picture branch of Wan2.1"},
	{"v_img", "the picture branch of Wan2.1"},
	{"vace_blocks", "VACE's control branch"},
	{"vace_patch_embedding", "VACE's control branch"},
	{"control_adapter", "Wan Fun's control branch"},
	{"ref_conv", "Wan Fun's reference branch"},
	{"face_adapter", "Wan Animate's face branch"},
	{"audio_injector", "the audio branch of Wan S2V"},
}

// scaleWords are parts of the names that scales of quantised weights have, between dots and
// underscores.
var scaleWords = []string{"scale", "scales", "scaled", "absmax", "amax", "scb", "zeros", "qzeros", "qweight", "quant", "qmap", "codebook"}

// Unused returns the names of the tensors in s that the model does not use, but for those
// that are known to be of no use to any.
func (t Table) Unused(s *Store) []string {
	used := make(map[string]bool, len(s.names))
	for _, spec := range t {
		used[spec.Name] = true
		for _, side := range s.format(spec.Name).sides(spec.Name) {
			used[side] = true
		}
	}
	return slices.DeleteFunc(s.Names(), func(name string) bool {
		return used[name] || slices.Contains(ignorable, lastPart(name))
	})
}

// checkUnused returns an error if s has tensors that the model does not use and that it
// would be wrong without.
func (t Table) checkUnused(s *Store) error {
	layers := make(map[string]bool, len(t))
	for _, spec := range t {
		if layer, _, ok := cutLast(spec.Name); ok && spec.Role != Modulation {
			layers[layer] = true
		}
	}
	found := map[reason][]string{}
	for _, name := range t.Unused(s) {
		if why := whyNeeded(name, layers); why != (reason{}) {
			found[why] = append(found[why], name)
		}
	}
	var errs []error
	for _, why := range slices.SortedFunc(maps.Keys(found), func(a, b reason) int { return cmp.Compare(a.found, b.found) }) {
		names := found[why]
		errs = append(errs, &TensorsError{s.fileOf(names[0]), names, "", why.found, why.want})
	}
	return errors.Join(errs...)
}

// reason says what a tensor is that a model must not leave out.
type reason struct{ found, want string }

var (
	scaleReason = reason{"what looks like scales of quantised weights",
		"weights that are not quantised, or in a format that is read here: without these tensors they would be wrong"}
	layerReason = reason{"parts of layers that are not known", "none: without them the layers would be wrong"}
)

// whyNeeded says why a model must not leave out the tensor called name; nothing if it may.
func whyNeeded(name string, layers map[string]bool) reason {
	parts := strings.Split(name, ".")
	for _, b := range branches {
		if slices.Contains(parts, b.part) {
			return reason{b.of, "none: that is another model"}
		}
	}
	if isScale(parts) {
		return scaleReason
	}
	for rest, _, ok := cutLast(name); ok; rest, _, ok = cutLast(rest) {
		if layers[rest] {
			return layerReason
		}
	}
	return reason{}
}

// isScale reports whether a tensor is called like what turns stored values into weights. A
// name is taken by whole words: cam_scale_layer.weight is no scale, nor is scale_shift_table.
func isScale(parts []string) bool {
	isWord := func(w string) bool { return slices.Contains(scaleWords, strings.TrimRight(w, "0123456789")) }
	words := strings.Split(strings.ToLower(parts[len(parts)-1]), "_")
	return slices.ContainsFunc(words, isWord) && !slices.Contains(words, "shift") || slices.ContainsFunc(parts, isWord) || slices.Contains(parts, "quant_state")
}

// lastPart returns what follows the last dot of a name.
func lastPart(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// cutLast cuts a name at its last dot.
func cutLast(name string) (before, after string, ok bool) {
	i := strings.LastIndexByte(name, '.')
	if i < 0 {
		return name, "", false
	}
	return name[:i], name[i+1:], true
}
