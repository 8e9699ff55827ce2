package studio

import (
	"fmt"
	"slices"
	"strings"

	"gimbal/inference/camera"
	"gimbal/inference/picture"
	"gimbal/inference/plan"
	"gimbal/inference/tokenizer"
	"gimbal/inference/video"
)

// loadedPath is the action folder as it was read.
type loadedPath struct {
	folder string
	path   *camera.Path // nil if it cannot be read
}

// derive fills in what follows from the inputs and the facts at once. s.mu is held.
func (s *Studio) derive() {
	n := &s.now
	s.derivePicture(n)
	s.deriveCamera(n)
	unpacking := s.usesDemo(n) && s.checkpoint(n) == "" && s.facts.demoErr == nil
	n.Form.Checking = unpacking || s.pending("picture", "camera", "model")
	n.Form.Problems = s.problems(n)
	n.Form.CanRun = !slices.ContainsFunc(n.Form.Problems, func(p Problem) bool { return p.Level == Error })
	s.derivePresets(n)
	if s.facts.wantRun && !n.Form.Checking {
		s.facts.wantRun = false
		s.enqueue(n)
	}
}

// derivePicture finds the video's size.
func (s *Studio) derivePicture(n *Snapshot) {
	f := &n.Form
	if f.Picture.Path != f.Inputs.Picture {
		f.Picture = Picture{Path: f.Inputs.Picture}
		delete(s.facts.found, "picture")
	}
	f.Picture.Checking = s.pending("picture")
	f.Width, f.Height = 0, 0
	s.find("size", nil)
	if f.Picture.Width == 0 {
		return
	}
	size, err := picture.Fit(f.Picture.Width, f.Picture.Height, f.Inputs.MaxArea)
	if err == nil {
		f.Width, f.Height = size.Width, size.Height
		err = video.Options{Width: f.Width, Height: f.Height, FPS: f.Inputs.FPS}.Check()
	}
	if err != nil {
		p := problem(FieldSize, Error, SizeBad, nil, err.Error())
		s.find("size", &p)
	}
}

// deriveCamera finds what the model will see of the path.
func (s *Studio) deriveCamera(n *Snapshot) {
	f := &n.Form
	chosen := f.Inputs.Camera
	if chosen.Kind != CameraFolder || s.facts.path.folder != chosen.Folder {
		s.facts.path = loadedPath{folder: chosen.Folder}
		delete(s.facts.found, "camera")
	}
	f.Frames = f.Inputs.Frames
	f.Camera = CameraPath{Kind: chosen.Kind, Path: chosen.Folder, Name: chosen.Name, Checking: s.pending("camera")}
	path := s.facts.path.path
	switch chosen.Kind {
	case "":
		f.Camera.Kind = CameraNone
	case CameraBuiltin:
		path, _ = camera.Builtin(chosen.Name, f.Inputs.Frames) // problems checks the name
	}
	if path != nil {
		f.Frames = path.EffectiveFrames(f.Inputs.Frames)
		fillPath(&f.Camera, path, f.Frames, chosen.Kind == CameraFolder)
	}
	f.Seconds = float64(f.Frames) / float64(f.Inputs.FPS)
}

// fillPath describes the path as the model sees it in a video of frames. The speed of
// built-in paths is nobody's choice, so that nothing of it is lost.
func fillPath(c *CameraPath, path *camera.Path, frames int, warn bool) {
	frames = max(0, frames-1)/camera.TemporalStride*camera.TemporalStride + 1 // files may say anything
	motion := path.Motion(frames)
	c.Poses, c.Frames = path.Frames(), frames
	c.Points, c.Scale = points(motion), float64(motion.Scale)
	if warn {
		c.SpeedLost, c.ZoomLost = path.SpeedLost(), path.ZoomLost()
	}
}

// problems lists what is wrong, errors first and otherwise in the form's order.
func (s *Studio) problems(n *Snapshot) []Problem {
	var all []Problem
	add := func(p Problem) { all = append(all, p) }
	in, f := n.Form.Inputs, n.Form

	if in.Picture == "" {
		add(problem(FieldPicture, Error, PictureMissing, nil, ""))
	}
	s.cameraProblems(n, add)
	if tokenizer.Clean(in.Prompt) == "" {
		add(problem(FieldPrompt, Error, PromptEmpty, nil, ""))
	}
	for field, count := range map[Field]Tokens{FieldPrompt: f.Tokens, FieldNegative: f.NegativeTokens} {
		if count.Limit > 0 && count.N > count.Limit {
			add(problem(field, Warning, PromptLong, map[string]any{"Tokens": count.N, "Limit": count.Limit}, ""))
		}
	}
	if why, no := n.Device.Unsupported[in.Quant.Format]; no && in.Quant.Enabled() {
		add(problem(FieldQuant, Error, QuantUnsupported, map[string]any{"Quant": in.Quant.String()}, why))
	}
	if e := f.Estimate; e.Known && e.Fit != plan.Fits {
		code, need := MemoryShort, e.Memory
		if e.Fit == plan.Reloads {
			code, need = MemoryReloads, e.Resident
		}
		add(problem(FieldFrames, Warning, code,
			map[string]any{"Need": bytesText(need), "Have": bytesText(n.Device.Limit)}, strings.Join(e.Notices, "\n")))
	}
	if s.usesDemo(n) && s.facts.demoErr != nil {
		add(problem(FieldModel, Error, DemoBad, nil, s.facts.demoErr.Error()))
	}
	if n.Device.Error != "" {
		add(problem(FieldNone, Error, OtherProblem, map[string]any{"Text": n.Device.Error}, ""))
	}
	for _, p := range s.facts.found {
		add(p)
	}
	for _, p := range s.facts.typed {
		add(p)
	}
	for _, p := range s.facts.after {
		add(p)
	}
	if !slices.ContainsFunc(all, func(p Problem) bool { return p.Level == Error }) {
		job := in.job()
		job.Output = "video.mp4"
		all = append(all, placed(job.Validate(), Error)...) // what only the engine knows
	}
	slices.SortFunc(all, compareProblems)
	return all
}

func (s *Studio) cameraProblems(n *Snapshot, add func(Problem)) {
	c, in := n.Form.Camera, n.Form.Inputs
	if in.Camera.Kind == CameraBuiltin && !slices.Contains(camera.BuiltinNames(), in.Camera.Name) {
		add(problem(FieldCamera, Error, NotAChoice,
			map[string]any{"Found": in.Camera.Name, "Choices": fmt.Sprint(camera.BuiltinNames())}, ""))
	}
	if c.Kind != CameraNone && n.Model.Whole && !n.Model.HasCamera {
		add(problem(FieldCamera, Error, CameraUnused, nil, ""))
	}
	if c.Poses > 0 && c.Frames < in.Frames {
		add(problem(FieldCamera, Warning, CameraShort, map[string]any{"Poses": c.Poses, "Frames": c.Frames}, ""))
	}
	if c.SpeedLost {
		add(problem(FieldCamera, Warning, SpeedLost, map[string]any{"Scale": fmt.Sprintf("%.3g", c.Scale)}, ""))
	}
	if c.ZoomLost {
		add(problem(FieldCamera, Warning, ZoomLost, nil, ""))
	}
}

// order is that of the fields in the form.
var order = []Field{
	FieldModel, FieldPicture, FieldCamera, FieldPrompt, FieldNegative, FieldFrames, FieldSize, FieldSteps, FieldSolver, FieldShift,
	FieldGuidanceLow, FieldGuidanceHigh, FieldBoundary, FieldSeed, FieldNoise, FieldFPS, FieldQuant, FieldVAEChunk, FieldVAEThreshold,
	FieldVAETile, FieldAttnChunk, FieldAttnType, FieldOutput, FieldNone,
}

func compareProblems(a, b Problem) int {
	rank := map[Level]int{Error: 0, Warning: 1, Info: 2}
	if d := rank[a.Level] - rank[b.Level]; d != 0 {
		return d
	}
	if d := slices.Index(order, a.Field) - slices.Index(order, b.Field); d != 0 {
		return d
	}
	if a.Code != b.Code {
		return slices.Compare([]Code{a.Code}, []Code{b.Code})
	}
	return 0
}
