package queue

import (
	"context"
	"fmt"
	"image"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference"
	"gimbal/inference/engine"
	"gimbal/inference/engine/enginetest"
	"gimbal/inference/library"
)

// server plays a server: it takes a second to take a run, and makes it as the test says.
type server struct {
	*enginetest.Engine
	mu    sync.Mutex
	taken []string // prompts, "again" before those that go on
	runs  map[string]chan inference.Event
}

func newServer() *server {
	return &server{Engine: enginetest.New(), runs: map[string]chan inference.Event{}}
}

// run returns what the run of a prompt does.
func (s *server) run(prompt string) chan inference.Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.runs[prompt] == nil {
		s.runs[prompt] = make(chan inference.Event)
	}
	return s.runs[prompt]
}

func (s *server) Run(ctx context.Context, r engine.Request, emit func(inference.Event)) (saved inference.Saved, err error) {
	time.Sleep(time.Second)
	dir, words := r.Resume, "again "+r.Job.Prompt
	if dir == "" {
		dir, words = engine.Beside(r.Job, ".run"), r.Job.Prompt
		if err := os.Mkdir(dir, 0o755); err != nil {
			return saved, err
		}
	}
	s.mu.Lock()
	s.taken = append(s.taken, words)
	s.mu.Unlock()
	emit(inference.Waiting{RunDir: dir})
	for {
		select {
		case <-ctx.Done():
			return saved, &inference.PausedError{Dir: dir, Err: context.Cause(ctx)}
		case e := <-s.run(r.Job.Prompt):
			if saved, ok := e.(inference.Saved); ok {
				saved.Video = r.Job.Output
				return saved, os.RemoveAll(dir)
			}
			emit(e)
		}
	}
}

// far says of each run that is under way how far it is, the one in front first.
func (b *bench) far() string {
	synctest.Wait()
	var words []string
	for _, r := range b.State().UnderWay() {
		words = append(words, fmt.Sprintf("%s %s %d %d/%d", r.Entry.Settings.Job.Prompt, r.Phase, r.Before, r.Step, len(r.Preview)))
	}
	return strings.Join(words, ", ")
}

// TestServers has a server make three runs beside one of this machine: it has all of them at once,
// in their order, each with its own progress; one is cancelled and goes on, and all are found again.
func TestServers(t *testing.T) {
	inBubble(t, func(b *bench) {
		ids := map[string]library.ID{}
		for _, prompt := range []string{"a", "b", "c", "here", "later"} {
			s := b.settings()
			if s.Job.Prompt = prompt; len(prompt) == 1 {
				s.Server = "http://studio:7860"
			}
			e, err := b.Add(s, b.at("videos"), nil)
			must(t, err)
			ids[prompt] = e.ID
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !slices.Equal(b.server.taken, []string{"a", "b", "c"}) {
			t.Errorf("the server has %q", b.server.taken)
		}
		if s := b.State(); len(s.Waiting) != 1 || s.Waiting[0].ID != ids["later"] || len(s.Others) != 3 || !s.Here() {
			t.Errorf("%+v", s)
		}
		b.server.run("c") <- inference.Waiting{Before: 2, RunDir: b.entry(ids["c"]).RunDir}
		for _, prompt := range []string{"a", "b"} {
			b.server.run(prompt) <- inference.Prepared{Width: 32, Height: 16, Frames: 5, FirstStep: 1, Steps: 3, RunDir: b.entry(ids[prompt]).RunDir}
		}
		b.server.run("b") <- inference.Step{Index: 2, Total: 3, Preview: []image.Image{image.NewRGBA(image.Rect(0, 0, 4, 2))}}
		if got, want := b.far(), "a text 0 0/0, b sampling 0 2/1, c waiting 2 0/0, here sampling 0 0/0"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if c, a := b.entry(ids["c"]), b.entry(ids["a"]); c.State != library.Queued || a.State != library.Running {
			t.Errorf("the library has %s and %s", c.State, a.State)
		}
		if !b.Front(ids["b"]) || b.Front(ids["later"]) || b.State().Run.Entry.ID != ids["b"] {
			t.Errorf("in front is %s", b.far())
		}
		b.Cancel(ids["c"])
		b.server.run("b") <- inference.Saved{}
		if got, want := b.far(), "a text 0 0/0, here sampling 0 0/0"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
		if c, done := b.entry(ids["c"]), b.entry(ids["b"]); c.State != library.Cancelled || !c.CanResume() || done.State != library.Done || len(b.over) != 2 {
			t.Errorf("the library has %+v and %+v; %d ends were told", c, done, len(b.over))
		}
		b.Resume(ids["c"])
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := b.server.taken[len(b.server.taken)-1]; got != "again c" {
			t.Errorf("resumed: %q", got)
		}
		b.engine.Steps(6) // meanwhile this machine makes its own
		for _, prompt := range []string{"here", "later"} {
			if e := b.entry(ids[prompt]); e.State != library.Done {
				t.Errorf("%s: %+v", prompt, e)
			}
		}
		b.close()
		b.open()
		for _, prompt := range []string{"a", "c"} {
			if e := b.entry(ids[prompt]); e.State != library.Interrupted || !e.CanResume() {
				t.Errorf("after a restart: %+v", e)
			}
		}
	})
}

// TestServerRefuses makes sure that a run which a server does not take keeps no other from it.
func TestServerRefuses(t *testing.T) {
	inBubble(t, func(b *bench) {
		var all []library.Entry
		for range 2 {
			s := b.settings()
			s.Server = "http://studio:7860"
			e, err := b.Add(s, b.dir, nil)
			must(t, err)
			all = append(all, e)
		}
		must(t, os.Mkdir(engine.Beside(all[0].Settings.Job, ".run"), 0o755))
		time.Sleep(5 * time.Second)
		if e := b.entry(all[0].ID); e.State != library.Failed {
			t.Errorf("the first is %+v", e)
		}
		if e := b.entry(all[1].ID); e.State != library.Queued || e.RunDir == "" {
			t.Errorf("the second is %+v", e)
		}
	})
}
