package weights

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"gimbal/inference/device"
)

// BenchmarkOpen opens an expert of LingBot-World's size in FP8 with scales, in one sparse file,
// as far as it is opened before its weights are used.
func BenchmarkOpen(b *testing.B) {
	type header struct {
		DType   string   `json:"dtype"`
		Shape   []int    `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	tensors, at := map[string]header{}, int64(0)
	add := func(name string, dtype device.DType, shape ...int) {
		begin := at
		at += device.Desc{DType: dtype, Shape: shape}.Bytes()
		tensors["model.diffusion_model."+name] = header{dtype.String(), shape, [2]int64{begin, at}}
	}
	for _, spec := range LingBotWorld.ExpertSizes().Table() {
		if !spec.Quantise {
			add(spec.Name, device.BF16, spec.Shape...)
			continue
		}
		add(spec.Name, device.F8E4M3, spec.Shape...)
		add(spec.Name[:len(spec.Name)-len("weight")]+"scale_weight", device.F32, 1)
	}
	text, err := json.Marshal(tensors)
	if err != nil {
		b.Fatal(err)
	}
	path := filepath.Join(b.TempDir(), "high.safetensors")
	if err := os.WriteFile(path, append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...), 0o644); err != nil {
		b.Fatal(err)
	}
	if err := os.Truncate(path, 8+int64(len(text))+at); err != nil {
		b.Skip(err) // the disk has no sparse files
	}
	for b.Loop() {
		e, err := OpenExpert(path)
		if err != nil {
			b.Fatal(err)
		}
		if e.Store.Quantised() != FP8 || e.Config.NumHeads != LingBotWorld.Heads {
			b.Fatal(e.Config)
		}
		e.Store.Close()
	}
	b.ReportMetric(float64(at)/1e9, "GB")
}
