package studio

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// loadedPath is a camera path as it was read.
type loadedPath struct {
	of   askedPath
	path *clip.Path // nil if it cannot be read, and for none
}

// askedPath is what of the inputs a camera path depends on.
type askedPath struct {
	folder, actions string
	keys, zoom      bool
	scale           float64
}

func pathOf(job inference.Job) askedPath {
	return askedPath{job.ActionPath, job.ActionString, job.AllowAct2Cam, job.PerFrameIntrinsics, job.CameraScale}
}

// open reads the path.
func (a askedPath) open() (*clip.Path, error) {
	return clip.OpenJob(inference.Job{ActionPath: a.folder, ActionString: a.actions, AllowAct2Cam: a.keys, PerFrameIntrinsics: a.zoom, CameraScale: a.scale})
}

// derive computes what follows at once from the inputs and the state, and nothing else.
// s.mu is held.
func (s *Studio) derive(n *Snapshot) {
	s.deriveModel(n)
	s.derivePicture(n)
	s.deriveCamera(n)
	s.deriveFewSteps(n)
	unpacking := s.usesDemo(n) && s.state.demo.Checkpoint == "" && s.state.demoErr == nil
	asking := n.Server.Address != s.server(n)
	n.Form.Checking = unpacking || asking || n.Model.Checking || s.pending("picture", "camera")
	n.Form.Problems = s.problems(n)
	n.Form.CanRun = !slices.ContainsFunc(n.Form.Problems, func(p Problem) bool { return p.Level == Error })
	n.Form.CanUndo, n.Form.CanRedo = s.state.history.CanUndo(), s.state.history.CanRedo()
	s.derivePresets(n)
	s.deriveWalk(n)
	s.deriveGet(n)
}

// derivePicture finds the video's size.
func (s *Studio) derivePicture(n *Snapshot) {
	f, job := &n.Form, n.Form.Inputs.Job
	if f.Picture.Path != job.Image {
		f.Picture = Picture{Path: job.Image}
		s.report("picture", nil)
	}
	f.Picture.Checking = s.pending("picture")
	f.Width, f.Height = 0, 0
	s.report("size", nil)
	if f.Picture.Width == 0 {
		return
	}
	size, err := clip.Fit(f.Picture.Width, f.Picture.Height, job.MaxArea)
	if err != nil {
		p := problem(FieldSize, Error, SizeBad, nil, err.Error())
		s.report("size", &p)
		return
	}
	f.Width, f.Height = size.Width, size.Height
}

// deriveCamera finds what the model will see of the path.
func (s *Studio) deriveCamera(n *Snapshot) {
	f, in := &n.Form, n.Form.Inputs
	if asked := pathOf(in.Job); s.state.path.of != asked {
		s.state.path = loadedPath{of: asked}
		s.report("camera", nil)
	}
	f.Frames = in.Job.Frames
	f.Camera = CameraPath{Name: in.Camera, Folder: in.Job.ActionPath, Actions: in.Job.ActionString, Checking: s.pending("camera")}
	path := s.state.path.path
	if in.Camera != "" {
		path, _ = clip.Builtin(in.Camera, f.Frames) // problems checks the name
	}
	s.report("control", nil)
	if path != nil {
		f.Frames = path.EffectiveFrames(f.Frames)
		if in.Job.EvenJumps {
			path = path.Even(f.Frames)
		}
		f.Camera.describe(path, f.Frames)
		channels := clip.CameraChannels
		if n.Model.ReadsKeys {
			channels = clip.ActChannels
		}
		if err := errors.Join(engine.CheckKeys(in.Job, n.Model.ReadsKeys), path.Check(channels, f.Frames)); err != nil && n.Model.Whole {
			p := problem(FieldCamera, Error, OtherProblem, map[string]any{"Text": err.Error()}, "")
			s.report("control", &p)
		}
	}
	s.deriveChunks(n)
	f.Seconds = float64(f.Frames) / float64(in.Job.FPS)
}

// deriveChunks cuts the video to whole chunks of a causal model.
func (s *Studio) deriveChunks(n *Snapshot) {
	f, c := &n.Form, n.Form.Inputs.Job.Causal
	s.report("chunks", nil)
	s.report("window", nil)
	if window := inference.FindSetting("local_attn_size"); window.Applies(f.Inputs.Job) && window.Check(f.Inputs.Job) != nil {
		p := problem(FieldWindow, Error, WindowShort, map[string]any{"Least": c.Chunk + c.Sink, "Chunk": c.Chunk, "Sink": c.Sink}, "")
		s.report("window", &p)
	}
	if c.Mode == "" || c.Chunk == 0 || f.Frames < 1 {
		return
	}
	args := map[string]any{"Chunk": c.Chunk, "Frames": f.Frames, "Least": inference.Wan.Frames(c.Chunk)}
	latent := inference.Wan.LatentFrames(f.Frames)
	whole := latent - latent%c.Chunk
	if whole == 0 {
		p := problem(FieldFrames, Error, ChunkShort, args, "")
		s.report("chunks", &p)
		return
	}
	if f.Frames = inference.Wan.Frames(whole); whole < latent {
		p := problem(FieldFrames, Info, ChunkCut, with(args, "Frames", f.Frames), "")
		s.report("chunks", &p)
	}
}

// problems lists what is wrong, errors first and otherwise in the form's order.
func (s *Studio) problems(n *Snapshot) []Problem {
	var all []Problem
	add := func(field Field, level Level, code Code, args map[string]any, details string) {
		all = append(all, problem(field, level, code, args, details))
	}
	f, job := n.Form, n.Form.Inputs.Job
	if job.Image == "" {
		add(FieldPicture, Error, PictureMissing, nil, "")
	}
	if inference.Blank(job.Prompt) {
		add(FieldPrompt, Error, PromptEmpty, nil, "")
	}
	if t := f.Tokens; t.Limit > 0 && t.N > t.Limit {
		add(FieldPrompt, Warning, PromptLong, map[string]any{"Tokens": t.N, "Limit": t.Limit}, "")
	}
	if t := f.NegativeTokens; t.Limit > 0 && t.N > t.Limit {
		add(FieldNegative, Warning, PromptLong, map[string]any{"Tokens": t.N, "Limit": t.Limit}, "")
	}
	if why, no := n.Device.Unsupported[job.Quant]; no {
		add(FieldQuant, Error, QuantUnsupported, map[string]any{"Quant": job.Quant.String()}, why)
	}
	switch need := map[string]any{"Have": inference.Size(n.Device.Limit)}; f.Estimate.Fit {
	case inference.TooMuch:
		add(FieldFrames, Warning, MemoryShort, with(need, "Need", inference.Size(f.Estimate.Memory)), "")
	case inference.Reloads:
		add(FieldFrames, Warning, MemoryReloads, with(need, "Need", inference.Size(f.Estimate.Resident)), "")
	}
	if n.Device.Error != "" {
		add(FieldNone, Error, OtherProblem, map[string]any{"Text": n.Device.Error}, "")
	}
	switch of := n.Server; {
	case of.Error != "" && of.Address == s.server(n):
		add(FieldModel, Error, ServerAway, map[string]any{"Server": of.Address}, of.Error)
	case of.Address != "" && of.Address == s.server(n) && len(of.Models) == 0:
		add(FieldModel, Error, ServerEmpty, map[string]any{"Server": of.Address}, "")
	}
	cameraProblems(n, add)
	s.modelProblems(n, add)
	for _, found := range []map[Field]Problem{s.state.typed, s.state.failed} {
		for _, p := range found {
			all = append(all, p)
		}
	}
	for _, p := range s.state.checked {
		all = append(all, p)
	}
	slices.SortFunc(all, compareProblems)
	return all
}

func cameraProblems(n *Snapshot, add func(Field, Level, Code, map[string]any, string)) {
	c, in := n.Form.Camera, n.Form.Inputs
	if names := clip.BuiltinNames(); in.Camera != "" && !slices.Contains(names, in.Camera) {
		add(FieldCamera, Error, NotAChoice, map[string]any{"Found": in.Camera, "Choices": fmt.Sprint(names)}, "")
	}
	if c.Chosen() && n.Model.Whole && !n.Model.HasCamera {
		add(FieldCamera, Error, CameraUnused, nil, "")
	}
	if c.Poses > 0 && c.Frames < in.Job.Frames {
		add(FieldCamera, Warning, CameraShort, map[string]any{"Poses": c.Poses, "Frames": c.Frames}, "")
	}
	for _, note := range c.Notes {
		level := Warning
		if slices.Contains(harmless, note.About) {
			level = Info
		}
		add(FieldCamera, level, noteCode(note.About), note.Args, "")
	}
}

// harmless are the notes that need nothing to be done.
var harmless = []clip.NoteAbout{clip.NoteIntrinsicsGuessed, clip.NoteIntrinsicsScaled, clip.NoteGaps, clip.NoteFromKeys}

func noteCode(about clip.NoteAbout) Code { return Code("note_" + about) }

func (s *Studio) modelProblems(n *Snapshot, add func(Field, Level, Code, map[string]any, string)) {
	m := n.Model
	switch {
	case m.Demo && s.state.demoErr != nil:
		add(FieldModel, Error, DemoBad, nil, s.state.demoErr.Error())
	case m.Missing:
		add(FieldModel, Error, ModelMissing, map[string]any{"Path": s.checkpoint(n)}, m.Details)
	case m.LacksAssets:
		add(FieldModel, Error, ModelNoAssets, map[string]any{"Path": s.checkpoint(n)}, m.Details)
	case m.Server != "" && !m.Demo && (n.Server.Error != "" || len(n.Server.Models) == 0): // that is said
	case m.Details != "":
		add(FieldModel, Error, ModelBad, map[string]any{"Path": s.checkpoint(n)}, m.Details)
	default:
		s.modelWarnings(n, add)
	}
}

// modelWarnings says what the user should know of a model that can be used.
func (s *Studio) modelWarnings(n *Snapshot, add func(Field, Level, Code, map[string]any, string)) {
	if expert, missing := n.Model.Alone(n.Form.Inputs.Job.Boundary); expert != "" {
		add(FieldModel, Warning, ModelHalf, map[string]any{"Expert": expert, "Missing": missing}, "")
	}
	if n.Model.Twins {
		add(FieldModel, Warning, ModelTwins, nil, "")
	}
	for _, p := range n.Model.Parts {
		if len(p.Unused) > 0 {
			add(FieldModel, Warning, ModelUnused, map[string]any{"Part": p.Name, "Tensors": strings.Join(p.Unused[:min(3, len(p.Unused))], ", ")}, strings.Join(p.Unused, "\n"))
		}
	}
}

func compareProblems(a, b Problem) int {
	rank := map[Level]int{Error: 0, Warning: 1, Info: 2}
	return cmp.Or(rank[a.Level]-rank[b.Level], slices.Index(fields, a.Field)-slices.Index(fields, b.Field), cmp.Compare(a.Code, b.Code))
}

// with returns args and one more.
func with(args map[string]any, key string, value any) map[string]any {
	all := maps.Clone(args)
	all[key] = value
	return all
}
