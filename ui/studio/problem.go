package studio

// Level says how bad a Problem or how important a Notice is.
type Level string

// The levels.
const (
	Info    Level = "info"
	Warning Level = "warning" // the run can be made; the user should know
	Error   Level = "error"   // the run cannot be made until this is mended
)

// Code names a kind of message. With "problem.", "notice." or "run." before it, it is
// the key of a translation, a template over the arguments as English gives it.
type Code string

// Problem is something that is wrong with a field of the form, or that the user
// should know about it.
type Problem struct {
	Field   Field
	Level   Level
	Code    Code
	Args    map[string]any // what Text's places are filled with, for translations
	Text    string         // in English, one or two sentences that say what to do
	Details string         // more, to read and to copy; "" for none
}

// The codes of problems and their arguments.
const (
	PictureMissing   Code = "picture_missing"    // none chosen yet
	PictureGone      Code = "picture_gone"       // Path: the file is not there (any more)
	PictureBad       Code = "picture_bad"        // Path; Details says why it cannot be read
	CameraGone       Code = "camera_gone"        // Path
	CameraBad        Code = "camera_bad"         // Path; Details
	CameraUnused     Code = "camera_unused"      // the model has no camera control
	CameraShort      Code = "camera_short"       // Poses, Frames: the video gets fewer frames (warning)
	SpeedLost        Code = "speed_lost"         // Scale (warning)
	ZoomLost         Code = "zoom_lost"          // (warning)
	PromptEmpty      Code = "prompt_empty"       //
	PromptLong       Code = "prompt_long"        // Tokens, Limit (warning)
	NotANumber       Code = "not_a_number"       // Found
	NotAWholeNumber  Code = "not_a_whole_number" // Found
	OutOfRange       Code = "out_of_range"       // Found, Low, High
	NotAChoice       Code = "not_a_choice"       // Found, Choices
	FramesNot4n1     Code = "frames_4n1"         // Found, Below, Above
	QuantUnsupported Code = "quant_unsupported"  // Quant; Details says why
	ModelMissing     Code = "model_missing"      // Path: the model folder is not there
	ModelBad         Code = "model_bad"          // Path; Details says what is missing
	OutputBad        Code = "output_bad"         // Path; Details
	MemoryShort      Code = "memory_short"       // Need, Have: sizes as text (warning)
	MemoryReloads    Code = "memory_reloads"     // Need, Have: weights are read from disk in every step (warning)
	SizeBad          Code = "size_bad"           // Details
	DemoBad          Code = "demo_bad"           // Details
	OtherProblem     Code = "other"              // Text: the engine's own words
)

// Notice is a message that belongs to no field.
type Notice struct {
	ID      uint64 // for Dismiss
	Level   Level
	Code    Code
	Args    map[string]any
	Text    string // in English
	Details string
}

// The codes of notices and their arguments.
const (
	DroppedPictures Code = "dropped_pictures" // Used, Others: the first is used, the others are among the recents
	DroppedCameras  Code = "dropped_cameras"  // Used, Others
	DroppedModel    Code = "dropped_model"    // Path: is the model folder from now on
	DroppedUnknown  Code = "dropped_unknown"  // Path; Details says what was found and what is wanted
	SettingsDamaged Code = "settings_damaged" // Path: where the damaged file was put
	LibraryRebuilt  Code = "library_rebuilt"  // Path, Runs
	RunsInterrupted Code = "runs_interrupted" // Runs: number of runs that can be resumed
	Exported        Code = "exported"         // Path
	ExportFailed    Code = "export_failed"    // Path; Details
	DeleteFailed    Code = "delete_failed"    // Title; Details
	Deleted         Code = "deleted"          // Title
	SettingsCopied  Code = "settings_copied"  // Title
	FramesGone      Code = "frames_gone"      // Title: the video cannot be shown here, only opened
	PastedBad       Code = "pasted_bad"       // Details
	SaveFailed      Code = "save_failed"      // Path; Details
	PresetName      Code = "preset_name"      // Name: empty or taken
	FitChosen       Code = "fit_chosen"       // Settings
	FitNone         Code = "fit_none"         //
)

// The codes of runs that failed.
const (
	RunOutOfMemory Code = "out_of_memory"
	RunDeviceLost  Code = "device_lost"
	RunUnhealthy   Code = "unhealthy"
	RunDiskFull    Code = "disk_full"
	RunFailed      Code = "failed"    // Text: the engine's own words
	RunTooLarge    Code = "too_large" // Text: the same, with settings that fit
)
