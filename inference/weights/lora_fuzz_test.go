package weights

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzLoRAKeys reads LoRAs of any keys, a line each, and shapes, a byte for each size; the
// point is that nothing panics, and that no value is made that does not fit the model.
func FuzzLoRAKeys(f *testing.F) {
	const q = "blocks.0.self_attn.q"
	f.Add(q+".lora_A.weight\n"+q+".lora_B.weight\n"+q+".alpha", []byte{2, 2, 8, 2, 8, 2, 0})
	f.Add("lora_unet__blocks_1_ffn_0.hada_w1_a\nlora_unet__blocks_1_ffn_0.hada_w1_b\nlora_unet__blocks_1_ffn_0.hada_w2_a\nlora_unet__blocks_1_ffn_0.hada_w2_b", []byte{2, 16, 2, 2, 2, 8, 2, 16, 2, 2, 2, 8})
	f.Add("transformer."+q+".lokr_w1\ntransformer."+q+".lokr_w2_a\ntransformer."+q+".lokr_w2_b", []byte{2, 2, 2, 2, 4, 1, 2, 1, 4})
	f.Add("patch_embedding.diff\nhead.diff_m\nblocks.1.modulation.diff\nblocks.0.norm3.diff_b", []byte{5, 8, 36, 1, 2, 2, 2, 2, 8, 2, 6, 8, 1, 8})
	sizes := Dims{Dim: 8, FFN: 16, Heads: 2, Layers: 2, VAE: 4, Text: 12}.ExpertSizes()
	model := newModules(sizes.Table())
	f.Fuzz(func(t *testing.T, keys string, dims []byte) {
		next := func(most int) int {
			if len(dims) == 0 {
				return 0
			}
			n := int(dims[0]) % (most + 1)
			dims = dims[1:]
			return n
		}
		header, at := []string{}, 0
		for i, key := range strings.Split(keys, "\n") {
			if i == 40 {
				break
			}
			shape, n := []int{}, 1
			for range next(5) {
				shape = append(shape, next(40))
				n *= shape[len(shape)-1]
			}
			if at+4*n > 1<<15 {
				break
			}
			header = append(header, fmt.Sprintf(`%q:{"dtype":"F32","shape":%s,"data_offsets":[%d,%d]}`, key, strings.ReplaceAll(fmt.Sprint(shape), " ", ","), at, at+4*n))
			at += 4 * n
		}
		file := &mapping{path: "fuzz", data: safetensors("{"+strings.Join(header, ",")+"}", at)}
		c, err := parseSafetensors(file)
		if err != nil {
			return
		}
		var a Adaptation
		if _, err := a.add(newLoRA(file, c), model, 1); err != nil {
			return
		}
		for name, changes := range a.changes {
			n, _ := elements(model.specs[name].Shape)
			for _, c := range changes {
				up, err := c.up.values()
				down, left := []float32{}, []float32{0}
				if c.down.rows > 0 {
					down, err = c.down.values()
				}
				out, n := model.specs[name].Shape[0], n
				if c.left.rows > 0 {
					left, err = c.left.values()
					out, n = out/c.left.rows, n/len(left)
				}
				if err != nil || len(left) != max(1, c.left.rows*c.left.cols) || c.down.rows == 0 && len(up) != n || c.down.rows > 0 && (len(up) != out*c.down.rows || len(down) != c.down.rows*(n/out)) {
					t.Fatalf("%s: %d and %d values, %v", name, len(up), len(down), err)
				}
			}
		}
	})
}
