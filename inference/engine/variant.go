package engine

import (
	"path/filepath"

	"gimbal/inference"
	"gimbal/inference/weights"
)

// Variant is a model of the LingBot-World family.
type Variant struct {
	Name    string // such as "v2-1.3b-fast"
	Title   string // such as "LingBot-World 2.0 1.3B, causal-fast"
	Licence string // such as "Apache-2.0"
	Dims    weights.Dims
	Recipe  inference.Recipe // of its makers
}

// Commercial reports whether its licence allows commercial use.
func (v Variant) Commercial() bool { return v.Licence != nonCommercial }

// The licences of the family.
const (
	apache        = "Apache-2.0"
	nonCommercial = "CC BY-NC-SA 4.0"
)

// The entries of the schedule of 1000 at which the fast models take their steps.
const (
	indexV1 = "0,179,358,679"
	indexV2 = "0,250,500,750"
)

// Variants are the models that there are. Recipes are those of the reference's command line.
var Variants = []Variant{
	{"base-cam", "LingBot-World base (cam)", apache, weights.LingBotWorld, inference.DefaultRecipe()},
	{"base-act", "LingBot-World base (act)", apache, weights.LingBotWorld.ForKeys(), inference.DefaultRecipe()},
	{"fast-cam", "LingBot-World fast (cam)", apache, causal(weights.LingBotWorld), fast(10, 3, indexV1)},
	{"fast-act", "LingBot-World fast (act)", apache, causal(weights.LingBotWorld.ForKeys()), fast(10, 3, indexV1)},
	{"v2-14b-fast", "LingBot-World 2.0 14B, causal-fast", nonCommercial, causal(weights.LingBotWorld), fast(10, 4, indexV2)},
	{"v2-14b-pretrain", "LingBot-World 2.0 14B, causal-pretrain", nonCommercial, causal(weights.LingBotWorld), pretrain()},
	{"wan2.2-i2v", "Wan2.2-I2V-A14B, without camera control", apache, weights.LingBotWorld.WithoutCamera(), wan22()},
	{"v2-1.3b-fast", "LingBot-World 2.0 1.3B, causal-fast", nonCommercial, causal(weights.LingBotWorldSmall), fast(5, 4, indexV2)},
}

func causal(d weights.Dims) weights.Dims {
	d.Causal = true
	return d
}

// fast is the recipe of a model of four steps for a chunk.
func fast(shift float64, chunk int, index string) inference.Recipe {
	r := inference.DefaultRecipe()
	r.Steps, r.Shift, r.Guidance = 4, shift, inference.Guidance{Low: 1, High: 1}
	r.Causal = inference.Causal{Mode: inference.CausalFast, Chunk: chunk, TimestepsIndex: index}
	return r
}

// plainName is the variant that has experts without a camera branch.
const plainName = "wan2.2-i2v"

// wan22 is the recipe of the reference of Wan2.2 (wan/configs/wan_i2v_A14B.py).
func wan22() inference.Recipe {
	r := inference.DefaultRecipe()
	r.Steps, r.Shift, r.Boundary, r.Guidance = 40, 5, 0.9, inference.Guidance{Low: 3.5, High: 3.5}
	return r
}

func pretrain() inference.Recipe {
	r := inference.DefaultRecipe()
	r.Steps = 40
	r.Causal = inference.Causal{Mode: inference.CausalPretrain, Chunk: 4}
	return r
}

// FindVariant returns the variant of a name.
func FindVariant(name string) (Variant, bool) {
	for _, v := range Variants {
		if v.Name == name {
			return v, true
		}
	}
	return Variant{}, false
}

// madeUpVariant is the first of the sizes of a made-up model, or of such a kind.
func madeUpVariant(d weights.Dims) Variant {
	for _, v := range Variants {
		if v.Dims == d {
			return v
		}
	}
	v, _ := FindVariant("v2-14b-fast")
	return v
}

// isSmall reports whether a checkpoint's causal model is the 1.3B one: by its width, at which
// its shapes are looked at as it comes without config.json. What is no wider then is it, too.
func isSmall(c weights.Checkpoint) bool {
	small := weights.LingBotWorldSmall.Dim
	dim, configured := c.CausalDim()
	return dim == small || dim < small && !configured
}

// VariantOf says which variant a checkpoint is, by where its transformers are and how wide
// they are. keys says whether they are told keys, which only
// their weights tell.
func VariantOf(c weights.Checkpoint, keys bool) Variant {
	name := "base-cam"
	if dir, _ := c.FindCausal(); dir != "" && (c.Model != "" || !c.HasExperts()) {
		folder := filepath.Base(dir)
		if absolute, err := filepath.Abs(dir); err == nil {
			folder = filepath.Base(absolute)
		}
		switch {
		case c.Model == inference.CausalPretrain, c.Model == "" && folder == weights.PretrainFolder:
			name = "v2-14b-pretrain"
		case folder == weights.FastFolder:
			name = "fast-cam"
		case isSmall(c):
			name = "v2-1.3b-fast"
		default:
			name = "v2-14b-fast"
		}
	}
	if keys {
		switch name {
		case "base-cam":
			name = "base-act"
		case "fast-cam":
			name = "fast-act"
		}
	}
	v, _ := FindVariant(name)
	return v
}

// variantOf says which variant a checkpoint is whose layout is open.
func variantOf(c weights.Checkpoint, l *weights.Layout) Variant {
	for name, e := range l.Experts {
		if sizes, _ := weights.ReadWanSizes(e.Store, e.Config); name != weights.Causal && !sizes.Camera {
			v, _ := FindVariant(plainName)
			return v
		}
	}
	return VariantOf(c, readsKeys(l))
}

// modesOf returns the ways in which a checkpoint can be run, as Causal.Mode has them: "" for its
// experts. A model that may be one of either kind, as nothing in it says which, is both.
func modesOf(c weights.Checkpoint) (modes []string) {
	if c.HasExperts() {
		modes = append(modes, "")
	}
	folder := func(mode string) string {
		c.Model = mode
		dir, _ := c.FindCausal()
		return filepath.Base(dir)
	}
	if f := folder(inference.CausalFast); f != "." && f != weights.PretrainFolder {
		modes = append(modes, inference.CausalFast)
	}
	if f := folder(inference.CausalPretrain); f != "." && f != weights.FastFolder && !isSmall(c) {
		modes = append(modes, inference.CausalPretrain)
	}
	return modes
}
