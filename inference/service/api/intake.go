package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
	"gimbal/inference/picture"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/jobs"
)

// intake is what a request asks for, with its files in a folder.
type intake struct {
	dir     string
	values  map[string]string // as they were sent, by name
	picture string            // its file; "" for none
	camera  string            // its folder; "" for none
}

func (in *intake) remove() { os.RemoveAll(in.dir) }

// Limits of a request.
const (
	maxFields = 100
	maxText   = 64 << 10 // bytes of a value
)

// CameraFiles are the files of an action folder by the fields of a form that hold them.
var CameraFiles = map[string]string{
	"poses": "poses.npy", "intrinsics": "intrinsics.npy", "action": "action.npy", "wasd_action": "wasd_action.npy", "ijkl_action": "ijkl_action.npy",
	"poses_npz": "poses.npz", "intrinsics_npz": "intrinsics.npz",
}

// read reads a request's body. The caller removes what comes back.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (_ *intake, err error) {
	http.NewResponseController(w).SetReadDeadline(time.Now().Add(uploadTime))
	r.Body = http.MaxBytesReader(w, r.Body, s.o.MaxUpload)
	dir, err := os.MkdirTemp(s.uploads(), "*")
	if err != nil {
		return nil, err
	}
	in := &intake{dir: dir, values: map[string]string{}}
	defer func() {
		if err != nil {
			in.remove()
		}
	}()
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "multipart/form-data":
		err = in.readForm(r)
	case "application/json":
		err = in.readJSON(r.Body)
	default:
		err = &Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: fmt.Sprintf("Content-Type %.100q, want multipart/form-data or application/json", kind)}
	}
	return in, err
}

// readForm reads a form. Names of files in it are not looked at.
func (in *intake) readForm(r *http.Request) error {
	form, err := r.MultipartReader()
	if err != nil {
		return badRequest("the form: %v", err)
	}
	for n := 0; ; n++ {
		part, err := form.NextPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return broken("the form", err)
		}
		if n == maxFields {
			return badRequest("more than %d fields", maxFields)
		}
		switch name := part.FormName(); {
		case name == "image":
			err = in.keepPicture(part)
		case CameraFiles[name] != "":
			err = in.keepCamera(CameraFiles[name], part)
		default:
			err = in.keepValue(name, part)
		}
		if err != nil {
			return err
		}
	}
}

// broken is an error of reading a request.
func broken(what string, err error) error {
	var large *http.MaxBytesError
	var own *fs.PathError // of this machine's disk
	if errors.As(err, &large) || errors.As(err, &own) {
		return err
	}
	return badRequest("%s ends early or is damaged: %v", what, err)
}

func (in *intake) keepValue(name string, r io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil {
		return broken("the form", err)
	}
	if len(text) > maxText {
		return invalid(name, "longer than %d bytes", maxText)
	}
	return in.set(name, string(text))
}

// set keeps a value.
func (in *intake) set(name, text string) error {
	if name == "cameras" {
		return in.keepCameras([]byte(text))
	}
	if _, twice := in.values[name]; twice {
		return invalid(name, "given twice")
	}
	in.values[name] = text
	return nil
}

func (in *intake) keepPicture(r io.Reader) error {
	if in.picture != "" {
		return invalid("image", "given twice")
	}
	in.picture = filepath.Join(in.dir, "picture")
	return in.keepFile(in.picture, r)
}

func (in *intake) keepCamera(name string, r io.Reader) error {
	in.camera = filepath.Join(in.dir, "camera")
	return in.keepFile(filepath.Join(in.camera, name), r)
}

func (in *intake) keepFile(path string, r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return badRequest("%s: given twice", filepath.Base(path))
	}
	if err != nil {
		return err
	}
	if _, err := io.Copy(f, r); err != nil {
		f.Close()
		return broken("a file", err)
	}
	return f.Close()
}

// cameras is a camera path as vLLM-Omni's API has it: intrinsics [n, 4] as fx fy cx cy of a
// picture of 832x480, poses [n, 4, 4] from the camera to the world.
type cameras struct {
	Intrinsics []clip.Intrinsics `json:"intrinsics"`
	Poses      []clip.Pose       `json:"poses"`
}

func (in *intake) keepCameras(text []byte) error {
	var c cameras
	if err := strict(text, &c); err != nil {
		return invalid("cameras", "%v", err)
	}
	if in.camera != "" {
		return invalid("cameras", "given twice")
	}
	path, err := clip.NewPath(c.Poses, c.Intrinsics)
	if err != nil {
		return invalid("cameras", "%v", err)
	}
	in.camera = filepath.Join(in.dir, "camera")
	return path.Write(in.camera)
}

// strict decodes JSON that has nothing unknown in it.
func strict(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more behind the value")
	}
	return nil
}

// readJSON reads an object of values; the picture is a data: URL or plain base64.
func (in *intake) readJSON(r io.Reader) error {
	text, err := io.ReadAll(r)
	if err != nil {
		return broken("the request", err)
	}
	var object map[string]json.RawMessage
	if err := strict(text, &object); err != nil {
		return badRequest("the request: %v", err)
	}
	if len(object) > maxFields {
		return badRequest("more than %d fields", maxFields)
	}
	for name, value := range object {
		switch name {
		case "image":
			err = in.keepBase64(value)
		case "cameras":
			err = in.keepCameras(value)
		default:
			var plain string
			if plain, err = plainText(name, value); err == nil {
				err = in.set(name, plain)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (in *intake) keepBase64(value json.RawMessage) error {
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return invalid("image", "want a string: a data: URL or base64")
	}
	if _, data, ok := strings.Cut(text, ";base64,"); ok && strings.HasPrefix(text, "data:") {
		text = data
	}
	data, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return invalid("image", "want a data: URL or base64: %v", err)
	}
	return in.keepPicture(bytes.NewReader(data))
}

// plainText turns a JSON value into what a person types: two numbers become 3,5.
func plainText(name string, value json.RawMessage) (string, error) {
	var v any
	d := json.NewDecoder(bytes.NewReader(value))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		return "", badRequest("%s: %v", name, err)
	}
	switch v := v.(type) {
	case string:
		if len(v) > maxText {
			return "", invalid(name, "longer than %d bytes", maxText)
		}
		return v, nil
	case json.Number, bool:
		return fmt.Sprint(v), nil
	case []any:
		words := make([]string, len(v))
		for i, one := range v {
			n, ok := one.(json.Number)
			if !ok {
				return "", invalid(name, "want a value, or a list of numbers")
			}
			words[i] = n.String()
		}
		return strings.Join(words, ","), nil
	}
	return "", invalid(name, "want a string, a number, true or false")
}

// settle turns values into a job's settings, over what the model recommends.
func (s *Server) settle(ctx context.Context, in *intake) (jobs.Job, error) {
	m, err := s.model(ctx, in.values["model"])
	if err != nil {
		return jobs.Job{}, err
	}
	return in.settle(m)
}

func (in *intake) settle(m Model) (_ jobs.Job, err error) {
	if err := in.checkFields(); err != nil {
		return jobs.Job{}, err
	}
	job := jobs.Job{KeepFrames: in.truth("keep_frames"), Model: m.fingerprint, Name: m.ID, Priority: jobs.Priority(in.values["priority"]), Settings: inference.DefaultJob()}
	if job.Priority != "" && !slices.Contains(jobs.Priorities, job.Priority) {
		return job, invalid("priority", "%.40q, want high, normal or low", job.Priority)
	}
	job.Settings.Recipe = m.Recipe
	if job.LoRAs, err = suitLoRAs(&job.Settings, in.values["lora"], m); err != nil {
		return job, err
	}
	known := map[string]bool{"lora": true}
	var errs []error
	for _, one := range Settings() {
		known[one.Name] = true
		if text, ok := in.values[one.Name]; ok {
			errs = append(errs, one.Set(&job.Settings, text))
		}
	}
	for name := range in.values {
		if _, field := fields[name]; !field && !known[name] {
			errs = append(errs, &inference.SettingError{Setting: fmt.Sprintf("%.60s", name), Mistake: inference.Unusable, Found: "a name that is not known", Want: "one of those in /v1/capabilities"})
		}
	}
	return job, errors.Join(errs...)
}

// fields are what a request may have beside settings and files, and what may be in them.
var fields = map[string]func(text string) bool{
	"model":       anything, // known is asked elsewhere
	"priority":    anything,
	"keep_frames": isTruth, // the frames are wanted as PNG files, too
	// Of plans:
	"camera":       isTruth,  // the video follows a path, which is not sent
	"image_width":  isPixels, // of a picture that is not sent
	"image_height": isPixels,
	"only":         anything, // the one setting that may change to make the video fit
}

func anything(string) bool { return true }

func isTruth(text string) bool {
	_, err := strconv.ParseBool(strings.ToLower(text))
	return err == nil
}

// maxSide is the longest side of a picture, in pixels.
const maxSide = 1 << 16

func isPixels(text string) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n > 0 && n <= maxSide
}

func (in *intake) checkFields() error {
	for name, ok := range fields {
		if text, sent := in.values[name]; sent && !ok(text) {
			return invalid(name, "%.40q cannot be used", text)
		}
	}
	return nil
}

func (in *intake) truth(name string) bool {
	on, _ := strconv.ParseBool(strings.ToLower(in.values[name])) // checkFields has looked
	return on
}

func (in *intake) pixels(name string) int {
	n, _ := strconv.Atoi(in.values[name])
	return n
}

// suitLoRAs reads the LoRAs that a request names, which must be a model's, and takes the
// settings of those that are distilled to a few steps. It returns their fingerprints.
func suitLoRAs(job *inference.Job, text string, m Model) (map[string]string, error) {
	if err := inference.FindSetting("lora").Set(job, text); err != nil {
		return nil, err
	}
	var found map[string]string
	for _, l := range job.LoRAs.List() {
		fingerprint, ok := m.loras[l.File]
		if !ok {
			return nil, invalid("lora", "a LoRA that no worker of %s has: want one of %q", m.ID, m.LoRAs)
		}
		if found == nil {
			found = map[string]string{}
		}
		found[l.File] = fingerprint
	}
	if few, _, ok := job.LoRAs.FewSteps(job.Recipe); ok {
		job.Recipe = few
	}
	return found, nil
}

// model returns the model of a name; the only one where none is named.
func (s *Server) model(ctx context.Context, name string) (Model, error) {
	all, err := s.available(ctx)
	if err != nil {
		return Model{}, err
	}
	var names []string
	for _, m := range all {
		if m.ID == name || name == "" && len(all) == 1 {
			return m, nil
		}
		names = append(names, m.ID)
	}
	if len(all) == 0 {
		return Model{}, jobs.ErrNoWorker
	}
	return Model{}, invalid("model", "%.60q, want one of %q", name, names)
}

// check looks at all that a request sent.
func (s *Server) check(ctx context.Context, in *intake) (jobs.Job, error) {
	job, err := s.settle(ctx, in)
	if err != nil {
		return job, err
	}
	return job, in.check(job)
}

// check looks at the files of a job.
func (in *intake) check(job jobs.Job) error {
	look := job.Settings
	look.Image, look.ActionPath, look.Output = in.picture, in.camera, filepath.Join(in.dir, "video.mp4")
	if _, err := engine.Validate(look); err != nil {
		return in.anonymous(err)
	}
	if _, err := picture.Load(in.picture); err != nil {
		return in.anonymous(&inference.SettingError{Setting: "image", Mistake: inference.Unusable, Err: err})
	}
	if _, err := clip.Open(look); err != nil {
		return in.anonymous(err)
	}
	return nil
}

// anonymous leaves this machine's folders out of an error.
func (in *intake) anonymous(err error) error {
	e := *asError(err)
	clean := func(text string) string {
		return strings.ReplaceAll(strings.ReplaceAll(text, in.dir+string(filepath.Separator), ""), in.dir, "the request")
	}
	e.Message = clean(e.Message)
	e.Details = slices.Clone(e.Details)
	for i := range e.Details {
		e.Details[i].Message = clean(e.Details[i].Message)
	}
	if e.Cause != nil {
		e.Cause = cause.Of(err, clean)
	}
	return &e
}

// keep puts the request's files into the store, by the names that engines keep them under.
func (s *Server) keep(ctx context.Context, in *intake) (jobs.Files, error) {
	kept := filepath.Join(in.dir, "kept")
	if err := engine.KeepInputs(kept, inference.Job{Image: in.picture, ActionPath: in.camera}); err != nil {
		return nil, in.anonymous(err)
	}
	return s.o.Store.PutFolder(ctx, kept)
}
