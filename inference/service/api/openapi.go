package api

import (
	_ "embed"
	"encoding/json"
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
	for _, name := range []string{"VideoForm", "VideoRequest"} {
		properties := schemas[name].(map[string]any)["properties"].(map[string]any)
		for _, one := range settings() {
			schema := map[string]any{"description": one.Help, "default": one.Text(defaults)}
			if name == "VideoForm" {
				schema["type"] = "string"
			} else {
				schema["type"] = []string{"string", "number", "boolean", "array"}
				schema["items"] = map[string]any{"type": "number"}
			}
			properties[one.Name] = schema
		}
	}
	answer(w, http.StatusOK, doc)
}
