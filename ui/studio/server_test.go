package studio

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/library"
	"gimbal/inference/queue"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/cause/causetest"
)

// fakeServer is an engine that plays a server's: its checkpoints are names.
type fakeServer struct {
	*enginetest.Engine
	key string
	mu  sync.Mutex
	err error
	fit chan struct{} // closed to let Fit end; nil where it may
}

func (f *fakeServer) Fit(ctx context.Context, r engine.Request) (engine.Request, inference.Plan, []inference.Choice, error) {
	if f.fit != nil {
		<-f.fit
	}
	return f.Engine.Fit(ctx, r)
}

func (f *fakeServer) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeServer) Device(ctx context.Context) (engine.Device, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return engine.Device{Name: "two Macs", Limit: 2 << 30}, f.err
}

func (f *fakeServer) Checkpoints(context.Context) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return []string{"base-cam", "fast"}, f.err
}

func (f *fakeServer) Inspect(_ context.Context, r engine.Request) (engine.Model, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	recipe := inference.DefaultRecipe()
	if r.Checkpoint == "fast" {
		recipe.Steps, recipe.Shift = 4, 5
	}
	return engine.Model{Dir: r.Checkpoint, Whole: true, HasCamera: true, Recipe: recipe, LoRAs: []string{"walk.safetensors"}}, f.err
}

// fakeKeys keep keys in a map.
type fakeKeys struct{ all sync.Map }

func (k *fakeKeys) Key(server string) (string, error) {
	key, _ := k.all.Load(server)
	text, _ := key.(string)
	return text, nil
}

func (k *fakeKeys) SetKey(server, key string) error { k.all.Store(server, key); return nil }

const studioServer = "http://studio:7860"

// withServer has the Studio know a server, whose settings suit it.
func withServer(b *bench) *fakeServer {
	f := &fakeServer{Engine: enginetest.New()}
	b.servers.o.Keys = &fakeKeys{}
	b.servers.o.Connect = func(server, key string) (engine.Engine, error) {
		if server != studioServer {
			return nil, errors.New("no address")
		}
		f.key = key
		return f, nil
	}
	return f
}

// TestMakeFitOther chooses another model while settings are sought that fit the one before.
func TestMakeFitOther(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f := withServer(b)
		f.fit = make(chan struct{})
		b.SetServer(studioServer, "secret")
		b.await("the server", func(s Snapshot) bool { return s.Model.Whole && s.Model.Server != "" && !s.Form.Checking })
		b.Edit(FieldFrames, "9")
		b.MakeFit()
		synctest.Wait()
		b.SetServerModel("of the same recipe")
		close(f.fit)
		synctest.Wait()
		if s := b.Snapshot(); s.Form.Inputs.Job.Quant != inference.QuantNone || len(s.Notices) > 0 {
			t.Errorf("the other model has %v; notices %+v", s.Form.Inputs.Job.Quant, s.Notices)
		}
	})
}

// TestServer has a server make the videos: its models and its device are the form's, what is
// asked is asked there, and this machine makes them again when that is chosen.
func TestServer(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f := withServer(b)
		b.SetServer("studio:7860/", "secret")
		s := b.await("the server", func(s Snapshot) bool { return s.Model.Whole && s.Model.Server != "" && !s.Form.Checking })
		if s.Server.Address != studioServer || !slices.Equal(s.Server.Models, []string{"base-cam", "fast"}) || s.Device.Name != "two Macs" || s.Settings.ServerModel != "base-cam" || s.Model.Demo || f.key != "secret" {
			t.Errorf("%+v, %+v, %+v, key %q", s.Server, s.Device, s.Model, f.key)
		}
		b.SetServerModel("fast")
		s = b.await("its settings", func(s Snapshot) bool { return s.Form.Inputs.Job.Steps == 4 && !s.Form.Checking })
		b.await("its estimate", func(s Snapshot) bool { return s.Form.Estimate.Known && s.Form.Tokens.N > 0 })
		e := b.generate()
		if e.Settings.Server != studioServer || e.Settings.Checkpoint != "fast" {
			t.Errorf("the run is %+v", e.Settings)
		}
		f.Steps(4)
		b.finished(e.ID, library.Done)
		if here, there := len(b.engine.Requests()), f.Requests(); here != 0 || len(there) != 1 || there[0].Checkpoint != "fast" {
			t.Errorf("%d runs here, there %+v", here, there)
		}
		b.Edit(FieldLoRAs, "/tmp/run.safetensors")
		b.problem(FieldLoRAs, LoRAElsewhere)
		b.Edit(FieldLoRAs, filepath.Join(b.dir, "walk.safetensors"))
		b.await("a LoRA that is there", func(s Snapshot) bool { return len(s.Form.Of(FieldLoRAs)) == 0 && s.Form.CanRun })
		b.Edit(FieldLoRAs, "")

		b.SetServer("", "")
		s = b.await("this machine", func(s Snapshot) bool {
			return s.Device.Name == "fake" && s.Model.Demo && s.Model.Whole && !s.Form.Checking
		})
		e = b.generate()
		b.engine.Steps(s.Form.Inputs.Job.Steps)
		b.finished(e.ID, library.Done)
		if len(b.engine.Requests()) != 1 {
			t.Error("this machine makes no video")
		}
		b.CopySettings(b.Snapshot().Library.Entries[1].ID)
		b.await("the server again", func(s Snapshot) bool {
			return s.Settings.Server == studioServer && s.Settings.ServerModel == "fast" && s.Model.Whole
		})
	})
}

// TestServerAway makes sure that a server which cannot be asked is a problem that goes when it
// is back, and that a run says that its server is away.
func TestServerAway(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f := withServer(b)
		f.fail(errors.New("connection refused"))
		b.SetServer(studioServer, "")
		if p := b.problem(FieldModel, ServerAway); p.Details != "connection refused" || b.Snapshot().Form.CanRun {
			t.Errorf("%+v", p)
		}
		f.fail(nil)
		b.await("the server", func(s Snapshot) bool { return s.Server.Error == "" && s.Model.Whole && s.Form.CanRun })
		e := b.generate()
		f.Steps(1)
		b.await("a step", func(s Snapshot) bool { return s.Run.Step == 1 })
		b.Cancel(e.ID)
		b.finished(e.ID, library.Cancelled)
		b.SetServer("nonsense", "")
		b.problem(FieldModel, ServerAway)
	})
}

// TestServerGoesOn makes sure that a run which a server went on with while the program was
// closed is followed again, and that one of this machine is not.
func TestServerGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		withServer(b)
		b.SetServer(studioServer, "")
		b.await("the server", func(s Snapshot) bool { return s.Model.Whole && s.Model.Server != "" })
		e := b.generate()
		b.await("preparation", func(s Snapshot) bool { return s.Run.Phase == queue.Sampling })
		must(t, b.Studio.Close(context.Background()))
		o := b.options()
		f := &fakeServer{Engine: enginetest.New()}
		o.Connect = func(string, string) (engine.Engine, error) { return f, nil }
		st, err := New(o)
		must(t, err)
		b.Studio = st
		f.Steps(3)
		b.finished(e.ID, library.Done)
		if got := f.Requests(); len(got) != 1 || got[0].Resume == "" {
			t.Errorf("the server is asked for %+v", got)
		}
	})
}

// TestServerProblems marks the same settings in the same words for a run that failed on a server.
func TestServerProblems(t *testing.T) {
	marks := 0
	for _, err := range causetest.Errors() {
		here := problemsOf(err, Warning)
		there := problemsOf(&cause.Remote{Where: "studio", Text: err.Error(), Err: cause.Of(err, nil).Err()}, Warning)
		for field, p := range here {
			if marks++; there[field].Code != p.Code || there[field].Text != p.Text {
				t.Errorf("%v: %s says %q here and %q there", err, field, p.Text, there[field].Text)
			}
		}
		if len(here) != len(there) {
			t.Errorf("%v: %d marks here, %d there", err, len(here), len(there))
		}
	}
	if marks < 5 {
		t.Errorf("only %d marks", marks)
	}
}

// TestServerMany has a server make three videos: it has all of them at once, one that is under way
// is shown, one is cancelled, and the others are followed again after a restart.
func TestServerMany(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f := withServer(b)
		b.SetServer(studioServer, "")
		b.await("the server", func(s Snapshot) bool { return s.Model.Whole && s.Model.Server != "" && !s.Form.Checking })
		var all []library.Entry
		for range 3 {
			all = append(all, b.generate())
		}
		s := b.await("all on the server", func(s Snapshot) bool { return len(f.Requests()) == 3 && len(s.UnderWay()) == 3 })
		if len(s.Waiting) != 0 || s.Run.Entry.ID != all[0].ID || s.Here() {
			t.Errorf("%+v", s.State)
		}
		b.Show(all[2].ID)
		b.await("the third in front", func(s Snapshot) bool { return s.Run.Entry.ID == all[2].ID && s.Stage.Entry.ID == "" })
		b.Cancel(all[1].ID)
		b.finished(all[1].ID, library.Cancelled)
		if s := b.Snapshot(); s.Run.Entry.ID != all[2].ID || len(s.UnderWay()) != 2 {
			t.Errorf("after one was cancelled: %+v", s.State)
		}
		must(t, b.Studio.Close(context.Background()))
		o := b.options()
		again := &fakeServer{Engine: enginetest.New()}
		o.Connect = func(string, string) (engine.Engine, error) { return again, nil }
		st, err := New(o)
		must(t, err)
		b.Studio = st
		b.await("both followed", func(s Snapshot) bool { return len(again.Requests()) == 2 && len(s.UnderWay()) == 2 })
		again.Steps(4)
		for _, i := range []int{0, 2} {
			b.finished(all[i].ID, library.Done)
		}
		b.finished(all[1].ID, library.Cancelled)
	})
}
