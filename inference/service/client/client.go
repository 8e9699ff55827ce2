// Package client asks a service for videos over HTTP: it sends pictures and camera paths,
// follows jobs also when the server is away for a while, and fetches what comes out.
package client

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/png" // previews
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/output"
	"gimbal/inference/service/api"
	"gimbal/inference/service/cause"
	"gimbal/inference/service/jobs"
)

// Client is a user of a service.
type Client struct {
	url, key string
	http     *http.Client
}

// New returns a client of the service at an address such as http://studio:7860. key is ""
// where it wants none.
func New(address, key string) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("server %q: want an address such as http://studio:7860", address)
	}
	return &Client{strings.TrimSuffix(u.String(), "/"), key, &http.Client{}}, nil
}

// Order is what a video is made of. What Settings leave out is as the model wants it.
type Order struct {
	Settings map[string]string // by their names, model and priority too
	Picture  string            // file
	Camera   map[string]string // files by their names in an action folder; none for no path
	Fields   map[string]string // what is no setting, such as keep_frames
}

// send makes a request. The caller closes the answer's body. Errors of the service are
// *api.Error, or the engine's own.
func (c *Client) send(ctx context.Context, method, path string, body io.Reader, kind string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, body)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if c.key != "" {
		r.Header.Set("Authorization", "Bearer "+c.key)
	}
	answer, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("server %s: %w", c.url, err)
	}
	if answer.StatusCode >= 400 {
		defer answer.Body.Close()
		return nil, c.failure(answer)
	}
	return answer, nil
}

// failure is the error that an answer tells of.
func (c *Client) failure(answer *http.Response) error {
	var f struct{ Error *api.Error }
	if err := json.NewDecoder(io.LimitReader(answer.Body, 1<<20)).Decode(&f); err != nil || f.Error == nil {
		return fmt.Errorf("server %s: %s", c.url, answer.Status)
	}
	f.Error.Status = answer.StatusCode
	switch typed := f.Error.Cause.Err(); {
	case len(inference.SettingErrors(typed)) > 0:
		return typed
	case typed != nil:
		return &cause.Remote{Where: "server " + c.url, Text: f.Error.Message, Err: typed}
	}
	if f.Error.Setting == "" {
		return fmt.Errorf("server %s: %w", c.url, f.Error)
	}
	if len(f.Error.Details) == 0 {
		return &inference.SettingError{Setting: f.Error.Setting, Mistake: inference.Unusable, Err: f.Error}
	}
	var errs []error
	for _, d := range f.Error.Details {
		errs = append(errs, &inference.SettingError{Setting: d.Setting, Mistake: inference.Unusable, Err: errors.New(d.Message)})
	}
	return errors.Join(errs...)
}

// Create asks for a video.
func (c *Client) Create(ctx context.Context, o Order) (v api.Video, err error) {
	err = c.post(ctx, "/v1/videos", o, &v)
	return v, err
}

// Plan asks what a video would take. The order may lack a picture and prompts.
func (c *Client) Plan(ctx context.Context, o Order) (p inference.Plan, err error) {
	err = c.post(ctx, "/v1/plan", o, &p)
	return p, err
}

// Fitted is with which settings a video fits.
type Fitted struct {
	Plan    inference.Plan     `json:"plan"`
	Choices []inference.Choice `json:"choices"`
}

// Fit asks for settings with which a video fits.
func (c *Client) Fit(ctx context.Context, o Order) (f Fitted, err error) {
	err = c.post(ctx, "/v1/fit", o, &f)
	return f, err
}

// post sends an order and decodes the answer into v.
func (c *Client) post(ctx context.Context, path string, o Order, v any) error {
	reader, writer := io.Pipe()
	form := multipart.NewWriter(writer)
	go func() { writer.CloseWithError(o.write(form)) }()
	answer, err := c.send(ctx, http.MethodPost, path, reader, form.FormDataContentType())
	reader.CloseWithError(err)
	if err != nil {
		return err
	}
	return decode(answer, v)
}

func decode(answer *http.Response, v any) error {
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(v); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	return nil
}

// ask makes a request without files and decodes the answer into v.
func (c *Client) ask(ctx context.Context, method, path string, question, v any) error {
	var body io.Reader
	kind := ""
	if question != nil {
		text, err := json.Marshal(question)
		if err != nil {
			return err
		}
		body, kind = bytes.NewReader(text), "application/json"
	}
	answer, err := c.send(ctx, method, path, body, kind)
	if err != nil {
		return err
	}
	if v == nil {
		return answer.Body.Close()
	}
	return decode(answer, v)
}

// Models returns the models that there are now.
func (c *Client) Models(ctx context.Context) ([]api.Model, error) {
	var list struct{ Data []api.Model }
	err := c.ask(ctx, http.MethodGet, "/v1/models", nil, &list)
	return list.Data, err
}

// Tokens counts the tokens of texts.
func (c *Client) Tokens(ctx context.Context, model string, texts []string) ([]api.Tokens, error) {
	var list struct{ Data []api.Tokens }
	err := c.ask(ctx, http.MethodPost, "/v1/tokens", map[string]any{"model": model, "texts": texts}, &list)
	return list.Data, err
}

// Get returns a video as it is.
func (c *Client) Get(ctx context.Context, id jobs.ID) (v api.Video, err error) {
	err = c.ask(ctx, http.MethodGet, "/v1/videos/"+url.PathEscape(string(id)), nil, &v)
	return v, err
}

// Resume has a video go on that was cancelled or failed.
func (c *Client) Resume(ctx context.Context, id jobs.ID) (v api.Video, err error) {
	err = c.ask(ctx, http.MethodPost, "/v1/videos/"+url.PathEscape(string(id))+"/resume", nil, &v)
	return v, err
}

// Cancel ends a video that is not done; of one that has ended it is an error.
func (c *Client) Cancel(ctx context.Context, id jobs.ID) error {
	v, err := c.Get(ctx, id)
	if err == nil && v.Status.Final() { // an older server would delete it
		err = jobs.ErrFinal
	}
	if err != nil {
		return err
	}
	return c.ask(ctx, http.MethodDelete, "/v1/videos/"+url.PathEscape(string(id))+"?only=cancel", nil, nil)
}

// write writes the order as a form.
func (o Order) write(form *multipart.Writer) error {
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		if err := form.WriteField(name, o.Settings[name]); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Fields)) {
		if err := form.WriteField(name, o.Fields[name]); err != nil {
			return err
		}
	}
	files := map[string]string{}
	if o.Picture != "" {
		files["image"] = o.Picture
	}
	for field, name := range api.CameraFiles {
		if path, ok := o.Camera[name]; ok {
			files[field] = path
		}
	}
	for _, field := range slices.Sorted(maps.Keys(files)) {
		if err := writeFile(form, field, files[field]); err != nil {
			return err
		}
	}
	return form.Close()
}

func writeFile(form *multipart.Writer, field, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	part, err := form.CreateFormFile(field, field)
	if err == nil {
		_, err = io.Copy(part, f)
	}
	return err
}

// retry is how long a client waits before it looks whether the server is back.
const retry = 2 * time.Second

// Follow tells of a video as it is and after every change, until it has ended. Where the
// server goes away, away is told why, once, and the video goes on there; Follow tries
// again until ctx ends.
func (c *Client) Follow(ctx context.Context, id jobs.ID, tell func(api.Video), away func(error)) (api.Video, error) {
	gone := false
	for {
		v, err := c.stream(ctx, id, func(v api.Video) {
			gone = false
			tell(v)
		})
		if v.Status.Final() {
			return v, nil
		}
		if ctx.Err() != nil {
			return v, ctx.Err()
		}
		var known *api.Error
		if errors.As(err, &known) && known.Status < 500 {
			return v, err
		}
		if !gone {
			gone = true
			away(err)
		}
		select {
		case <-ctx.Done():
			return v, ctx.Err()
		case <-time.After(retry):
		}
	}
}

// silence is how long nothing may come of a stream: a server that is there says so every 15 s.
const silence = 45 * time.Second

// stream reads a stream of events to its end and returns the video as it was last.
func (c *Client) stream(ctx context.Context, id jobs.ID, tell func(api.Video)) (last api.Video, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answer, err := c.send(ctx, http.MethodGet, "/v1/videos/"+url.PathEscape(string(id))+"/events", nil, "")
	if err != nil {
		return last, err
	}
	defer answer.Body.Close()
	dead := time.AfterFunc(silence, cancel)
	defer dead.Stop()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(nil, 1<<20)
	for kind := ""; lines.Scan(); {
		dead.Reset(silence)
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			kind = name
		}
		data, ok := strings.CutPrefix(line, "data: ")
		switch {
		case ok && kind == "deleted":
			return last, &api.Error{Status: http.StatusGone, Code: "deleted", Message: "the video was deleted on the server"}
		case ok && kind == "video":
			if err := json.Unmarshal([]byte(data), &last); err != nil {
				return last, err
			}
			tell(last)
		}
	}
	return last, cmp.Or(lines.Err(), errors.New("the stream of events ended"))
}

// Preview returns the frames that the model expects, one for each latent frame.
func (c *Client) Preview(ctx context.Context, v api.Video) ([]image.Image, error) {
	answer, err := c.send(ctx, http.MethodGet, "/v1/videos/"+string(v.ID)+"/preview", nil, "")
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	all, _, err := image.Decode(answer.Body)
	if err != nil {
		return nil, err
	}
	part, ok := all.(interface {
		SubImage(image.Rectangle) image.Image
	})
	size, n := all.Bounds().Size(), v.LatentFrames
	if !ok || n < 1 || size.X%n != 0 {
		return []image.Image{all}, nil
	}
	frames := make([]image.Image, n)
	for i := range frames {
		frames[i] = part.SubImage(image.Rect(i*size.X/n, 0, (i+1)*size.X/n, size.Y))
	}
	return frames, nil
}

// Fetch writes a part of a video that is done to a file: "video", "contact_sheet" or
// "sidecar". A file that is there is replaced when all of the new one has come.
func (c *Client) Fetch(ctx context.Context, id jobs.ID, part, path string) error {
	answer, err := c.send(ctx, http.MethodGet, "/v1/videos/"+string(id)+"/content?part="+url.QueryEscape(part), nil, "")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return output.WriteFile(path, func(w io.Writer) error {
		n, err := io.Copy(w, answer.Body)
		if err == nil && answer.ContentLength >= 0 && n != answer.ContentLength {
			err = io.ErrUnexpectedEOF
		}
		return err
	})
}
