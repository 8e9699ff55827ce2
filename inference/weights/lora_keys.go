package weights

import (
	"fmt"
	"slices"
	"strings"
)

// loraPrefixes are what tools put before the names of a model's modules, one or several.
var loraPrefixes = []string{
	"base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.", "pipe.dit.", "dit.", "net.", "unet.", "model.",
	"lora_unet__", "lora_unet_", "lora_transformer_", "lycoris_",
}

// keyEnd is the end of a key, and what a tensor of that end is.
type keyEnd struct{ end, part string }

// peftParts may have the name of an adapter and "weight" behind them.
var peftParts = []keyEnd{{".lora_A", partDown}, {".lora_B", partUp}, {".lora_magnitude_vector", partDoRA}}

var loraParts = []keyEnd{
	{".lora_down.weight", partDown}, {".lora_up.weight", partUp},
	{".lora.down.weight", partDown}, {".lora.up.weight", partUp},
	{".alpha", partAlpha},
	{".diff", partDiff}, {".diff_b", partDiffBias}, {".diff_m", partDiffModulation},
	{".lokr_w1", "lokr_w1"}, {".lokr_w1_a", "lokr_w1_a"}, {".lokr_w1_b", "lokr_w1_b"},
	{".lokr_w2", "lokr_w2"}, {".lokr_w2_a", "lokr_w2_a"}, {".lokr_w2_b", "lokr_w2_b"},
	{".hada_w1_a", "hada_w1_a"}, {".hada_w1_b", "hada_w1_b"}, {".hada_w2_a", "hada_w2_a"}, {".hada_w2_b", "hada_w2_b"},
	{".dora_scale", partDoRA},
	// Tucker's decompositions of convolutions, which no linear layer has: their modules are ignored.
	{".lora_mid.weight", partMid}, {".lokr_t2", partMid}, {".hada_t1", partMid}, {".hada_t2", partMid},
}

const (
	partDown           = "down"
	partUp             = "up"
	partAlpha          = "alpha"
	partDiff           = "diff"
	partDiffBias       = "diff_b"
	partDiffModulation = "diff_m"
	partDoRA           = "dora"
	partMid            = "mid"
)

// splitKey splits a key into its module and what it is of it; part is "" for a key of no
// LoRA.
func splitKey(key string) (module, part string) {
	for _, p := range loraParts {
		if module, ok := strings.CutSuffix(key, p.end); ok {
			return module, p.part
		}
	}
	for _, p := range peftParts {
		i := strings.LastIndex(key, p.end)
		if i < 0 {
			continue
		}
		rest := strings.TrimSuffix(key[i+len(p.end):], ".weight")
		if rest == "" || rest[0] == '.' && !strings.Contains(rest[1:], ".") {
			return key[:i], p.part
		}
	}
	return "", ""
}

// group is what a file says of one tensor of a model: the keys of a product, or a difference.
type group struct {
	module string // as the file names it
	spec   Spec
	keys   map[string]string // by part
}

func (g *group) names() (names []string) {
	for _, key := range g.keys {
		names = append(names, key)
	}
	return names
}

// kindOf says which parts are of one group.
func kindOf(part string) string {
	switch part {
	case partDiff, partDiffBias, partDiffModulation:
		return part
	}
	return "product"
}

// groups sorts a file's keys by what they are about. The groups are of the model; the report
// has the others' keys.
func (l *LoRA) groups(model modules) ([]*group, LoRAReport, error) {
	found, names := map[string]*group{}, []string{}
	var report LoRAReport
	for _, key := range l.store.names {
		module, part := splitKey(key)
		if part == partDoRA {
			return nil, report, &Error{l.store.path, tensorField(key, ""), "a DoRA, which tools apply in different ways", "a LoRA without magnitudes of its own"}
		}
		if part == "" {
			report.Ignored = append(report.Ignored, key)
			continue
		}
		name := module + "\n" + kindOf(part)
		if found[name] == nil {
			found[name] = &group{module: module, keys: map[string]string{}}
			names = append(names, name)
		}
		if found[name].keys[part] != "" { // a second one
			report.Ignored = append(report.Ignored, key)
			continue
		}
		found[name].keys[part] = key
	}
	var fit []*group
	taken := map[string]bool{}
	for _, name := range names {
		g := found[name]
		report.Modules++
		spec, ok := model.spec(g)
		again := spec.Name + "\n" + kindOf(g.part())
		if !ok || taken[again] {
			report.Ignored = append(report.Ignored, g.names()...)
			continue
		}
		taken[again] = true
		g.spec = spec
		fit = append(fit, g)
	}
	return fit, report, nil
}

// part returns one of the parts that there are.
func (g *group) part() string {
	for part := range g.keys {
		return part
	}
	return ""
}

// modules finds the tensors of a model by the names that LoRAs have for its modules.
type modules struct {
	specs map[string]Spec
	known map[string]string // canonical names, by themselves and with underscores for points
}

func newModules(table Table) modules {
	m := modules{specs: table.byName(), known: map[string]string{}}
	for _, spec := range table {
		name := spec.Name
		for _, end := range []string{".weight", ".bias", ".modulation"} {
			if module, ok := strings.CutSuffix(spec.Name, end); ok {
				name = module
			}
		}
		for _, name := range []string{name, spec.Name} {
			m.known[name] = name
			m.known[strings.ReplaceAll(name, ".", "_")] = name
		}
	}
	return m
}

// resolve returns the canonical name of a module. It may have prefixes, the names of
// any key layout, and underscores for points: names are never taken apart at these, which are
// parts of words too.
func (m modules) resolve(module string) (string, bool) {
	for range 4 {
		for _, layout := range keyLayouts {
			if layout.kind != KindExpert {
				continue
			}
			if canonical, ok := m.known[layout.rename(module)]; ok {
				return canonical, true
			}
		}
		i := slices.IndexFunc(loraPrefixes, func(p string) bool { return strings.HasPrefix(module, p) })
		if i < 0 {
			return "", false
		}
		module = module[len(loraPrefixes[i]):]
	}
	return "", false
}

// spec returns the tensor that a group changes.
func (m modules) spec(g *group) (Spec, bool) {
	module, ok := m.resolve(g.module)
	if !ok {
		return Spec{}, false
	}
	names := []string{module + ".weight"}
	switch g.part() {
	case partDiff:
		names = append(names, module) // a modulation is a tensor itself
	case partDiffBias:
		names = []string{module + ".bias"}
	case partDiffModulation:
		names = []string{module + ".modulation"}
	}
	for _, name := range names {
		if spec, ok := m.specs[name]; ok {
			return spec, true
		}
	}
	return Spec{}, false
}

// misfit says that a group's tensors do not go together or with the model.
func (g *group) misfit(part string) error { return fmt.Errorf("%s does not fit %s", part, g.spec.Name) }
