package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// TestWeightsAreFileCache runs a checkpoint several times the size of the heap
// limit: the weights must count as file cache, not as memory of the process.
func TestWeightsAreFileCache(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads /proc")
	}
	if testing.Short() {
		t.Skip("writes a large checkpoint")
	}
	dir := t.TempDir()
	const limit = 64 << 20
	weights := writeLargeCheckpoint(t, dir, 4*limit)
	cmd := exec.Command(program, "generate", "--ckpt_dir", dir, "--image", filepath.Join(golden.Dir(t), "image.png"),
		"--prompt", "test", "--frame_num", "5", "--sample_steps", "2", "--max_area", "1536", "--save_file", filepath.Join(dir, "v.mp4"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("GOMEMLIMIT=%d", limit))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	peak := int64(0)
	for {
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("%v\n%s", err, errs.Bytes())
			}
			t.Logf("weights %d MB, anonymous memory at most %d MB", weights>>20, peak>>20)
			if peak > weights/2 {
				t.Errorf("%d MB of anonymous memory for %d MB of weights", peak>>20, weights>>20)
			}
			return
		case <-time.After(10 * time.Millisecond):
			peak = max(peak, anonymous(cmd.Process.Pid))
		}
	}
}

// anonymous returns the bytes of a process's memory that are no file's.
func anonymous(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0 // it has just ended
	}
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "RssAnon:" {
			kilobytes, _ := strconv.ParseInt(fields[1], 10, 64)
			return kilobytes << 10
		}
	}
	return 0
}

// writeLargeCheckpoint writes the reference checkpoint with one expert, made
// wide and as deep as makes atLeast bytes, in place of its two, and returns the size
// of the expert.
func writeLargeCheckpoint(t *testing.T, dir string, atLeast int64) int64 {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS(golden.Checkpoint(t))); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, weights.HighNoise)); err != nil {
		t.Fatal(err)
	}
	folder := filepath.Join(dir, weights.LowNoise)
	small, err := weights.Open(folder)
	if err != nil {
		t.Fatal(err)
	}
	defer small.Close()
	var config map[string]any
	text, err := os.ReadFile(filepath.Join(folder, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	const scale = 8
	for _, name := range []string{"dim", "ffn_dim"} {
		config[name] = scale * config[name].(float64)
	}
	shapes, block := map[string][]int{}, int64(0) // of the first layer, bytes
	for _, name := range small.Names() {
		tensor, err := small.Tensor(name)
		if err != nil {
			t.Fatal(err)
		}
		shape, size := slices.Clone(tensor.Shape), int64(2)
		for _, axis := range wideAxes(name, len(shape)) {
			shape[axis] *= scale
		}
		for _, n := range shape {
			size *= int64(n)
		}
		if shapes[name] = shape; strings.HasPrefix(name, "blocks.0.") {
			block += size
		}
	}
	layers := int(atLeast/block) + 1
	config["num_layers"] = layers

	var tensors []weights.Source
	for _, name := range small.Names() {
		part, isBlock := strings.CutPrefix(name, "blocks.0.")
		switch {
		case isBlock:
			for l := range layers {
				tensors = append(tensors, randomTensor(fmt.Sprintf("blocks.%d.%s", l, part), shapes[name]))
			}
		case !strings.HasPrefix(name, "blocks."):
			tensors = append(tensors, randomTensor(name, shapes[name]))
		}
	}
	file := filepath.Join(t.TempDir(), "large.safetensors")
	if err := weights.WriteSafetensors(file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	old, _ := filepath.Glob(filepath.Join(folder, "*.safetensors*"))
	for _, name := range old {
		os.Remove(name)
	}
	target := filepath.Join(folder, "diffusion_pytorch_model.safetensors")
	if err := os.Rename(file, target); err != nil {
		t.Fatal(err)
	}
	if text, err = json.Marshal(config); err == nil {
		err = os.WriteFile(filepath.Join(folder, "config.json"), text, 0o644)
	}
	info, err2 := os.Stat(target)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	return info.Size()
}

// wideAxes returns the axes of an expert's tensor that run along the residual
// stream or the feed-forward's hidden layer.
func wideAxes(name string, rank int) []int {
	switch {
	case name == "head.head.bias":
		return nil
	case name == "head.head.weight", strings.HasSuffix(name, "modulation"):
		return []int{rank - 1}
	case strings.HasPrefix(name, "patch_embedding"), rank == 1,
		name == "time_embedding.0.weight", name == "text_embedding.0.weight":
		return []int{0}
	}
	return []int{0, 1}
}

// randomTensor returns a BF16 tensor of small random values.
func randomTensor(name string, shape []int) weights.Source {
	return weights.Source{Name: name, DType: device.BF16, Shape: shape, Write: func(w io.Writer) error {
		rnd := rand.New(rand.NewPCG(1, uint64(len(name))))
		page := make([]byte, 1<<16)
		for i := 0; i < len(page); i += 2 { // of both signs, 2^-7 to 2^-5
			v := 0x3c00 + rnd.Uint32N(0x100) + rnd.Uint32N(2)<<15
			page[i], page[i+1] = byte(v), byte(v>>8)
		}
		left := 2
		for _, n := range shape {
			left *= n
		}
		for left > 0 {
			n, err := w.Write(page[:min(left, len(page))])
			if err != nil {
				return err
			}
			left -= n
		}
		return nil
	}}
}
