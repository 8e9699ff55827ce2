package api

import (
	"bytes"
	"encoding/json"
	"image"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/service/jobs"
)

// fuzzServer is one without jobs.
func fuzzServer(f *testing.F) *Server {
	f.Helper()
	s, err := New(Options{Temp: f.TempDir(), MaxUpload: 1 << 16, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// boundary is the forms' in the corpus.
const boundary = "b"

// FuzzIntake reads requests, forms and JSON: none panics, makes the server say that it failed,
// leaves a file behind or learns where the server keeps its files.
func FuzzIntake(f *testing.F) {
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 8, 8))); err != nil {
		f.Fatal(err)
	}
	field := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	file := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"../x\"\r\n\r\n" + value + "\r\n"
	}
	good := field("prompt", "a walk") + field("frame_num", "5") + field("lora", "walk:0.5") + file("image", picture.String())
	f.Add(true, good+"--b--\r\n")
	f.Add(true, good+file("poses", "\x93NUMPY\x01\x00")+"--b--")
	f.Add(true, good+file("poses_npz", "PK\x03\x04")+file("action", "x"))
	f.Add(true, field("image_width", "64")+field("keep_frames", "yes")+field("sample_guide_scale", "1,2,3"))
	f.Add(false, `{"prompt": "words", "image": "data:image/png;base64,iVBORw0KGgo=", "frame_num": 9, "sample_guide_scale": [2, 3], "offload_model": false}`)
	f.Add(false, `{"cameras": {"intrinsics": [[500,500,416,240]], "poses": [[[1,0,0,0],[0,1,0,0],[0,0,1,0],[0,0,0,1]],[[1,0,0,1e308],[0,1,0,0],[0,0,1,0],[0,0,0,1]]]}}`)
	f.Add(false, `{"lora": "~", "timesteps_index": [0, 1e9], "infer_mode": "causal_fast", "action_string": "w-99999999999"}`)
	f.Add(false, `{"cameras": {"intrinsics": [], "poses": []}}`)
	f.Add(false, `{"cameras": {}}`)
	s := fuzzServer(f)
	m := Model{ID: "m", Recipe: inference.DefaultRecipe(), LoRAs: []string{"walk"}, loras: map[string]string{"walk": "f"}}
	f.Fuzz(func(t *testing.T, form bool, body string) {
		r := httptest.NewRequest(http.MethodPost, "/v1/videos", strings.NewReader(body))
		r.Header.Set("Content-Type", map[bool]string{true: "multipart/form-data; boundary=" + boundary, false: "application/json"}[form])
		in, err := s.read(httptest.NewRecorder(), r)
		if err == nil {
			var job jobs.Job
			if job, err = in.settle(m); err == nil {
				if err = in.check(job); err == nil && len(in.picture) == 0 {
					t.Error("a job without a picture")
				}
			}
			in.remove()
		}
		if err != nil {
			e := asError(err)
			if e.Status >= 500 || e.Message == "" || strings.Contains(e.Message, s.uploads()) {
				t.Errorf("%d, %q: %v", e.Status, e.Message, err)
			}
		}
		if left, err := os.ReadDir(s.uploads()); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
}

// FuzzRecord shows records of jobs, whatever is in them, to clients.
func FuzzRecord(f *testing.F) {
	job := jobs.Job{ID: "x", Status: jobs.Running, Priority: jobs.High, Settings: inference.DefaultJob(), Step: 3, Steps: 5, Inputs: jobs.Files{"picture": {SHA256: "00"}}}
	text, err := json.Marshal(job)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"status": "done", "settings": {"loras": [{"file": "a", "high": 1e300}]}, "results": {"video.mp4": {}}}`))
	f.Add([]byte(`{"status": "failed", "failure": {}, "settings": {"quant": "x", "timesteps_index": "a,b"}, "remaining_ns": -1}`))
	s := fuzzServer(f)
	f.Fuzz(func(t *testing.T, text []byte) {
		var j jobs.Job
		if json.Unmarshal(text, &j) != nil {
			return
		}
		s.index.change(jobs.Change{ID: j.ID, Job: &j})
		v := s.detailed(&j)
		if data, err := json.Marshal(v); err != nil || !json.Valid(data) {
			t.Errorf("%s: %v", data, err)
		}
		if text, _ := event(j.ID, &j); strings.Count(text, "\n\n") != 1 {
			t.Errorf("an event is %q", text)
		}
		s.index.set(j.ID, nil)
	})
}
