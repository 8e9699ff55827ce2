package api_test

import (
	"encoding/json"
	"mime"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"gimbal/inference"
	"gimbal/inference/golden"
)

// document is the API's own OpenAPI document, to which answers are held.
type document struct {
	compiler *jsonschema.Compiler
	paths    map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]json.RawMessage
		}
	}
}

const documentURL = "https://gimbal.test/openapi.json"

func readDocument(t *testing.T, url string) *document {
	t.Helper()
	answer, err := http.Get(url + "/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var whole any
	if err := json.NewDecoder(answer.Body).Decode(&whole); err != nil {
		t.Fatal(err)
	}
	d := &document{compiler: jsonschema.NewCompiler()}
	if err := d.compiler.AddResource(documentURL, whole); err != nil {
		t.Fatal(err)
	}
	paths := whole.(map[string]any)["paths"].(map[string]any)
	for _, item := range paths { // what operations share is none
		delete(item.(map[string]any), "parameters")
	}
	text, err := json.Marshal(paths)
	if err == nil {
		err = json.Unmarshal(text, &d.paths)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// check holds an answer to the document: its status, its type and, for JSON, its schema.
func (d *document) check(t *testing.T, r *http.Request, answer *http.Response, body []byte) {
	t.Helper()
	template := d.template(r.URL.Path)
	if template == "" {
		if answer.StatusCode != http.StatusNotFound {
			t.Errorf("%s is not in the document", r.URL.Path)
		}
		return
	}
	method, status := strings.ToLower(r.Method), strconv.Itoa(answer.StatusCode)
	response, ok := d.paths[template][method].Responses[status]
	if !ok {
		t.Errorf("%s %s answers %s, which is not in the document", method, template, status)
		return
	}
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if _, ok := response.Content[kind]; !ok && len(body) > 0 {
		t.Errorf("%s %s answers %s as %q, which is not in the document", method, template, status, kind)
		return
	}
	if kind != "application/json" || strings.Contains(string(response.Content[kind]), `"binary"`) {
		return
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1")
	pointer := "#/paths/" + escape.Replace(template) + "/" + method + "/responses/" + status + "/content/application~1json/schema"
	schema, err := d.compiler.Compile(documentURL + pointer)
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if err := schema.Validate(value); err != nil {
		t.Errorf("%s %s answers %s: %v: %s", method, template, status, err, body)
	}
}

// template returns the document's path for a request's.
func (d *document) template(path string) string {
	for template := range d.paths {
		if slices.CompareFunc(strings.Split(template, "/"), strings.Split(path, "/"), func(part, word string) int {
			if part == "{id}" {
				return 0
			}
			return strings.Compare(part, word)
		}) == 0 {
			return template
		}
	}
	return ""
}

// unusable is an error of a run that names a checkpoint's folder.
func unusable(t *testing.T) error {
	return &inference.SettingError{Setting: "prompt", Mistake: inference.Unusable, Found: filepath.Join(golden.Dir(t), "checkpoint-tiny"), Want: "another"}
}
