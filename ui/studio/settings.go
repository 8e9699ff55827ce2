package studio

// Settings are kept between sessions, beside the last inputs, the recents and one's
// own presets.
type Settings struct {
	WindowWidth  float32 `json:"window_width,omitempty"` // in Fyne's units; 0 if never set
	WindowHeight float32 `json:"window_height,omitempty"`
	Language     string  `json:"language,omitempty"`   // such as "zh"; "" for the system's
	Appearance   string  `json:"appearance,omitempty"` // "light", "dark"; "" for the system's
	OutputDir    string  `json:"output_dir,omitempty"` // folder for the videos
	ModelFolder  string  `json:"model_folder,omitempty"`
}
