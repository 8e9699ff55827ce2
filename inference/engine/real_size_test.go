package engine_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// hollow writes a file that begins with header and has so many bytes, of which the rest are a hole.
func hollow(t *testing.T, path string, header []byte, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err == nil {
		_, err = f.Write(header)
	}
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Skipf("no file of %d bytes with a hole can be made here: %v", size, err)
	}
}

// q4km is the type of an expert's tensor in a Q4_K_M file, by the rule of city96's tools: its number
// in GGUF, and its bytes.
func q4km(s weights.Spec) (kind uint32, bytes int64) {
	n := int64(1)
	for _, d := range s.Shape {
		n *= int64(d)
	}
	kept := false
	for _, prefix := range []string{"patch_embedding.", "text_embedding.", "time_embedding.", "time_projection.", "head."} {
		kept = kept || strings.HasPrefix(s.Name, prefix)
	}
	switch {
	case len(s.Shape) == 1, n <= 1024, s.Role == weights.Modulation:
		return 0, 4 * n
	case kept || len(s.Shape) != 2:
		return 1, 2 * n
	case strings.HasSuffix(s.Name, "attn.v.weight"), strings.HasSuffix(s.Name, "ffn.2.weight"):
		return 14, int64(s.Shape[0] * device.Q6_K.RowBytes(s.Shape[1]))
	}
	return 12, int64(s.Shape[0] * device.Q4_K.RowBytes(s.Shape[1]))
}

// hollowGGUF writes an expert of a table as Q4_K_M, without its weights, and returns its size.
func hollowGGUF(t *testing.T, path string, table weights.Table) int64 {
	t.Helper()
	le := binary.LittleEndian
	text := func(b []byte, s string) []byte { return append(le.AppendUint64(b, uint64(len(s))), s...) }
	b := append([]byte("GGUF"), 3, 0, 0, 0)
	b = le.AppendUint64(le.AppendUint64(b, uint64(len(table))), 1)
	b = text(le.AppendUint32(text(b, "general.architecture"), 8), "wan")
	var offset int64
	for _, s := range table {
		kind, bytes := q4km(s)
		b = le.AppendUint32(text(b, s.Name), uint32(len(s.Shape)))
		for i := range s.Shape {
			b = le.AppendUint64(b, uint64(s.Shape[len(s.Shape)-1-i]))
		}
		b = le.AppendUint64(le.AppendUint32(b, kind), uint64(offset))
		offset += (bytes + 31) / 32 * 32
	}
	size := int64(len(b)+31)/32*32 + offset
	hollow(t, path, b, size)
	return size
}

// hollowSafetensors writes tensors of one type without their data.
func hollowSafetensors(t *testing.T, path string, tensors []weights.Tensor) {
	t.Helper()
	header := map[string]any{}
	var end int64
	for _, x := range tensors {
		header[x.Name] = map[string]any{"dtype": x.DType.String(), "shape": x.Shape, "data_offsets": []int64{end, end + x.Bytes()}}
		end += x.Bytes()
	}
	data, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	data = append(binary.LittleEndian.AppendUint64(nil, uint64(len(data))), data...)
	hollow(t, path, data, int64(len(data))+end)
}

// TestPlanQ4KM plans the real model, 81 frames of 480x832, from experts in Q4_K_M of their real size,
// of which the files have no more than the headers: planning is the run itself on a device that
// counts, and reads no weights.
func TestPlanQ4KM(t *testing.T) {
	dir := t.TempDir()
	d := weights.LingBotWorld
	sizes := d.ExpertSizes()
	var expert int64
	for _, name := range []string{"high", "low"} {
		expert = hollowGGUF(t, filepath.Join(dir, name+"_noise_Q4_K_M.gguf"), sizes.Table())
	}
	plain := d.WithoutCamera().ExpertSizes()
	var published int64
	for _, s := range plain.Table() {
		_, bytes := q4km(s)
		published += bytes
	}
	if gb := float64(published) / 1e9; gb < 9.6 || gb > 9.7 { // Wan2.2-I2V-A14B-HighNoise-Q4_K_M.gguf has 9.65 GB
		t.Errorf("without a camera an expert has %.2f GB", gb)
	}
	hollowSafetensors(t, filepath.Join(dir, "umt5_xxl.safetensors"), d.TextSizes().Table().Tensors(device.BF16))
	hollowSafetensors(t, filepath.Join(dir, "vae.safetensors"), d.VAESizes().Table().Tensors(device.F32))
	parts := fmt.Sprintf(`{"high_noise": "high_noise_Q4_K_M.gguf", "low_noise": "low_noise_Q4_K_M.gguf", "text_encoder": "umt5_xxl.safetensors", "vae": "vae.safetensors", "tokenizer": %q}`,
		filepath.Join(golden.Checkpoint(t), "google", "umt5-xxl"))
	if err := os.WriteFile(filepath.Join(dir, weights.PartsFile), []byte(parts), 0o644); err != nil {
		t.Fatal(err)
	}

	job := inference.DefaultJob()
	job.Image, job.Prompt, job.Output = filepath.Join(golden.Dir(t), "image.png"), "a walk through the old town", filepath.Join(dir, "v.mp4")
	plan := func(r engine.Request) inference.Plan {
		dev, err := cpu.Open(cpu.Options{MemoryLimit: 16 << 30}) // no room to keep the camera's signals for all steps
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		p, err := engine.Plan(t.Context(), dev, r)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	got := plan(engine.Request{Checkpoint: dir, Job: job, Camera: true})
	want := plan(engine.Request{Dims: d, Job: job, Camera: true})
	for i, p := range got.Parts[2:] {
		if p.Bytes != expert || p.Quant != "q4_k" {
			t.Errorf("%s: %d bytes in %q, want %d in q4_k", p.Name, p.Bytes, p.Quant, expert)
		}
		if dense := want.Parts[2+i].Bytes; float64(p.Bytes) > 0.33*float64(dense) {
			t.Errorf("%s: %d bytes of %d in BF16", p.Name, p.Bytes, dense)
		}
	}
	if got.Frames != 81 || len(got.Phases) != len(want.Phases) {
		t.Fatalf("%d frames, %d phases", got.Frames, len(got.Phases))
	}
	var most int64
	for i, p := range got.Phases { // what is beside the weights does not depend on their format
		most = max(most, p.Buffers+p.Scratch)
		if w := want.Phases[i]; p.Name != w.Name || float64(p.Buffers) > 1.02*float64(w.Buffers) {
			t.Errorf("%s takes %d bytes, with BF16 %s %d", p.Name, p.Buffers, w.Name, w.Buffers)
		}
	}
	if most > got.Limit {
		t.Errorf("takes %d bytes of %d", most, got.Limit)
	}
	t.Logf("an expert of %.2f GB; at most %.1f GB beside the weights", float64(expert)/1e9, float64(most)/1e9)
}
