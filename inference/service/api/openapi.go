package api

import (
	_ "embed"
	"encoding/json"
	"maps"
	"net/http"

	"gimbal/inference"
)

//go:embed openapi.json
var openapi []byte

// document answers with the OpenAPI document, in which the settings are those of this
// program.
func (s *Server) document(w http.ResponseWriter, _ *http.Request) {
	var doc map[string]any
	if err := json.Unmarshal(openapi, &doc); err != nil {
		panic(err)
	}
	doc["info"].(map[string]any)["version"] = s.o.Version
	schemas := doc["components"].(map[string]any)["schemas"].(map[string]any)
	defaults := inference.DefaultJob()
	properties := func(schema string) map[string]any {
		return schemas[schema].(map[string]any)["properties"].(map[string]any)
	}
	for _, kind := range []string{"Form", "Request"} {
		video := properties("Video" + kind)
		for _, one := range Settings() {
			schema := map[string]any{"description": one.Help, "default": one.Text(defaults)}
			if kind == "Form" {
				schema["type"] = "string"
			} else {
				schema["type"] = []string{"string", "number", "boolean", "array"}
				schema["items"] = map[string]any{"type": "number"}
			}
			video[one.Name] = schema
		}
		for _, more := range []string{"Plan", "Fit"} {
			maps.Copy(properties(more+kind), video)
			schemas[more+kind].(map[string]any)["additionalProperties"] = false
		}
	}
	answer(w, http.StatusOK, doc)
}
