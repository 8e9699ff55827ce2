package engine

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Eyevinn/mp4ff/mp4"

	"gimbal/inference"
	"gimbal/inference/device/profile"
	"gimbal/inference/picture"
	"gimbal/inference/runstate"
	"gimbal/inference/video"
	"gimbal/inference/weights"
)

// Identify says in English what a file or folder is that is no camera path and no
// checkpoint, as Classify tells, from what is in it and not from its name. The kind is
// KindPicture, KindRun, KindCheckpoint for a file that belongs to one, or "" for what a run does not begin with. The error says why
// something cannot be read.
func Identify(path string) (kind Kind, text string, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		if target, err := os.Readlink(path); err == nil {
			return "", "", fmt.Errorf("%s: found a link to %s, which is not there", path, target)
		}
		return "", "", fmt.Errorf("%s: %w", path, errors.Unwrap(err))
	case info.IsDir():
		return identifyFolder(path)
	case !info.Mode().IsRegular():
		return "", "a device or pipe, none of which Gimbal reads", nil
	case info.Size() == 0:
		return "", "an empty file", nil
	}
	head, err := readHead(path)
	if err != nil {
		return "", "", err
	}
	kind, text, err = identifyPicture(path, head)
	for _, identify := range []func(path string, head []byte) string{identifyVideo, identifyWeights, identifyJSON, identifyOther} {
		if text == "" && err == nil {
			text = identify(path, head)
		}
	}
	if text == indexText {
		kind = KindCheckpoint
	}
	return kind, text, err
}

// indexText is what a file is that says which tensors are in which file.
const indexText = "the index of a model's weights"

// headBytes is how much of a file says what it is.
const headBytes = 4 << 10

func readHead(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	head := make([]byte, headBytes)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return head[:n], nil
}

func identifyPicture(path string, head []byte) (kind Kind, text string, err error) {
	mime := http.DetectContentType(head)
	img, err := picture.Load(path)
	if err != nil {
		if !strings.HasPrefix(mime, "image/") {
			return "", "", nil
		}
		return "", "", err
	}
	of := fmt.Sprintf("of %dx%d pixels", img.Rect.Dx(), img.Rect.Dy())
	switch name, known := strings.CutPrefix(mime, "image/"); {
	case video.MadeSheet(path):
		return KindPicture, "a picture that Gimbal made, the contact sheet of a video or the plot of a report, " + of, nil
	case known:
		return KindPicture, fmt.Sprintf("a picture (%s) %s", strings.ToUpper(name), of), nil
	}
	return KindPicture, "a picture " + of, nil
}

// containers of videos by what is in a file, at an offset.
var containers = []struct {
	at          int
	magic, name string
}{
	{4, "ftypqt", "a QuickTime video"}, {4, "ftypavif", "a picture, AVIF"}, {4, "ftyphei", "a picture, HEIC"}, {4, "ftypmif1", "a picture, HEIF"},
	{4, "ftypM4A", "MPEG-4 sound"}, {4, "ftyp", "an MPEG-4 video"}, {0, "\x1a\x45\xdf\xa3", "a Matroska or WebM video"}, {8, "AVI ", "an AVI video"},
	{0, "OggS", "an Ogg file"}, {0, "FLV\x01", "a Flash video"}, {0, "\x00\x00\x01\xba", "an MPEG video"}, {0, "\x00\x00\x01\xb3", "an MPEG video"},
	{4, "moov", "a QuickTime video"}, {4, "mdat", "a QuickTime video"}, {4, "wide", "a QuickTime video"},
}

func identifyVideo(path string, head []byte) string {
	for _, c := range containers {
		if len(head) < c.at+len(c.magic) || string(head[c.at:c.at+len(c.magic)]) != c.magic {
			continue
		}
		if strings.HasPrefix(c.name, "a picture") {
			_, _, err := picture.Bounds(path)
			return fmt.Sprintf("%s, that cannot be read here: %v", c.name, err)
		}
		size := sizeOfVideo(path)
		text := c.name + size
		if !video.MadeVideo(path) {
			if size == "" && strings.Contains(c.name, "MPEG-4 video") {
				text += ", damaged or cut short"
			}
			return text + ", which Gimbal did not make: it starts from pictures, such as one frame of a video"
		}
		text = strings.Replace(text, "an MPEG-4 video", "a video that Gimbal made", 1)
		if beside := strings.TrimSuffix(path, filepath.Ext(path)) + ".json"; video.MadeSidecar(beside) {
			text += "; " + filepath.Base(beside) + " has its settings"
		}
		return text
	}
	return ""
}

// sizeOfVideo says how large the first track of pictures of an .mp4 is, "" if that is not
// told.
func sizeOfVideo(path string) (text string) {
	defer func() {
		if recover() != nil { // others' code on a stranger's file
			text = ""
		}
	}()
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	file, err := mp4.DecodeFile(f, mp4.WithDecodeMode(mp4.DecModeLazyMdat))
	if err != nil || file.Moov == nil {
		return ""
	}
	for _, track := range file.Moov.Traks {
		if track.Mdia == nil || track.Mdia.Mdhd == nil || track.Tkhd == nil || track.Tkhd.Width == 0 || track.Mdia.Mdhd.Timescale == 0 {
			continue
		}
		seconds := float64(track.Mdia.Mdhd.Duration) / float64(track.Mdia.Mdhd.Timescale)
		text = fmt.Sprintf(" of %dx%d pixels, %.2f s", uint32(track.Tkhd.Width)>>16, uint32(track.Tkhd.Height)>>16, seconds)
		if stbl := track.Mdia.Minf.Stbl; stbl.Stsz != nil {
			text += fmt.Sprintf(", %d frames", stbl.Stsz.SampleNumber)
		}
		return text
	}
	return ""
}

func identifyWeights(path string, head []byte) string {
	if !looksLikeWeights(path, head) {
		return ""
	}
	store, err := weights.Open(path)
	if err != nil {
		return fmt.Sprintf("a file of weights that cannot be read: %v", err)
	}
	defer store.Close()
	names := store.Names()
	types := map[string]int{}
	for _, tensor := range store.Shapes() {
		types[tensor.DType.String()]++
	}
	size := fmt.Sprintf("%d tensors (%s), %s", len(names), counts(types), inference.Size(store.Bytes()))
	switch {
	case madeDump(path):
		return "the tensors of a run, from its noise to its video: " + size
	case store.Metadata()["sha256"] != "" && store.Has("latent"):
		return "the state of a run: inspect the folder that it lies in"
	case ofLoRA(names):
		return "a LoRA, changes to the weights of a model: " + size
	case len(names) == 0:
		return "a file of weights without a tensor"
	}
	return fmt.Sprintf("a file of weights, a part of a model: %s, such as %s; a checkpoint is the folder that holds all parts", size, names[0])
}

// looksLikeWeights reports whether a file is of a container of package weights: PyTorch's
// zip, GGUF, or safetensors, whose header's length comes before an object of JSON.
func looksLikeWeights(path string, head []byte) bool {
	if len(head) < 9 {
		return false
	}
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case bytes.HasPrefix(head, []byte("GGUF")):
		return true
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		return bytes.Contains(head, []byte("data.pkl")) || slices.Contains([]string{".pth", ".pt", ".ckpt", ".bin"}, ext)
	case slices.Contains([]string{".safetensors", ".pth", ".pt", ".ckpt", ".gguf"}, ext) && !bytes.HasPrefix(head, []byte("version https://git-lfs")) && !isText(head):
		return true
	}
	return binary.LittleEndian.Uint64(head) < 1<<32 && head[8] == '{'
}

func isText(head []byte) bool { return strings.HasPrefix(http.DetectContentType(head), "text/") }

// ofLoRA reports whether tensors are called as those of a LoRA.
func ofLoRA(names []string) bool {
	return slices.ContainsFunc(names, func(name string) bool {
		for _, part := range []string{"lora_A", "lora_B", "lora_up", "lora_down", "lora.up", "lora.down", "lokr_", "hada_w", "lora_unet"} {
			if strings.Contains(name, part) {
				return true
			}
		}
		return false
	})
}

func counts(of map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		parts = append(parts, fmt.Sprintf("%d %s", of[name], name))
	}
	return strings.Join(parts, ", ")
}

func identifyJSON(path string, head []byte) string {
	if first := bytes.TrimSpace(head); len(first) == 0 || first[0] != '{' && first[0] != '[' {
		return ""
	}
	if profile.MadeTrace(path) {
		return "a trace of a run's operations, for ui.perfetto.dev"
	}
	var told struct {
		sidecar
		Benchmark string `json:"benchmark"`
		Layers    int    `json:"num_layers"`
		Type      string `json:"model_type"`

		Index map[string]any `json:"weight_map"`
	}
	err := video.ReadSidecar(path, &told)
	syntax := (*json.SyntaxError)(nil)
	switch {
	case errors.As(err, &syntax):
		return fmt.Sprintf("a file that begins like JSON and is none: %v", syntax)
	case video.MadeSidecar(path):
		j := told.Job
		return fmt.Sprintf("the settings of a video that Gimbal made, %s: %dx%d, %d frames, %d steps of %s, seed %d, with the checkpoint %s: %q",
			j.Output, told.Width, told.Height, told.Frames, j.Steps, j.Solver, j.Seed, told.Checkpoint.Dir, j.Prompt)
	case len(told.Index) > 0:
		return indexText
	case told.Benchmark != "":
		return "a report of the benchmark " + told.Benchmark
	case filepath.Base(path) == weights.RecipeFile:
		return "a recipe: how a checkpoint wants to be sampled"
	case weights.IsCalibration(filepath.Base(path)):
		return "a calibration: what caches go by for a checkpoint"
	case told.Layers > 0 || told.Type != "":
		return "the configuration of a part of a model; a checkpoint is the folder that holds all parts"
	}
	return "a file of JSON, of none of the kinds that Gimbal reads or writes"
}

func identifyFolder(dir string) (kind Kind, text string, err error) {
	if runstate.IsRun(dir) {
		return identifyRun(dir)
	}
	if err := video.CheckPNGs(dir); err != nil {
		return "", "a folder of frames as PNG files", nil
	}
	reports, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err == nil && slices.ContainsFunc(reports, func(path string) bool {
		var told struct{ Benchmark, Device string }
		return video.ReadSidecar(path, &told) == nil && told.Benchmark != "" && told.Device != ""
	}) {
		return "", "a folder with reports of benchmarks", nil
	}
	_, _, err = Classify(dir)
	return "", "", err
}

func identifyRun(dir string) (kind Kind, text string, err error) {
	run, err := ReadRun(dir)
	var busy *inference.BusyError
	switch {
	case errors.As(err, &busy):
		return "", "a run that is under way: " + busy.Error(), nil
	case err != nil:
		return "", "", fmt.Errorf("a run that cannot be read: %w", err)
	}
	j := run.Job
	return KindRun, fmt.Sprintf("a run of %s that is not finished: %d of %d steps done, with the checkpoint %s on %s: %q",
		j.Output, run.StepsDone, j.Steps, run.Checkpoint, run.Device, j.Prompt), nil
}

func identifyOther(path string, head []byte) string {
	switch mime, _, _ := strings.Cut(http.DetectContentType(head), ";"); {
	case bytes.HasPrefix(head, []byte("version https://git-lfs")):
		return "a Git LFS pointer: it stands for a file that was not downloaded (git lfs pull)"
	case profile.MadeTable(path):
		return "a table of a run's operations and their times"
	case bytes.HasPrefix(head, []byte("gimbal bench ")):
		return "a report of benchmarks, for people"
	case strings.HasPrefix(mime, "audio/"), strings.HasPrefix(mime, "video/"), mime != "application/octet-stream" && mime != "text/plain":
		return fmt.Sprintf("a file of the type %s, which Gimbal does not read", mime)
	case mime == "text/plain":
		return "a text, which Gimbal does not read"
	}
	return "a file of a kind that Gimbal does not know"
}
