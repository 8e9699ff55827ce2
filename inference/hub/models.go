package hub

import (
	"path"
	"slices"
	"strings"

	"gimbal/inference"
)

// Model is a model that can be fetched by its name.
type Model struct {
	Name    string // such as "lingbot-world-base-cam"
	Title   string
	Variant string          // of the engine's; "" for one that is not among them
	Quant   inference.Quant // of its experts' weights
	Licence string          // "" for what the repository states
	// NonCommercial says that the licence wants to be accepted.
	NonCommercial bool
	Sources       []Source
}

// Source is a repository of which a model takes files.
type Source struct {
	Repo string   // such as "robbyant/lingbot-world-base-cam"
	Into string   // folder for them in the model's; "" for that itself
	Only []string // what the files' names begin with; all if there is none
}

// assets are the files of an original checkpoint besides its transformers.
var assets = []string{"models_t5_umt5-xxl-enc-bf16.pth", "Wan2.1_VAE.pth", "google/"}

const (
	baseCam = "robbyant/lingbot-world-base-cam"
	v2Large = "robbyant/lingbot-world-v2-14b-causal-fast"

	apache        = "Apache-2.0"
	nonCommercial = "CC BY-NC-SA 4.0"
)

// Models are the models that there are. To add one: a row. A fast model without the rest takes
// that from another of the family, so that what is fetched runs by itself.
var Models = []Model{
	{"lingbot-world-base-cam", "LingBot-World base (cam)", "base-cam", "", apache, false, []Source{{Repo: baseCam}}},
	{"lingbot-world-base-act", "LingBot-World base (act)", "base-act", "", apache, false, []Source{{Repo: "robbyant/lingbot-world-base-act"}}},
	{"lingbot-world-fast", "LingBot-World fast (cam)", "fast-cam", "", apache, false, []Source{
		{Repo: "robbyant/lingbot-world-fast", Into: "lingbot_world_fast"}, {Repo: baseCam, Only: assets}}},
	{"lingbot-world-v2-14b-causal-fast", "LingBot-World 2.0 14B, causal-fast", "v2-14b-fast", "", nonCommercial, true, []Source{{Repo: v2Large}}},
	{"lingbot-world-v2-1.3b-causal-fast", "LingBot-World 2.0 1.3B, causal-fast", "v2-1.3b-fast", "", nonCommercial, true, []Source{
		{Repo: "robbyant/lingbot-world-v2-1.3b-causal-fast"}, {Repo: v2Large, Only: assets}}},
	{"lingbot-world-base-cam-nf4", "LingBot-World base (cam) in NF4, by cahlen", "base-cam", inference.QuantNF4, "", false, []Source{{Repo: "cahlen/lingbot-world-base-cam-nf4"}}},
	{"wan2.2-i2v-a14b", "Wan2.2-I2V-A14B, without camera control", "wan2.2-i2v", "", apache, false, []Source{{Repo: "Wan-AI/Wan2.2-I2V-A14B"}}},
}

// FindModel returns the model of a name, or of any repository, OWNER/NAME; its licence is then not
// known here.
func FindModel(name string) (Model, bool) {
	for _, m := range Models {
		if strings.EqualFold(m.Name, name) {
			return m, true
		}
	}
	owner, repo, ok := strings.Cut(name, "/")
	if !ok || owner == "" || repo == "" || strings.Trim(name, repoCharacters) != "" || strings.Count(name, "/") != 1 {
		return Model{}, false
	}
	return Model{Name: repo, Title: name, Sources: []Source{{Repo: name}}}, true
}

const repoCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./"

// takes reports whether a source takes a repository's file: not what only its page shows.
func (s Source) takes(name string) bool {
	if name == ".gitattributes" || strings.HasPrefix(name, "assets/") || slices.Contains([]string{".mp4", ".gif"}, strings.ToLower(path.Ext(name))) {
		return false
	}
	return len(s.Only) == 0 || slices.ContainsFunc(s.Only, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}
