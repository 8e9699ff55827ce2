package studio

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/hub"
	"gimbal/inference/output"
)

// Get is where models are downloaded: what the hub has, the one that is chosen and where it goes,
// and the download under way.
type Get struct {
	Hub    string  // its address; "" where there is none
	Offers []Offer // in the order in which they are offered
	Chosen string  // name of one
	Folder string  // in which the chosen one would be
	// Need and Free are the bytes that it takes there, and that there are; 0 while not known.
	Need, Free int64
	Accepted   bool      // the licence of the chosen one
	Problems   []Problem // why it cannot be downloaded, errors first
	InUse      bool      // it is there, and the form's
	CanBegin   bool
	Task       Task
}

// Of returns the offer that is chosen.
func (g Get) Of() Offer {
	if i := g.index(g.Chosen); i >= 0 {
		return g.Offers[i]
	}
	return Offer{}
}

func (g Get) index(name string) int {
	return slices.IndexFunc(g.Offers, func(o Offer) bool { return o.Model.Name == name })
}

// Offer is a model that can be downloaded.
type Offer struct {
	Model    hub.Model
	Variant  engine.Variant // what it can do
	Checking bool           // the hub is being asked
	Bytes    int64          // to download; 0 while not known
	Licence  string         // its name; "" for one that is not stated
	Text     string         // of the licence, as the model's repository has it; "" for none
	Problem  Problem        // why it cannot be had; no Code for nothing
	Estimate Estimate       // of a usual video here
}

// Download is one that is not finished.
type Download struct {
	Model  string `json:"model,omitempty"` // its name; "" for no download
	Folder string `json:"folder,omitempty"`
	Paused bool   `json:"paused,omitempty"`
}

// TaskState says what becomes of a download.
type TaskState string

// The states. A download that is not running goes on when it is asked to.
const (
	TaskNone     TaskState = ""
	TaskChecking TaskState = "checking" // what is there is looked at
	TaskRunning  TaskState = "running"
	TaskWaiting  TaskState = "waiting" // for the network
	TaskPaused   TaskState = "paused"
	TaskFailed   TaskState = "failed"
	TaskDone     TaskState = "done"
)

// Task is a download.
type Task struct {
	State       TaskState
	Title       string // of the model
	Folder      string
	Done, Total int64   // bytes; a Total of 0 while that is not known
	Rate        float64 // bytes in a second; 0 while that is not known
	Left        time.Duration
	Resumed     bool // it was begun before the program was
	Problem     Problem
}

// Active reports whether something is being done.
func (t Task) Active() bool {
	return t.State == TaskChecking || t.State == TaskRunning || t.State == TaskWaiting
}

// Unfinished reports whether there is a download, be it under way or not.
func (t Task) Unfinished() bool { return t.State != TaskNone && t.State != TaskDone }

// newGet lists what there may be.
func (s *Studio) newGet() Get {
	if s.o.Hub == nil {
		return Get{}
	}
	c, err := s.o.Hub("")
	if err != nil {
		s.o.Log.Warn("there is no hub", "err", err)
		return Get{}
	}
	g := Get{Hub: c.Endpoint()}
	for _, m := range hub.Models {
		v, _ := engine.FindVariant(m.Variant)
		g.Offers = append(g.Offers, Offer{Model: m, Variant: v, Licence: m.Licence})
	}
	return g
}

var errNoHub = errors.New("there is no hub here")

// hub returns a client, with the token that is kept for it.
func (s *Studio) hub() (*hub.Client, error) {
	if s.o.Hub == nil {
		return nil, errNoHub
	}
	c, err := s.o.Hub("")
	if err != nil || s.o.Keys == nil {
		return c, err
	}
	token, err := s.o.Keys.Key(c.Endpoint())
	if err != nil {
		s.o.Log.Warn("reading a hub's token", "hub", c.Endpoint(), "err", err)
	}
	if token == "" {
		return c, nil
	}
	return s.o.Hub(token)
}

// AskHub asks the hub what there is, of all models that it was not asked for yet.
func (s *Studio) AskHub() {
	s.change(func(n *Snapshot) {
		for _, o := range n.Get.Offers {
			if o.Bytes == 0 {
				s.askHub(n, o.Model)
			}
		}
		s.recheck("room")
	})
}

// askHub asks for one model; then it is planned for, and the text of its licence fetched. s.mu is held.
func (s *Studio) askHub(n *Snapshot, m hub.Model) {
	at := n.Get.index(m.Name)
	if at < 0 || n.Get.Offers[at].Checking || s.closed {
		return
	}
	n.Get.change(at, func(o *Offer) { o.Checking, o.Problem = true, Problem{} })
	of := n.Get.Offers[at]
	s.tasks.Go(func() {
		c, err := s.hub()
		var found hub.Offer
		if err == nil {
			found, err = c.Offer(s.life, m, "")
		}
		s.change(func(n *Snapshot) {
			n.Get.change(at, func(o *Offer) {
				o.Checking = false
				if err != nil {
					o.Problem = getProblem(n.Get.Hub, err)
					return
				}
				s.state.offers[m.Name] = found
				o.Bytes, o.Licence = found.Bytes(), found.Licence()
			})
			s.recheck("room")
		})
		if err != nil {
			return
		}
		e := s.estimateOffer(of)
		s.change(func(n *Snapshot) { n.Get.change(at, func(o *Offer) { o.Estimate = e }) })
		if !m.NonCommercial {
			return
		}
		text, err := c.LicenceText(s.life, found)
		if err != nil {
			s.o.Log.Warn("fetching a licence", "model", m.Name, "err", err)
		}
		s.change(func(n *Snapshot) { n.Get.change(at, func(o *Offer) { o.Text = text }) })
	})
}

// change changes one of the offers, in a list of its own.
func (g *Get) change(at int, f func(o *Offer)) {
	g.Offers = slices.Clone(g.Offers)
	f(&g.Offers[at])
}

// estimateOffer says what a usual video takes here with a model that is not there yet.
func (s *Studio) estimateOffer(o Offer) Estimate {
	job := inference.DefaultJob()
	job.Recipe, job.Quant, job.Output = o.Variant.Recipe, o.Model.Quant, "video.mp4"
	p, err := s.o.Engine.Plan(s.life, engine.Request{Dims: o.Variant.Dims, Job: job, Camera: !o.Variant.Dims.Plain})
	if err != nil {
		return Estimate{Error: err.Error()}
	}
	return Estimate{Known: true, Time: p.Time, Memory: p.Peak().Memory(), Resident: p.Largest().Resident(), Fit: p.Fit()}
}

// getProblem says what is wrong where a hub gave an error.
func getProblem(address string, err error) Problem {
	var access *hub.AccessError
	var network *hub.NetworkError
	var hash *hub.HashError
	var other *hub.OtherFileError
	var gone *hub.GoneError
	var busy *hub.BusyError
	var disk *inference.DiskError
	code, args := GetFailed, map[string]any(nil)
	switch {
	case errors.As(err, &access) && access.Gated:
		code, args = GetGated, map[string]any{"Address": access.Address}
	case errors.As(err, &access) && access.Token:
		code, args = GetToken, map[string]any{"Address": access.Address}
	case errors.As(err, &access):
		code, args = GetNoToken, map[string]any{"Address": access.Address}
	case errors.As(err, &network):
		code, args = GetAway, map[string]any{"Hub": address}
	case errors.As(err, &hash):
		code, args = GetHash, map[string]any{"Path": hash.Path}
	case errors.As(err, &other):
		code, args = GetOther, map[string]any{"Path": other.Path}
	case errors.As(err, &gone):
		code, args = GetGone, map[string]any{"Path": gone.Folder, "Commit": gone.Commit[:7]}
	case errors.As(err, &busy):
		code, args = GetBusy, map[string]any{"Path": busy.Folder}
	case errors.As(err, &disk):
		code, args = GetRoom, map[string]any{"Need": inference.Size(disk.Need), "Free": inference.Size(disk.Free)}
	}
	return problem("", Error, code, args, err.Error())
}

// ChooseGet chooses one of the offers, and asks the hub for it.
func (s *Studio) ChooseGet(name string) {
	s.change(func(n *Snapshot) {
		if i := n.Get.index(name); i >= 0 && name != n.Get.Chosen {
			n.Get.Chosen, n.Get.Accepted = name, false
			if n.Get.Offers[i].Bytes == 0 {
				s.askHub(n, n.Get.Offers[i].Model)
			}
		}
	})
}

// SetModelsFolder chooses the folder for models that are downloaded, each in one of its name.
func (s *Studio) SetModelsFolder(path string) {
	s.userChange(func(n *Snapshot) { n.Settings.ModelsFolder = absolute(path) })
}

// AcceptLicence accepts the licence of the model that is chosen.
func (s *Studio) AcceptLicence(on bool) { s.change(func(n *Snapshot) { n.Get.Accepted = on }) }

// SetHubToken keeps a token of the hub's and asks it once more for what it did not give.
func (s *Studio) SetHubToken(token string) {
	s.serial.enqueue(func() {
		s.mu.Lock()
		address := s.now.Get.Hub
		s.mu.Unlock()
		if address == "" || s.o.Keys == nil {
			return
		}
		if err := s.o.Keys.SetKey(address, token); err != nil {
			s.change(func(n *Snapshot) { s.notice(n, Error, KeyNotKept, map[string]any{"Server": address}, err.Error()) })
		}
		s.AskHub()
	})
}

// deriveGet finds where the chosen model would go and whether it can be downloaded.
func (s *Studio) deriveGet(n *Snapshot) {
	g := &n.Get
	g.Folder, g.Problems = "", nil
	if g.Chosen != "" {
		g.Folder = filepath.Join(s.modelsFolder(n), g.Chosen)
	}
	o := g.Of()
	if o.Problem.Code != "" {
		g.Problems = append(g.Problems, o.Problem)
	}
	if g.Need > g.Free && o.Bytes > 0 {
		g.Problems = append(g.Problems, problem("", Error, GetRoom, map[string]any{"Need": inference.Size(g.Need), "Free": inference.Size(g.Free)}, ""))
	}
	if o.Model.NonCommercial && !g.Accepted {
		g.Problems = append(g.Problems, problem("", Warning, GetLicence, map[string]any{"Licence": o.Licence}, ""))
	}
	g.InUse = g.Chosen != "" && g.Need == 0 && n.Settings.ModelFolder == g.Folder
	g.CanBegin = o.Bytes > 0 && !g.InUse && len(g.Problems) == 0 && !s.pending("room") && !g.Task.Unfinished()
}

func (s *Studio) modelsFolder(n *Snapshot) string {
	if n.Settings.ModelsFolder != "" {
		return n.Settings.ModelsFolder
	}
	return filepath.Join(s.o.Dir, "models")
}

// checkRoom finds out what the chosen model takes in its folder.
func (s *Studio) checkRoom(n *Snapshot) {
	of := struct {
		name, folder string
		bytes        int64
	}{n.Get.Chosen, s.modelsFolder(n), n.Get.Of().Bytes}
	offer := s.state.offers[of.name]
	s.check("room", of, immediate, func(context.Context) func(*Snapshot) {
		var need, free int64
		if c, err := s.hub(); err == nil && of.bytes > 0 {
			folder := filepath.Join(of.folder, of.name)
			var known bool
			need = c.Missing(offer, folder)
			if free, known = output.Free(folder); !known {
				need = 0 // or downloading it will say
			}
		}
		return func(n *Snapshot) { n.Get.Need, n.Get.Free = need, free }
	})
}
