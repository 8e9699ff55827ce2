package weights

import (
	"strconv"
	"strings"
)

// diffusersVAE has the names of diffusers' AutoencoderKLWan.
var diffusersVAE = keyLayout{
	KindVAE,
	[]string{"encoder.conv_in.weight", "decoder.conv_in.weight", "decoder.norm_out.gamma"},
	[2]string{},
	func(name string) string { return vaeLayers.rename(vaeLevels(name)) },
}

var vaeLayers = rules{
	{"quant_conv", "conv1"},
	{"post_quant_conv", "conv2"},
	{"encoder.conv_in", "encoder.conv1"},
	{"decoder.conv_in", "decoder.conv1"},
	{"encoder.norm_out", "encoder.head.0"},
	{"decoder.norm_out", "decoder.head.0"},
	{"encoder.conv_out", "encoder.head.2"},
	{"decoder.conv_out", "decoder.head.2"},
}

// vaeParts are the names within a residual block.
var vaeParts = map[string]string{"norm1": "residual.0", "conv1": "residual.2", "norm2": "residual.3", "conv2": "residual.6", "conv_shortcut": "shortcut"}

// vaeLevels numbers layers as the original does: the decoder's three residual blocks and
// the change of size of each level in a row.
func vaeLevels(name string) string {
	words := strings.Split(name, ".")
	if len(words) < 4 || words[0] != "encoder" && words[0] != "decoder" {
		return name
	}
	number := func(i int) int {
		n, err := strconv.Atoi(words[i])
		if err != nil || n > 1<<20 {
			return -1 << 30
		}
		return n
	}
	layer, rest := -1, words[3:]
	section := "middle"
	switch words[1] + "." + words[2] {
	case "mid_block.resnets":
		layer, rest = 2*number(3), words[4:]
	case "mid_block.attentions":
		layer, rest = 1+number(3), words[4:]
	default:
		switch {
		case words[1] == "down_blocks":
			section, layer = "downsamples", number(2)
		case words[1] == "up_blocks" && len(words) > 5 && words[3] == "resnets":
			section, layer, rest = "upsamples", 4*number(2)+number(4), words[5:]
		case words[1] == "up_blocks" && len(words) > 5 && words[3] == "upsamplers":
			section, layer, rest = "upsamples", 4*number(2)+3+number(4), words[5:]
		}
	}
	if layer < 0 {
		return name
	}
	part := strings.Join(rest, ".")
	if to, ok := vaeParts[rest0(rest)]; ok {
		part = strings.Join(append([]string{to}, rest[1:]...), ".")
	}
	return strings.Join([]string{words[0], section, strconv.Itoa(layer), part}, ".")
}

func rest0(words []string) string {
	if len(words) == 0 {
		return ""
	}
	return words[0]
}
