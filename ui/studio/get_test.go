package studio

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/inference/hub"
	"gimbal/inference/hub/hubtest"
)

// The model that is downloaded, of two repositories and under a licence to accept.
const (
	getName = "lingbot-world-v2-1.3b-causal-fast"
	getRepo = "robbyant/" + getName
)

// withHub lets the Studio ask a hub that holds the model, of about a megabyte.
func withHub(b *bench) *hubtest.Hub {
	b.t.Helper()
	h := hubtest.New(map[string]hubtest.Repo{
		getRepo: {"transformers/diffusion_pytorch_model.safetensors": hubtest.Random(700_000), "LICENSE": []byte("Share alike.")},
		"robbyant/lingbot-world-v2-14b-causal-fast": {"Wan2.1_VAE.pth": hubtest.Random(300_000), "transformers/huge.safetensors": hubtest.Random(2_000_000)},
	})
	client := h.Client()
	keys := &fakeKeys{}
	b.hub = func(o Options) Options {
		o.Keys = keys
		o.Hub = func(token string) (*hub.Client, error) {
			return hub.New(hub.Options{Endpoint: h.URL, Token: token, Client: client, Chunk: 50_000, Parallel: 2, Backoff: time.Second})
		}
		return o
	}
	b.restart()
	return h
}

// chosen chooses the model, with its licence accepted.
func chosen(b *bench) Snapshot {
	b.t.Helper()
	b.ChooseGet(getName)
	b.AcceptLicence(true)
	return b.await("an offer", func(s Snapshot) bool { return s.Get.CanBegin })
}

func folderOf(b *bench) string { return filepath.Join(b.dir, "own", "models", getName) }

// getProblemOf waits for a problem of the panel.
func getProblemOf(b *bench, code Code) Problem {
	b.t.Helper()
	var found Problem
	b.await(string(code), func(s Snapshot) bool {
		i := slices.IndexFunc(s.Get.Problems, func(p Problem) bool { return p.Code == code })
		if i >= 0 {
			found = s.Get.Problems[i]
		}
		return i >= 0
	})
	return found
}

// TestGet downloads a model: what it is and takes is said, its licence is to be accepted, how fast
// it goes is measured, and in the end it is the form's.
func TestGet(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := withHub(b)
		b.AskHub()
		s := b.await("what there is", func(s Snapshot) bool {
			return !slices.ContainsFunc(s.Get.Offers, func(o Offer) bool {
				return o.Checking || o.Bytes > 0 && !o.Estimate.Known || o.Model.Name == getName && o.Text == ""
			})
		})
		if s.Get.Hub != h.URL || len(s.Get.Offers) != len(hub.Models) {
			t.Errorf("%s offers %d models", s.Get.Hub, len(s.Get.Offers))
		}
		for _, o := range s.Get.Offers {
			switch has := o.Bytes > 0; {
			case has != (o.Model.Name == getName || o.Model.Name == "lingbot-world-v2-14b-causal-fast"):
				t.Errorf("%s has %d bytes", o.Model.Name, o.Bytes)
			case !has && o.Problem.Code != GetNoToken:
				t.Errorf("%s: %+v", o.Model.Name, o.Problem)
			case has && (!o.Estimate.Known || o.Text == "" && o.Model.Name == getName):
				t.Errorf("%+v", o)
			}
		}

		b.ChooseGet(getName)
		if p := getProblemOf(b, GetLicence); p.Level != Warning || b.Snapshot().Get.CanBegin {
			t.Errorf("%+v", p)
		}
		b.BeginGet()
		if s := b.Snapshot(); s.Get.Task.State != TaskNone {
			t.Errorf("without its licence being accepted it is %s", s.Get.Task.State)
		}
		s = chosen(b)
		if s.Get.Need != 1_000_012 || s.Get.Free < s.Get.Need || s.Get.Folder != folderOf(b) {
			t.Errorf("%d bytes of %d in %s", s.Get.Need, s.Get.Free, s.Get.Folder)
		}
		h.Slow(5_000)
		b.BeginGet()
		s = b.await("half of it", func(s Snapshot) bool { return s.Get.Task.Done > 500_000 && s.Get.Task.Rate > 0 })
		if g := s.Get.Task; g.State != TaskRunning || g.Total != 1_000_012 || g.Rate < 8_000 || g.Rate > 12_000 || g.Left < 30*time.Second || g.Left > time.Minute || s.Settings.Download.Model != getName {
			t.Errorf("%+v", g)
		}
		s = b.await("the model", func(s Snapshot) bool { return s.Get.Task.State == TaskDone })
		if s.Settings.ModelFolder != folderOf(b) || s.Model.Demo || s.Settings.Download != (Download{}) || s.Get.Task.Done != 1_000_012 {
			t.Errorf("%+v, the folder %s", s.Get.Task, s.Settings.ModelFolder)
		}
		b.notice(ModelFetched)
		if n := h.Noted(); len(n) > 0 {
			t.Error(n)
		}
	})
}

// TestGetGoesOn closes the program on the way: the next one says so and goes on, a pause stays one,
// and nothing comes twice but what was under way.
func TestGetGoesOn(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := withHub(b)
		h.Slow(5_000)
		chosen(b)
		b.BeginGet()
		b.await("some of it", func(s Snapshot) bool { return s.Get.Task.Done > 300_000 })
		b.restart()
		s := b.await("more of it", func(s Snapshot) bool { return s.Get.Task.Done > 500_000 })
		if g := s.Get.Task; !g.Resumed || !g.Active() || g.Folder != folderOf(b) || g.Title == "" {
			t.Errorf("%+v", g)
		}
		b.PauseGet()
		s = b.await("a pause", func(s Snapshot) bool { return s.Get.Task.State == TaskPaused })
		if s.Get.Task.Rate != 0 || !s.Get.Task.Unfinished() || s.Get.CanBegin {
			t.Errorf("%+v", s.Get.Task)
		}
		b.restart()
		time.Sleep(time.Hour)
		if s := b.Snapshot(); s.Get.Task.State != TaskPaused || s.Settings.ModelFolder != "" {
			t.Errorf("%+v", s.Get.Task)
		}
		b.ResumeGet()
		b.PauseGet()
		b.ResumeGet() // while the one before may still be ending
		b.await("the model", func(s Snapshot) bool { return s.Get.Task.State == TaskDone && s.Settings.ModelFolder == folderOf(b) })
		if most := int64(1_000_012 + 4*2*50_000); h.Served() > most {
			t.Errorf("%d bytes came for 1000012, want at most %d", h.Served(), most)
		}
	})
}

// TestGetCancelled gives a download up: what is complete stays, what is not goes.
func TestGetCancelled(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := withHub(b)
		h.Slow(5_000)
		chosen(b)
		b.BeginGet()
		b.await("some of it", func(s Snapshot) bool { return s.Get.Task.Done > 300_000 })
		b.CancelGet()
		b.BeginGet() // waits for that
		b.CancelGet()
		b.notice(DownloadDropped)
		b.await("its end", func(s Snapshot) bool {
			parts, _ := filepath.Glob(filepath.Join(folderOf(b), "*", "*.part"))
			return s.Get.Task.State == TaskNone && len(parts) == 0 && s.Get.CanBegin
		})
		if s := b.Snapshot(); s.Settings.Download != (Download{}) || s.Settings.ModelFolder != "" {
			t.Errorf("%+v", s.Settings)
		}
		if _, err := os.Stat(filepath.Join(folderOf(b), "LICENSE")); err != nil {
			t.Error("a complete file went: ", err)
		}
		b.restart()
		if s := b.Snapshot(); s.Get.Task.State != TaskNone {
			t.Errorf("%+v", s.Get.Task)
		}
	})
}

// TestGetProblems says in words what is wrong, and what to do.
func TestGetProblems(t *testing.T) {
	t.Run("gated", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bench) {
			h := withHub(b)
			h.Gated = true
			b.ChooseGet(getName)
			if p := getProblemOf(b, GetGated); !strings.Contains(p.Text, h.URL+"/"+getRepo) {
				t.Errorf("%+v", p)
			}
			b.SetHubToken(hubtest.Token)
			chosen(b)
			b.restart()
			chosen(b) // the token is kept
		})
	})
	t.Run("no room", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bench) {
			withHub(b)
			chosen(b)
			b.change(func(n *Snapshot) { n.Get.Need = n.Get.Free + 1e9 })
			if getProblemOf(b, GetRoom); b.Snapshot().Get.CanBegin {
				t.Error("it can be begun")
			}
			b.SetModelsFolder(filepath.Join(b.dir, "elsewhere"))
			if s := chosen(b); s.Get.Folder != filepath.Join(b.dir, "elsewhere", getName) {
				t.Errorf("it goes to %s", s.Get.Folder)
			}
		})
	})
	t.Run("another file", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bench) {
			withHub(b)
			must(t, os.MkdirAll(folderOf(b), 0o755))
			mine := filepath.Join(folderOf(b), "LICENSE")
			must(t, os.WriteFile(mine, []byte("mine"), 0o644))
			chosen(b)
			b.BeginGet()
			s := b.await("its end", func(s Snapshot) bool { return s.Get.Task.State == TaskFailed })
			if p := s.Get.Task.Problem; p.Code != GetOther || p.Args["Path"] != mine {
				t.Errorf("%+v", p)
			}
			must(t, os.Remove(mine))
			b.ResumeGet()
			b.await("the model", func(s Snapshot) bool { return s.Get.Task.State == TaskDone })
		})
	})
	t.Run("no network", func(t *testing.T) {
		inBubble(t, func(t *testing.T, b *bench) {
			h := withHub(b)
			chosen(b)
			h.Answer(func(w http.ResponseWriter, _ *http.Request, n int) bool {
				if n < 300 {
					http.Error(w, "down", http.StatusBadGateway)
				}
				return n < 300
			})
			b.BeginGet()
			for deadline := time.Now().Add(time.Hour); ; time.Sleep(time.Second) {
				s := b.Snapshot()
				if s.Get.Task.State == TaskWaiting && s.Get.Task.Problem.Code == GetAway {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("%+v", s.Get.Task)
				}
			}
			for b.Snapshot().Get.Task.State != TaskDone {
				time.Sleep(time.Minute)
			}
			must(t, b.Studio.Close(context.Background()))
			b.start()
		})
	})
}
