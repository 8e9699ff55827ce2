package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"io"
	"mime/multipart"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/inference/engine/enginetest"
	"gimbal/inference/golden"
	"gimbal/inference/service/api"
	"gimbal/inference/service/jobs"
	"gimbal/inference/service/servicetest"
)

// service is a server whose answers are held to its document.
type service struct {
	*servicetest.Service
	t      *testing.T
	url    string
	engine *enginetest.Engine
	schema *document
}

func start(t *testing.T, users ...api.User) *service {
	t.Helper()
	return startWith(t, servicetest.Options{Users: users})
}

func startWith(t *testing.T, o servicetest.Options) *service {
	t.Helper()
	t.Parallel()
	s := servicetest.Start(t, o)
	return &service{s, t, s.URL, s.Engine, readDocument(t, s.URL)}
}

// ask makes a request, holds the answer to the document and decodes it into v.
func (s *service) ask(request *http.Request, want int, v any) http.Header {
	s.t.Helper()
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if answer.StatusCode != want {
		s.t.Fatalf("%s %s: %s, want %d: %s", request.Method, request.URL.Path, answer.Status, want, body)
	}
	s.schema.check(s.t, request, answer, body)
	if v != nil {
		if err := json.Unmarshal(body, v); err != nil {
			s.t.Fatalf("%v: %s", err, body)
		}
	}
	return answer.Header
}

func (s *service) get(path string, want int, v any) http.Header {
	s.t.Helper()
	return s.ask(s.request(http.MethodGet, path, nil, ""), want, v)
}

func (s *service) request(method, path string, body io.Reader, kind string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", kind)
	return r
}

// form is a multipart request; names of files begin with @.
func (s *service) form(path string, fields map[string]string) *http.Request {
	s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range fields {
		var err error
		if file, ok := strings.CutPrefix(name, "@"); ok {
			var part io.Writer
			if part, err = w.CreateFormFile(file, "../../etc/passwd"); err == nil {
				_, err = io.WriteString(part, value)
			}
		} else {
			err = w.WriteField(name, value)
		}
		if err != nil {
			s.t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		s.t.Fatal(err)
	}
	return s.request(http.MethodPost, path, &body, w.FormDataContentType())
}

func picture(t *testing.T) string {
	t.Helper()
	var data bytes.Buffer
	if err := png.Encode(&data, image.NewRGBA(image.Rect(0, 0, 64, 32))); err != nil {
		t.Fatal(err)
	}
	return data.String()
}

type failure struct{ Error api.Error }

func (s *service) create(fields map[string]string) api.Video {
	s.t.Helper()
	all := map[string]string{"prompt": "a walk", "@image": picture(s.t), "frame_num": "5", "sample_steps": "2"}
	for name, value := range fields {
		all[name] = value
	}
	var v api.Video
	h := s.ask(s.form("/v1/videos", all), http.StatusCreated, &v)
	if h.Get("Location") != "/v1/videos/"+string(v.ID) {
		s.t.Errorf("Location is %q", h.Get("Location"))
	}
	return v
}

func (s *service) video(id jobs.ID) (v api.Video) {
	s.t.Helper()
	s.get("/v1/videos/"+string(id), http.StatusOK, &v)
	return v
}

func (s *service) awaitStatus(id jobs.ID, status jobs.Status) (v api.Video) {
	s.t.Helper()
	s.Await(string(status), func() bool {
		v = s.video(id)
		return v.Status == status
	})
	return v
}

func TestVideo(t *testing.T) {
	s := start(t)
	cameras := `{"intrinsics": [[500, 500, 416, 240]], "poses": [[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]],[[1,0,0,0],[0,1,0,0],[0,0,1,0.5],[0,0,0,1]]]}`
	v := s.create(map[string]string{"cameras": cameras, "sample_guide_scale": "3,5", "priority": "high"})
	if v.Model != "tiny" || v.Priority != jobs.High || v.Settings["sample_guide_scale"] != "3,5" || v.Settings["frame_num"] != "5" {
		t.Errorf("%+v", v)
	}
	s.engine.Steps(1)
	s.Await("a step", func() bool { v = s.video(v.ID); return v.Step == 1 })
	if !v.Preview || len(v.Notices) != 1 || v.Worker != "w" || v.Status != jobs.Running {
		t.Errorf("after a step: %+v", v)
	}
	s.get("/v1/videos/"+string(v.ID)+"/content", http.StatusConflict, nil)
	if h := s.get("/v1/videos/"+string(v.ID)+"/preview", http.StatusOK, nil); h.Get("Content-Type") != "image/png" {
		t.Errorf("the preview is %q", h.Get("Content-Type"))
	}
	s.engine.Steps(1)
	v = s.awaitStatus(v.ID, jobs.Done)
	if v.Step != 2 || v.Bytes != 2 || v.Ended == nil {
		t.Errorf("at the end: %+v", v)
	}
	for part, kind := range map[string]string{"": "video/mp4", "?part=contact_sheet": "image/png", "?part=sidecar": "application/json"} {
		if h := s.get("/v1/videos/"+string(v.ID)+"/content"+part, http.StatusOK, nil); h.Get("Content-Type") != kind {
			t.Errorf("part %q is %q", part, h.Get("Content-Type"))
		}
	}
	r := s.request(http.MethodGet, "/v1/videos/"+string(v.ID)+"/content", nil, "")
	r.Header.Set("Range", "bytes=1-1")
	s.ask(r, http.StatusPartialContent, nil)
	requests := s.engine.Requests()
	if len(requests) != 1 || requests[0].Job.Prompt != "a walk" || requests[0].Job.Steps != 2 || requests[0].Job.ActionPath == "" || requests[0].Job.Guidance.High != 5 {
		t.Errorf("the engine was asked for %+v", requests)
	}
	s.ask(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID)+"?only=cancel", nil, ""), http.StatusConflict, nil)
	s.ask(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID)+"?only=delete", nil, ""), http.StatusBadRequest, nil)
	s.ask(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID), nil, ""), http.StatusNoContent, nil)
	s.Await("its end", func() bool {
		var list struct{ Data []api.Video }
		s.get("/v1/videos", http.StatusOK, &list)
		return len(list.Data) == 0
	})
	s.get("/v1/videos/"+string(v.ID), http.StatusNotFound, nil)
}

func TestJSON(t *testing.T) {
	s := start(t)
	body := fmt.Sprintf(`{"prompt": "words", "image": "data:image/png;base64,%s", "frame_num": 9, "sample_guide_scale": [2, 3], "offload_model": false,
		"cameras": {"intrinsics": [[500,500,416,240]], "poses": [[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]],[[1,0,0,1],[0,1,0,0],[0,0,1,0],[0,0,0,1]]]}}`,
		base64.StdEncoding.EncodeToString([]byte(picture(t))))
	var v api.Video
	s.ask(s.request(http.MethodPost, "/v1/videos", strings.NewReader(body), "application/json"), http.StatusCreated, &v)
	if v.Settings["frame_num"] != "9" || v.Settings["sample_guide_scale"] != "2,3" {
		t.Errorf("%+v", v)
	}
	s.awaitStatus(v.ID, jobs.Running)
	s.ask(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID)+"?only=cancel", nil, ""), http.StatusAccepted, nil)
	s.awaitStatus(v.ID, jobs.Cancelled)
}

func TestBadRequests(t *testing.T) {
	s := start(t)
	good := map[string]string{"prompt": "a walk", "@image": picture(t)}
	with := func(name, value string) *http.Request {
		fields := map[string]string{name: value}
		for k, v := range good {
			if _, set := fields[k]; !set {
				fields[k] = v
			}
		}
		return s.form("/v1/videos", fields)
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		status  int
		setting string
		says    string
	}{
		{"no prompt", with("prompt", " "), 422, "prompt", "words"},
		{"no picture", s.form("/v1/videos", map[string]string{"prompt": "x"}), 422, "image", "picture"},
		{"no picture's picture", with("@image", "<html>"), 422, "image", ""},
		{"frames", with("frame_num", "6"), 422, "frame_num", "nearest are 5 and 9"},
		{"unknown setting", with("frames", "5"), 422, "frames", "/v1/capabilities"},
		{"a path", with("image", "/etc/passwd"), 422, "image", ""},
		{"another path", with("save_file", "/tmp/x.mp4"), 422, "save_file", "not known"},
		{"a folder", with("action_path", "/etc"), 422, "action_path", "not known"},
		{"unknown model", with("model", "other"), 422, "model", "tiny"},
		{"priority", with("priority", "urgent"), 422, "priority", "high"},
		{"damaged cameras", with("cameras", "{"), 422, "cameras", ""},
		{"cameras of another kind", with("cameras", `{"views": []}`), 422, "cameras", "views"},
		{"a single pose", with("cameras", `{"intrinsics": [[1,1,1,1]], "poses": []}`), 422, "cameras", ""},
		{"no cameras", with("cameras", `{"intrinsics": [], "poses": []}`), 422, "cameras", "no poses"},
		{"cameras of two lengths", with("cameras", `{"intrinsics": [[500,500,416,240],[500,500,416,240]], "poses": [[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]]]}`), 422, "cameras", "2 intrinsics for 1 poses"},
		{"damaged poses", with("@poses", "nonsense"), 422, "action_path", ""},
		{"a type", s.request(http.MethodPost, "/v1/videos", strings.NewReader("x"), "text/plain"), 415, "", "multipart/form-data"},
		{"no form", s.request(http.MethodPost, "/v1/videos", strings.NewReader("x"), "multipart/form-data; boundary=x"), 400, "", ""},
		{"no JSON", s.request(http.MethodPost, "/v1/videos", strings.NewReader("{"), "application/json"), 400, "", ""},
		{"a JSON list", s.request(http.MethodPost, "/v1/videos", strings.NewReader("[]"), "application/json"), 400, "", ""},
		{"base64", s.request(http.MethodPost, "/v1/videos", strings.NewReader(`{"image": "?"}`), "application/json"), 422, "image", "base64"},
		{"too large", with("@image", strings.Repeat("x", 1<<20)), 413, "", "larger than"},
		{"no such video", s.request(http.MethodGet, "/v1/videos/x", nil, ""), 404, "", ""},
		{"no such place", s.request(http.MethodGet, "/v1/other", nil, ""), 404, "", "openapi.json"},
		{"a limit", s.request(http.MethodGet, "/v1/videos?limit=0", nil, ""), 400, "", "1 to 200"},
	} {
		var f failure
		s.ask(c.request, c.status, &f)
		if f.Error.Setting != c.setting || !strings.Contains(f.Error.Message, c.says) || f.Error.Message == "" || strings.Contains(f.Error.Message, "/tmp/") {
			t.Errorf("%s: %+v, want setting %q and %q", c.name, f.Error, c.setting, c.says)
		}
	}
	if n := len(s.engine.Requests()); n > 0 {
		t.Errorf("%d videos are being made", n)
	}
}

// TestUsers makes sure that keys are wanted where there are some, that users do not see each
// other's videos, and that their limits hold.
func TestUsers(t *testing.T) {
	s := start(t, api.User{Name: "ann", Key: "key-of-ann-0123456", Limit: 1}, api.User{Name: "bob", Key: "key-of-bob-0123456"})
	as := func(r *http.Request, key string) *http.Request {
		r.Header.Set("Authorization", "Bearer "+key)
		return r
	}
	for _, key := range []string{"", "wrong"} {
		s.ask(as(s.request(http.MethodGet, "/v1/videos", nil, ""), key), http.StatusUnauthorized, nil)
	}
	fields := map[string]string{"prompt": "a walk", "@image": picture(t), "sample_steps": "2"}
	var v api.Video
	s.ask(as(s.form("/v1/videos", fields), "key-of-ann-0123456"), http.StatusCreated, &v)
	s.ask(as(s.form("/v1/videos", fields), "key-of-ann-0123456"), http.StatusTooManyRequests, nil)
	s.ask(as(s.request(http.MethodGet, "/v1/videos/"+string(v.ID), nil, ""), "key-of-ann-0123456"), http.StatusOK, nil)
	for _, path := range []string{"", "/content", "/preview", "/events"} {
		s.ask(as(s.request(http.MethodGet, "/v1/videos/"+string(v.ID)+path, nil, ""), "key-of-bob-0123456"), http.StatusNotFound, nil)
	}
	s.ask(as(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID), nil, ""), "key-of-bob-0123456"), http.StatusNotFound, nil)
	var list struct{ Data []api.Video }
	s.ask(as(s.request(http.MethodGet, "/v1/videos", nil, ""), "key-of-bob-0123456"), http.StatusOK, &list)
	if len(list.Data) != 0 {
		t.Errorf("bob sees %+v", list.Data)
	}
}

// TestEvents makes sure that a stream begins with how things are, tells every change and ends
// with the video.
func TestEvents(t *testing.T) {
	s := start(t)
	v := s.create(nil)
	answer, err := http.DefaultClient.Do(s.request(http.MethodGet, "/v1/videos/"+string(v.ID)+"/events", nil, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	s.engine.Steps(2)
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	var last api.Video
	steps := -1
	for block := range strings.SplitSeq(string(text), "\n\n") {
		if _, data, ok := strings.Cut(block, "event: video\ndata: "); ok {
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				t.Fatal(err)
			}
			if last.Step < steps {
				t.Errorf("step %d after step %d", last.Step, steps)
			}
			steps = last.Step
		}
	}
	if last.Status != jobs.Done || last.Step != 2 {
		t.Errorf("the last event is %+v", last)
	}
}

func TestOtherAnswers(t *testing.T) {
	s := start(t)
	var capabilities struct {
		Version  string
		Settings []struct{ Name, Help string }
	}
	s.get("/v1/capabilities", http.StatusOK, &capabilities)
	names := map[string]bool{}
	for _, one := range capabilities.Settings {
		names[one.Name] = true
	}
	if capabilities.Version != "1.2.3" || !names["prompt"] || !names["sample_steps"] || names["image"] || names["save_file"] || names["dump_tensors"] {
		t.Errorf("%+v", capabilities)
	}
	var models struct{ Data []api.Model }
	s.get("/v1/models", http.StatusOK, &models)
	if len(models.Data) != 1 || models.Data[0].ID != "tiny" || models.Data[0].Workers[0].Device != "fake" {
		t.Errorf("%+v", models)
	}
	var plan struct {
		Time struct {
			Likely int64 `json:"likely_ns"`
		}
	}
	s.ask(s.form("/v1/plan", map[string]string{"frame_num": "5", "sample_steps": "3"}), http.StatusOK, &plan)
	if plan.Time.Likely != int64(15*time.Second) {
		t.Errorf("%+v", plan)
	}
	s.ask(s.form("/v1/plan", map[string]string{"frame_num": "4"}), http.StatusUnprocessableEntity, nil)
	s.ask(s.form("/v1/plan", map[string]string{"image_width": "-4"}), http.StatusUnprocessableEntity, nil)
	var fitted struct {
		Plan    struct{ Phases []any }
		Choices []struct{ Setting, Value string }
	}
	s.ask(s.form("/v1/fit", map[string]string{"frame_num": "5", "camera": "True", "image_width": "640", "image_height": "480"}), http.StatusOK, &fitted)
	if len(fitted.Choices) != 1 || fitted.Choices[0].Value != "int8" || len(fitted.Plan.Phases) == 0 {
		t.Errorf("%+v", fitted)
	}
	var tokens struct{ Data []api.Tokens }
	s.ask(s.request(http.MethodPost, "/v1/tokens", strings.NewReader(`{"texts": ["a green meadow", ""]}`), "application/json"), http.StatusOK, &tokens)
	if len(tokens.Data) != 2 || tokens.Data[0] != (api.Tokens{Tokens: 4, Limit: 8}) || tokens.Data[1].Tokens != 1 {
		t.Errorf("%+v", tokens)
	}
	for _, bad := range []string{`{}`, `{"texts": "x"}`, `{"texts": [], "other": 1}`, `[]`} {
		s.ask(s.request(http.MethodPost, "/v1/tokens", strings.NewReader(bad), "application/json"), http.StatusBadRequest, nil)
	}
	for path, want := range map[string]string{"/metrics": `gimbal_jobs{status="queued"} 0`, "/": "<title>Gimbal</title>", "/page.js": "/v1/videos", "/style.css": ":root"} {
		answer, err := http.Get(s.url + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %s, %v, without %q", path, answer.Status, err, want)
		}
	}
}

// TestFailure makes sure that a run's error reaches its user without this machine's paths.
func TestFailure(t *testing.T) {
	s := start(t)
	s.engine.Set(enginetest.Settings{Fail: unusable(t)})
	v := s.create(nil)
	s.engine.Steps(1)
	v = s.awaitStatus(v.ID, jobs.Failed)
	if v.Error == nil || v.Error.Setting != "prompt" || !strings.Contains(v.Error.Message, "tiny") || strings.Contains(v.Error.Message, string(filepath.Separator)+"checkpoint") {
		t.Errorf("%+v", v.Error)
	}
}

// TestResume makes sure that a video that was cancelled can go on, one that is done cannot, and
// that frames come where they were asked for.
func TestResume(t *testing.T) {
	s := start(t)
	v := s.create(map[string]string{"keep_frames": "True"})
	resume := func(want int) {
		t.Helper()
		v = api.Video{ID: v.ID}
		s.ask(s.request(http.MethodPost, "/v1/videos/"+string(v.ID)+"/resume", nil, ""), want, &v)
	}
	s.awaitStatus(v.ID, jobs.Running)
	resume(http.StatusConflict)
	s.ask(s.request(http.MethodDelete, "/v1/videos/"+string(v.ID), nil, ""), http.StatusAccepted, nil)
	v = s.awaitStatus(v.ID, jobs.Cancelled)
	resume(http.StatusAccepted)
	if v.Status == jobs.Cancelled || v.Ended != nil {
		t.Errorf("%+v", v)
	}
	s.engine.Steps(2)
	v = s.awaitStatus(v.ID, jobs.Done)
	resume(http.StatusConflict)
	if h := s.get("/v1/videos/"+string(v.ID)+"/content?part=frames", http.StatusOK, nil); h.Get("Content-Type") != "application/zip" {
		t.Errorf("the frames are %q", h.Get("Content-Type"))
	}
	s.engine.Steps(2)
	other := s.awaitStatus(s.create(nil).ID, jobs.Done)
	s.get("/v1/videos/"+string(other.ID)+"/content?part=frames", http.StatusConflict, nil)
}

// TestLoRAs makes sure that jobs use a server's LoRAs by their names, and nothing else.
func TestLoRAs(t *testing.T) {
	file := filepath.Join(golden.FormatsDir(t), "lora", "peft.safetensors")
	s := startWith(t, servicetest.Options{LoRAs: map[string]string{"walk.safetensors": file}})
	var models struct{ Data []api.Model }
	s.get("/v1/models", http.StatusOK, &models)
	if got := models.Data[0].LoRAs; !slices.Equal(got, []string{"walk.safetensors"}) {
		t.Errorf("the model has %q", got)
	}
	for _, bad := range []string{file, "run.safetensors", "../walk.safetensors", "~"} {
		var f failure
		s.ask(s.form("/v1/videos", map[string]string{"prompt": "x", "@image": picture(t), "lora": bad}), http.StatusUnprocessableEntity, &f)
		if f.Error.Setting != "lora" || !strings.Contains(f.Error.Message, "walk.safetensors") || strings.Contains(f.Error.Message, filepath.Dir(file)) {
			t.Errorf("%q: %+v", bad, f.Error)
		}
	}
	v := s.create(map[string]string{"lora": "walk.safetensors:0.5"})
	s.engine.Steps(2)
	v = s.awaitStatus(v.ID, jobs.Done)
	if v.Settings["lora"] != "walk.safetensors:high=0.5,low=0.5" {
		t.Errorf("the video has %q", v.Settings["lora"])
	}
	if got := s.engine.Requests()[0].Job.LoRAs.List(); len(got) != 1 || got[0].File != file || got[0].Low != 0.5 {
		t.Errorf("the engine is asked for %+v", got)
	}
}
