package api

import (
	"context"
	"io"
	"net/http"
	"slices"

	"gimbal/inference"
	"gimbal/inference/picture"
	"gimbal/inference/service/jobs"
)

// Model is a checkpoint that can be asked for.
type Model struct {
	ID        string           `json:"id"`
	Object    string           `json:"object"` // "model"
	HasCamera bool             `json:"has_camera"`
	ReadsKeys bool             `json:"reads_keys"`        // it is told keys: an act checkpoint
	Variant   string           `json:"variant,omitempty"` // such as base-cam, where it is known
	Parts     []inference.Part `json:"parts"`
	LoRAs     []string         `json:"loras"` // names of those that its workers have
	Recipe    inference.Recipe `json:"recipe"`
	Workers   []Machine        `json:"workers"`

	fingerprint string
	loras       map[string]string // fingerprints by names
}

// Machine is where a model runs.
type Machine struct {
	Name   string `json:"name"`
	Device string `json:"device"`
	Memory int64  `json:"memory"` // bytes; 0 if not known
}

// available returns the models that workers have, one for each name.
func (s *Server) available(ctx context.Context) ([]Model, error) {
	all, err := s.o.Store.Models(ctx)
	if err != nil {
		return nil, err
	}
	models := []Model{}
	for _, m := range all { // by name
		i := slices.IndexFunc(models, func(have Model) bool { return have.ID == m.Name && have.fingerprint == m.Fingerprint })
		if i < 0 {
			i = len(models)
			models = append(models, Model{
				ID: m.Name, Object: "model", HasCamera: m.HasCamera, ReadsKeys: m.ReadsKeys, Variant: m.Variant, Parts: append([]inference.Part{}, m.Parts...), Recipe: m.Recipe,
				fingerprint: m.Fingerprint, LoRAs: []string{}, loras: map[string]string{},
			})
		}
		for name, fingerprint := range m.LoRAs {
			if _, ok := models[i].loras[name]; !ok { // of two of one name, the first worker's counts
				models[i].LoRAs, models[i].loras[name] = append(models[i].LoRAs, name), fingerprint
			}
		}
		slices.Sort(models[i].LoRAs)
		models[i].Workers = append(models[i].Workers, Machine{m.Worker, m.Device, m.Memory})
	}
	return models, nil
}

func (s *Server) models(w http.ResponseWriter, r *http.Request, _ User) error {
	models, err := s.available(r.Context())
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": models})
	return nil
}

// capabilities say which settings there are, and what else a client may ask for.
func (s *Server) capabilities(w http.ResponseWriter, _ *http.Request, u User) error {
	type setting struct {
		Name    string   `json:"name"`
		Help    string   `json:"help"`
		Default string   `json:"default"`
		Choices []string `json:"choices,omitempty"`
	}
	list, defaults := []setting{}, inference.DefaultJob()
	for _, one := range Settings() {
		list = append(list, setting{one.Name, one.Help, one.Text(defaults), one.Choices})
	}
	answer(w, http.StatusOK, map[string]any{
		"version": s.o.Version, "settings": list, "priorities": jobs.Priorities, "max_upload_bytes": s.o.MaxUpload, "max_jobs": u.Limit,
	})
	return nil
}

// plan says what a video would take on a machine that has its model.
func (s *Server) plan(w http.ResponseWriter, r *http.Request, _ User) error {
	reply, err := s.askPlan(w, r, false)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, reply.Plan)
	return nil
}

// fit says with which settings a video fits a machine that has its model.
func (s *Server) fit(w http.ResponseWriter, r *http.Request, _ User) error {
	reply, err := s.askPlan(w, r, true)
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, map[string]any{"plan": reply.Plan, "choices": append([]inference.Choice{}, reply.Choices...)})
	return nil
}

func (s *Server) askPlan(w http.ResponseWriter, r *http.Request, fit bool) (reply jobs.PlanReply, err error) {
	in, err := s.read(w, r)
	if err != nil {
		return reply, err
	}
	defer in.remove()
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	job, err := s.settle(ctx, in)
	if err != nil {
		return reply, err
	}
	q := jobs.PlanRequest{
		Settings: job.Settings, LoRAs: job.LoRAs, Camera: in.camera != "" || in.truth("camera"), Fit: fit, Only: in.values["only"],
		Width: in.pixels("image_width"), Height: in.pixels("image_height"),
	}
	if in.picture != "" {
		if q.Width, q.Height, err = picture.Bounds(in.picture); err != nil {
			return reply, in.anonymous(&inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: err})
		}
	}
	if reply, err = s.o.Store.Plan(ctx, job.Model, q); err == nil && reply.Failure != nil {
		wrong := invalid(reply.Failure.Setting, "%s", reply.Failure.Text)
		wrong.Cause = reply.Failure.Cause
		err = wrong
	}
	return reply, err
}

// Tokens says how many tokens a text has, and how many the model reads.
type Tokens struct {
	Tokens int `json:"tokens"`
	Limit  int `json:"limit"`
}

// maxTexts is how many texts are counted at once.
const maxTexts = 16

// tokens counts the tokens of texts as a model reads them.
func (s *Server) tokens(w http.ResponseWriter, r *http.Request, _ User) error {
	var q struct {
		Model string   `json:"model"`
		Texts []string `json:"texts"`
	}
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxTexts*maxText))
	if err != nil {
		return broken("the request", err)
	}
	if err := strict(text, &q); err != nil {
		return badRequest("the request: %v", err)
	}
	if len(q.Texts) == 0 || len(q.Texts) > maxTexts {
		return badRequest("texts: found %d, want 1 to %d", len(q.Texts), maxTexts)
	}
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	m, err := s.model(ctx, q.Model)
	if err != nil {
		return err
	}
	reply, err := s.o.Store.Tokens(ctx, m.fingerprint, jobs.TokensRequest{Texts: q.Texts})
	if err != nil {
		return err
	}
	if f := reply.Failure; f != nil || len(reply.Counts) != len(q.Texts) {
		return &Error{Status: http.StatusServiceUnavailable, Code: "unavailable", Message: "a worker cannot count the tokens now"}
	}
	data := []Tokens{}
	for _, n := range reply.Counts {
		data = append(data, Tokens{n, reply.Limit})
	}
	answer(w, http.StatusOK, map[string]any{"object": "list", "data": data})
	return nil
}
