package studio

import (
	"gimbal/inference"
	"gimbal/inference/noise"
	"gimbal/inference/quant"
)

// Values are the settings that a preset holds: everything but picture, camera,
// prompts and seed.
type Values struct {
	Frames       int                `json:"frames"`
	MaxArea      int                `json:"max_area"`
	Steps        int                `json:"steps"`
	Solver       string             `json:"solver"`
	Shift        float64            `json:"shift"`
	Guidance     inference.Guidance `json:"guidance"`
	Boundary     float64            `json:"boundary"`
	Noise        noise.Kind         `json:"noise"`
	FPS          int                `json:"fps"`
	Quant        quant.Options      `json:"quant,omitzero"`
	VAEChunk     int                `json:"vae_chunk"`
	VAEThreshold int                `json:"vae_threshold"`
	Offload      bool               `json:"offload"`
}
