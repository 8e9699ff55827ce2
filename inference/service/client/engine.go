package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/service/api"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/jobs"
)

// Engine is an engine.Engine whose videos a service makes. Checkpoints are the names of the
// service's models, and a LoRA is the one that has the name of the job's file there.
type Engine struct {
	*Client
	log  *slog.Logger
	life context.Context // ends with Close
	end  context.CancelFunc
	busy sync.WaitGroup // what is told the server in the background
}

var _ engine.Engine = (*Engine)(nil)

// NewEngine returns an Engine of the service that a client asks.
func NewEngine(c *Client, log *slog.Logger) *Engine {
	e := &Engine{Client: c, log: log}
	e.life, e.end = context.WithCancel(context.Background())
	return e
}

// Name is the server's in a few letters, such as studio:7860.
func (c *Client) Name() string {
	u, err := url.Parse(c.url)
	if err != nil {
		return c.url
	}
	return u.Host
}

// Device implements engine.Engine: the machines of the service.
func (e *Engine) Device(ctx context.Context) (engine.Device, error) {
	models, err := e.Models(ctx)
	if err != nil {
		return engine.Device{}, err
	}
	machines := map[string]api.Machine{}
	for _, m := range models {
		for _, w := range m.Workers {
			machines[w.Name] = w
		}
	}
	count, d := map[string]int{}, engine.Device{Name: e.Name()}
	for _, m := range machines {
		count[m.Device]++
		d.Limit = max(d.Limit, m.Memory)
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(count)) {
		if n := count[name]; n > 1 {
			name = fmt.Sprintf("%d × %s", n, name)
		}
		names = append(names, name)
	}
	if len(names) > 0 {
		d.Name = strings.Join(names, ", ") + " (" + e.Name() + ")"
	}
	return d, nil
}

// Checkpoints implements engine.Lister: the names of the service's models.
func (e *Engine) Checkpoints(ctx context.Context) (names []string, err error) {
	models, err := e.Models(ctx)
	for _, m := range models {
		names = append(names, m.ID)
	}
	return slices.Compact(names), err
}

// Inspect implements engine.Engine.
func (e *Engine) Inspect(ctx context.Context, r engine.Request) (engine.Model, error) {
	checkpoint := r.Checkpoint
	models, err := e.Models(ctx)
	if err != nil {
		return engine.Model{}, err
	}
	var names []string
	for _, m := range models {
		if m.ID != checkpoint && !(checkpoint == "" && len(models) == 1) {
			names = append(names, m.ID)
			continue
		}
		found := engine.Model{Dir: m.ID, Whole: true, HasCamera: m.HasCamera, ReadsKeys: m.ReadsKeys, Recipe: m.Recipe, LoRAs: m.LoRAs}
		found.Variant, _ = engine.FindVariant(m.Variant)
		found.Modes = []string{m.Recipe.Mode} // that its recipe is for
		for _, p := range m.Parts {
			found.Parts = append(found.Parts, engine.Part{Name: p.Name, Path: m.ID, Bytes: p.Bytes})
		}
		return found, nil
	}
	err = fmt.Errorf("server %s: no worker has a model %q now; there are %q", e.Name(), checkpoint, names)
	if len(names) == 0 {
		err = fmt.Errorf("server %s: no worker is there now", e.Name())
	}
	return engine.Model{}, &inference.CheckpointError{Dir: checkpoint, Err: err}
}

// Tokens implements engine.Engine.
func (e *Engine) Tokens(ctx context.Context, r engine.Request, texts ...string) (counts []engine.Tokens, err error) {
	all, err := e.Client.Tokens(ctx, r.Checkpoint, texts)
	for _, t := range all {
		counts = append(counts, engine.Tokens{N: t.Tokens, Limit: t.Limit})
	}
	return counts, err
}

// Plan implements engine.Engine.
func (e *Engine) Plan(ctx context.Context, r engine.Request) (inference.Plan, error) {
	o, err := planOrder(r)
	if err != nil {
		return inference.Plan{}, err
	}
	return e.Client.Plan(ctx, o)
}

// Fit implements engine.Engine.
func (e *Engine) Fit(ctx context.Context, r engine.Request) (engine.Request, inference.Plan, []inference.Choice, error) {
	o, err := planOrder(r)
	if err != nil {
		return r, inference.Plan{}, nil, err
	}
	if r.Only != "" {
		o.Fields["only"] = r.Only
	}
	f, err := e.Client.Fit(ctx, o)
	if err != nil {
		return r, f.Plan, nil, err
	}
	for _, c := range f.Choices {
		if err := inference.FindSetting(c.Setting).Set(&r.Job, c.Value); err != nil {
			return r, f.Plan, nil, err
		}
	}
	return r, f.Plan, f.Choices, nil
}

// Memory implements engine.Engine: nothing of it is here.
func (e *Engine) Memory() engine.Memory { return engine.Memory{} }

// Close implements engine.Engine. Videos that are being made go on.
func (e *Engine) Close() error {
	e.end()
	e.busy.Wait()
	return nil
}

// settingsOf are a job's as a request has them.
func settingsOf(checkpoint string, job inference.Job) map[string]string {
	loras := job.LoRAs.List()
	for i := range loras {
		loras[i].File = filepath.Base(loras[i].File)
	}
	job.LoRAs = inference.NewLoRAs(loras...)
	values := map[string]string{}
	if checkpoint != "" {
		values["model"] = checkpoint
	}
	for _, s := range api.Settings() {
		values[s.Name] = s.Text(job)
	}
	return values
}

// planOrder is what a server is asked about a request. Files stay here: only what they come
// to counts.
func planOrder(r engine.Request) (Order, error) {
	c, err := clip.OpenSized(r.Job, r.PictureWidth, r.PictureHeight)
	if err != nil {
		return Order{}, err
	}
	o := Order{Settings: settingsOf(r.Checkpoint, r.Job), Fields: map[string]string{}}
	delete(o.Settings, "action_string")
	if c.Frames != r.Job.Frames {
		o.Settings["frame_num"] = strconv.Itoa(c.Frames)
	}
	if c.Control != nil || r.Camera {
		o.Fields["camera"] = "True"
	}
	if c.PictureWidth > 0 {
		o.Fields["image_width"], o.Fields["image_height"] = strconv.Itoa(c.PictureWidth), strconv.Itoa(c.PictureHeight)
	}
	return o, nil
}

// runOrder is what a server is asked to make of a request.
func runOrder(r engine.Request) (Order, error) {
	o := Order{Settings: settingsOf(r.Checkpoint, r.Job), Picture: r.Job.Image, Fields: map[string]string{}}
	if r.Job.FramesDir != "" {
		o.Fields["keep_frames"] = "True"
	}
	if r.Job.ActionPath != "" {
		control, err := clip.Find(r.Job.ActionPath)
		if err != nil {
			return o, &inference.SettingError{Setting: "action_path", Mistake: inference.Unusable, Err: err}
		}
		o.Camera = control.Files
	}
	return o, nil
}

// cancelTime is how long a Run may take to tell the server that its video is not wanted.
const cancelTime = 700 * time.Millisecond

// cancel ends a video on the server: at once, or in the background as soon as that is back.
func (e *Engine) cancel(id jobs.ID) {
	try := func(d time.Duration) bool {
		ctx, stop := context.WithTimeout(e.life, d)
		defer stop()
		err := e.Client.Cancel(ctx, id)
		var known *api.Error
		return err == nil || errors.Is(err, jobs.ErrFinal) || errors.As(err, &known) && known.Status < 500
	}
	if try(cancelTime) {
		return
	}
	e.log.Warn("a video is to end and its server is away; trying again", "server", e.Name(), "id", id)
	e.busy.Go(func() {
		for e.life.Err() == nil && !try(10*time.Second) {
			select {
			case <-e.life.Done():
			case <-time.After(retry):
			}
		}
	})
}

// failed is why a video did not come to be.
func (e *Engine) failed(v api.Video) error {
	if v.Error == nil {
		return fmt.Errorf("the video was cancelled on the server %s", e.Name())
	}
	failed := &cause.Remote{Where: cmp.Or(v.Worker, e.Name()), Text: v.Error.Message, Err: v.Error.Cause.Err()}
	if failed.Err == nil && v.Error.Setting != "" {
		return &inference.SettingError{Setting: v.Error.Setting, Mistake: inference.Unusable, Err: failed}
	}
	return failed
}
