package api

import (
	"context"
	"net/http"
	"slices"

	"gimbal/inference"
	"gimbal/inference/service/jobs"
)

// Model is a checkpoint that can be asked for.
type Model struct {
	ID        string           `json:"id"`
	Object    string           `json:"object"` // "model"
	HasCamera bool             `json:"has_camera"`
	Recipe    inference.Recipe `json:"recipe"`
	Workers   []Machine        `json:"workers"`

	fingerprint string
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
			models = append(models, Model{ID: m.Name, Object: "model", HasCamera: m.HasCamera, Recipe: m.Recipe, fingerprint: m.Fingerprint})
		}
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
	for _, one := range settings() {
		list = append(list, setting{one.Name, one.Help, one.Text(defaults), one.Choices})
	}
	answer(w, http.StatusOK, map[string]any{
		"version": s.o.Version, "settings": list, "priorities": jobs.Priorities, "max_upload_bytes": s.o.MaxUpload, "max_jobs": u.Limit,
	})
	return nil
}

// plan says what a video would take on a machine that has its model.
func (s *Server) plan(w http.ResponseWriter, r *http.Request, _ User) error {
	in, err := s.read(w, r)
	if err != nil {
		return err
	}
	defer in.remove()
	ctx, cancel := context.WithTimeout(r.Context(), answerTime)
	defer cancel()
	job, err := s.settle(ctx, in)
	if err != nil {
		return err
	}
	reply, err := s.o.Store.Plan(ctx, job.Model, jobs.PlanRequest{Settings: job.Settings, Camera: in.camera != ""})
	if err != nil {
		return err
	}
	if f := reply.Failure; f != nil {
		return invalid(f.Setting, "%s", f.Text)
	}
	answer(w, http.StatusOK, reply.Plan)
	return nil
}
