package studio

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"

	"gimbal/inference"
	"gimbal/inference/camera"
	"gimbal/inference/denoise"
	"gimbal/inference/noise"
	"gimbal/inference/vae"
	"gimbal/inference/weights"
)

// maxFrames is the most frames that inference.CheckFrames lets pass.
const maxFrames = 4*1023 + 1

// Edit takes what was typed or chosen in a field. Text that is no valid value stays
// as it is (Form.Text), has a Problem, and leaves the last valid value in Inputs.
func (s *Studio) Edit(field Field, text string) {
	s.touch(func(n *Snapshot) {
		delete(s.facts.after, field)
		delete(s.facts.typed, field)
		p := edit(&n.Form.Inputs, field, text)
		if p != nil {
			s.facts.typed[field] = *p
		}
		typed := map[Field]string{}
		for f, t := range n.Form.typed {
			typed[f] = t
		}
		typed[field] = text
		n.Form.typed = typed
		if field == FieldOutput {
			n.Settings.OutputDir = strings.TrimSpace(text)
		}
	})
}

// edit sets a field of the inputs to what text says, or returns what is wrong with it.
func edit(in *Inputs, field Field, text string) *Problem {
	word := strings.TrimSpace(text)
	switch field {
	case FieldPicture:
		in.Picture = word
	case FieldCamera:
		if in.Camera = (Camera{Kind: CameraFolder, Folder: word}); word == "" {
			in.Camera = Camera{}
		}
	case FieldPrompt:
		in.Prompt = text
	case FieldNegative:
		in.NegativePrompt = text
	case FieldFrames:
		return editFrames(in, word)
	case FieldSize:
		return editSize(in, word)
	case FieldSteps:
		return whole(&in.Steps, field, word, 1, 1000)
	case FieldSolver:
		return choice(&in.Solver, field, word, denoise.UniPC, denoise.DPMPP)
	case FieldShift:
		return number(&in.Shift, field, word, 0.01, 1000)
	case FieldGuidanceLow:
		return number(&in.Guidance.Low, field, word, -100, 100)
	case FieldGuidanceHigh:
		return number(&in.Guidance.High, field, word, -100, 100)
	case FieldBoundary:
		return number(&in.Boundary, field, word, 0, 1)
	case FieldSeed:
		return editSeed(in, word)
	case FieldNoise:
		return choice(&in.Noise, field, word, noise.KindCUDA, noise.KindCPU)
	case FieldFPS:
		return whole(&in.FPS, field, word, 1, 240)
	case FieldVAEChunk:
		return whole(&in.VAEChunk, field, word, 0, 1024)
	case FieldVAEThreshold:
		return whole(&in.VAEThreshold, field, word, 0, maxFrames)
	case FieldVAETile:
		if word == "0" {
			in.VAETile = 0
			return nil
		}
		return whole(&in.VAETile, field, word, vae.MinTile, 4096)
	case FieldAttnChunk:
		return whole(&in.AttentionChunk, field, word, 0, 1<<20)
	case FieldAttnType:
		name := "f32"
		p := choice(&name, field, word, "f32", "f16", "bf16")
		if p == nil {
			in.AttentionType = strings.TrimPrefix(name, "f32")
		}
		return p
	case FieldQuant:
		all := map[string]weights.Quant{}
		for _, o := range quantChoices {
			all[o.String()] = o
		}
		name := in.Quant.String()
		p := choice(&name, field, word, names(quantChoices)...)
		in.Quant = all[name]
		return p
	}
	return nil
}

// quantChoices are the ways in which weights can be kept.
var quantChoices = []weights.Quant{{}, {Format: weights.INT8}, {Format: weights.NF4}, {Format: weights.NF4, Nested: true}}

func names(choices []weights.Quant) []string {
	all := make([]string, len(choices))
	for i, o := range choices {
		all[i] = o.String()
	}
	return all
}

func editFrames(in *Inputs, word string) *Problem {
	frames := in.Frames
	if p := whole(&frames, FieldFrames, word, 1, maxFrames); p != nil {
		return p
	}
	if inference.CheckFrames(frames) != nil {
		below := (frames-1)/camera.TemporalStride*camera.TemporalStride + 1
		p := problem(FieldFrames, Error, FramesNot4n1, map[string]any{
			"Found": frames, "Below": below, "Above": below + camera.TemporalStride,
		}, "")
		return &p
	}
	in.Frames = frames
	return nil
}

// editSize takes pixels of a frame, or width and height as 480x832 or 480*832.
func editSize(in *Inputs, word string) *Problem {
	const least, most = 256, 4096 * 4096
	sides := strings.FieldsFunc(word, func(r rune) bool { return strings.ContainsRune("x×*X ", r) })
	if len(sides) != 2 {
		return whole(&in.MaxArea, FieldSize, word, least, most)
	}
	var w, h int
	for i, side := range []*int{&w, &h} {
		if p := whole(side, FieldSize, sides[i], 1, 4096*16); p != nil {
			return p
		}
	}
	if area := w * h; area < least || area > most {
		return outOfRange(FieldSize, word, least, most)
	}
	in.MaxArea = w * h
	return nil
}

func editSeed(in *Inputs, word string) *Problem {
	seed, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		if v, err := strconv.ParseFloat(word, 64); err == nil && v == math.Trunc(v) {
			return outOfRange(FieldSeed, word, 0, uint64(math.MaxUint64))
		}
		return badNumber(FieldSeed, NotAWholeNumber, word)
	}
	in.Seed, in.SeedLocked = seed, true
	return nil
}

func badNumber(field Field, code Code, found string) *Problem {
	p := problem(field, Error, code, map[string]any{"Found": found}, "")
	return &p
}

func outOfRange(field Field, found, low, high any) *Problem {
	p := problem(field, Error, OutOfRange, map[string]any{"Found": found, "Low": low, "High": high}, "")
	return &p
}

func whole(dst *int, field Field, word string, low, high int) *Problem {
	v, err := strconv.ParseInt(word, 10, 64)
	if err != nil {
		return badNumber(field, NotAWholeNumber, word)
	}
	if v < int64(low) || v > int64(high) {
		return outOfRange(field, v, low, high)
	}
	*dst = int(v)
	return nil
}

// number accepts a decimal comma too.
func number(dst *float64, field Field, word string, low, high float64) *Problem {
	v, err := strconv.ParseFloat(strings.Replace(word, ",", ".", 1), 64)
	if err != nil || math.IsNaN(v) {
		return badNumber(field, NotANumber, word)
	}
	if v < low || v > high {
		return outOfRange(field, v, low, high)
	}
	*dst = v
	return nil
}

func choice[T ~string](dst *T, field Field, word string, choices ...T) *Problem {
	var all []string
	for _, c := range choices {
		if string(c) == word {
			*dst = c
			return nil
		}
		all = append(all, string(c))
	}
	p := problem(field, Error, NotAChoice, map[string]any{"Found": word, "Choices": strings.Join(all, ", ")}, "")
	return &p
}

// fill changes the inputs otherwise than by typing: entries are set anew.
func (s *Studio) fill(n *Snapshot, f func(in *Inputs)) {
	f(&n.Form.Inputs)
	n.Form.Revision++
	n.Form.typed = nil
	clear(s.facts.typed)
	clear(s.facts.after)
}

// SetPicture chooses the picture to start from; "" for none.
func (s *Studio) SetPicture(path string) { s.set(FieldPicture, absolute(path)) }

// set is Edit by something else than an entry, which then shows the new value.
func (s *Studio) set(field Field, text string) {
	s.Edit(field, text)
	s.touch(func(n *Snapshot) { n.Form.Revision++ })
}

// absolute returns path as it means the same from every folder.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// SetCamera chooses the camera path.
func (s *Studio) SetCamera(c Camera) {
	s.set(FieldCamera, absolute(c.Folder))
	if c.Kind != CameraFolder {
		s.touch(func(n *Snapshot) { n.Form.Inputs.Camera = c })
	}
}

// SetQuant chooses how the weights are kept.
func (s *Studio) SetQuant(q weights.Quant) { s.set(FieldQuant, q.String()) }

// SetOffload says whether one expert's working memory is kept at a time.
func (s *Studio) SetOffload(on bool) {
	s.touch(func(n *Snapshot) { n.Form.Inputs.Offload = on })
}

// RollSeed draws a new seed.
func (s *Studio) RollSeed() {
	s.touch(func(n *Snapshot) { s.roll(n) })
}

// roll draws a seed that people can read and type.
func (s *Studio) roll(n *Snapshot) {
	n.Form.Inputs.Seed = rand.Uint64N(1 << 32)
	n.Form.Revision++
	delete(s.facts.typed, FieldSeed)
	n.Form.typed = without(n.Form.typed, FieldSeed)
}

// without returns a copy of m that lacks key.
func without(m map[Field]string, key Field) map[Field]string {
	fresh := map[Field]string{}
	for k, v := range m {
		if k != key {
			fresh[k] = v
		}
	}
	return fresh
}

// LockSeed says whether Generate keeps the seed or draws a new one.
func (s *Studio) LockSeed(on bool) {
	s.touch(func(n *Snapshot) { n.Form.Inputs.SeedLocked = on })
}

// SetDemo asks for the demo model even where a model folder is chosen.
func (s *Studio) SetDemo(on bool) {
	s.touch(func(n *Snapshot) { n.Form.Inputs.Demo = on })
}

// SetModelFolder chooses the model folder; "" forgets it, and the demo model is used.
func (s *Studio) SetModelFolder(path string) {
	s.touch(func(n *Snapshot) { s.useModel(n, absolute(path)) })
}

// useModel makes path the model folder. Settings that suit the demo model give way
// to the reference's, for they do not suit another.
func (s *Studio) useModel(n *Snapshot, path string) {
	before := s.base(n)
	n.Settings.ModelFolder = path
	n.Form.Inputs.Demo = false
	if after := s.base(n); valuesOf(n.Form.Inputs).like(before) && !after.like(before) {
		s.fill(n, func(in *Inputs) { after.apply(in) })
	}
}

// SetOutputDir chooses the folder for videos.
func (s *Studio) SetOutputDir(path string) { s.set(FieldOutput, absolute(path)) }

// SetWindow remembers the window's size, in Fyne's units.
func (s *Studio) SetWindow(width, height float32) {
	s.change(func(n *Snapshot) { n.Settings.WindowWidth, n.Settings.WindowHeight = width, height })
}

// SetLanguage chooses the language, "" for the system's.
func (s *Studio) SetLanguage(tag string) {
	s.change(func(n *Snapshot) { n.Settings.Language = tag })
}

// SetAppearance chooses "light", "dark", or "" for the system's.
func (s *Studio) SetAppearance(name string) {
	s.change(func(n *Snapshot) { n.Settings.Appearance = name })
}

// bytesText writes a size as people read it.
func bytesText(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%.0f MB", float64(n)/1e6)
	default:
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
}
