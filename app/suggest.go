package main

import (
	"flag"
	"maps"
	"slices"
	"strings"
)

// otherNames are what other programs call a flag where nothing else shows it.
var otherNames = map[string]string{
	"cfg": "sample_guide_scale", "cfg_scale": "sample_guide_scale", "scale": "sample_guide_scale", "guidance": "sample_guide_scale",
	"steps": "sample_steps", "num_steps": "sample_steps", "num_inference_steps": "sample_steps", "seed": "base_seed",
	"n": "frame_num", "length": "frame_num", "video_length": "frame_num",
	"width": "size", "height": "size", "w": "size", "h": "size", "resolution": "size", "area": "max_area",
	"sampler": "sample_solver", "scheduler": "sample_solver",
	"o": "save_file", "out": "save_file", "output": "save_file", "output_path": "save_file", "outfile": "save_file",
	"model": "ckpt_dir", "checkpoint": "ckpt_dir", "model_path": "ckpt_dir", "ckpt": "ckpt_dir", "m": "ckpt_dir",
	"input": "image", "i": "image", "img": "image", "p": "prompt", "n_prompt": "negative_prompt", "neg_prompt": "negative_prompt", "negative": "negative_prompt", "poses": "action_path", "camera": "action_path", "trajectory": "action_path",
	"dtype": "compute", "precision": "compute", "vram": "memory_limit", "memory": "memory_limit", "v": "version",
}

// suggestFlag returns the flag that a name most likely means, "" if none is near.
func suggestFlag(fs *flag.FlagSet, name string) string {
	var names []string
	fs.VisitAll(func(f *flag.Flag) {
		if ignored[f.Name] == "" {
			names = append(names, f.Name)
		}
	})
	name = strings.ReplaceAll(strings.ToLower(name), "-", "_")
	if slices.Contains(names, otherNames[name]) {
		return otherNames[name]
	}
	if near := nearest(name, names); near != "" {
		return near
	}
	if other := otherNames[nearest(name, slices.Collect(maps.Keys(otherNames)))]; slices.Contains(names, other) {
		return other
	}
	return ""
}

// nearest returns the one of names that is most like name, "" if none is: the same but for
// a few letters, or, as seed and base_seed, sharing most words.
func nearest(name string, names []string) string {
	best, least := "", 0.0
	for _, candidate := range names {
		d := min(float64(distance(name, candidate))/float64(max(len(name), len(candidate))), 1-sharedWords(name, candidate))
		if best == "" || d < least {
			best, least = candidate, d
		}
	}
	if least > 0.4 {
		return ""
	}
	return best
}

// sharedWords returns the share of the words of two names that are in both, of the name
// that has fewer; a little less where the other one has more.
func sharedWords(a, b string) float64 {
	x, y := strings.Split(a, "_"), strings.Split(b, "_")
	shared := 0
	for _, word := range x {
		if slices.ContainsFunc(y, func(other string) bool { return sameWord(word, other) }) {
			shared++
		}
	}
	fewer := min(len(x), len(y))
	return float64(shared)/float64(fewer) - 0.05*float64(len(x)+len(y)-2*fewer)
}

// sameWord reports whether two words are one, in whatever number or ending, or cut short.
func sameWord(a, b string) bool {
	a, b = strings.TrimSuffix(a, "s"), strings.TrimSuffix(b, "s")
	short := min(len(a), len(b))
	return a == b || short >= 3 && a[:short] == b[:short] || short >= 4 && a[:4] == b[:4]
}

// distance is how many letters must be put in, taken away, changed or swapped with their
// neighbour to make b of a.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
