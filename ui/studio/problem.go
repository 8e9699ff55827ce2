package studio

import (
	"errors"
	"maps"

	"gimbal/inference"
)

// Level says how bad a Problem or how important a Notice is.
type Level string

// The levels.
const (
	Info    Level = "info"
	Warning Level = "warning" // the run can be made; the user should know
	Error   Level = "error"   // the run cannot be made until this is mended
)

// Code names a kind of message. With "problem." or "notice." before it, it is the key of a
// translation, a template over the arguments as English gives it.
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
	PictureMissing   Code = "picture_missing"   // none chosen yet
	PictureGone      Code = "picture_gone"      // Path: the file is not there (any more)
	PictureBad       Code = "picture_bad"       // Path, Formats: those that can be read; Details says why it cannot be
	PictureUnread    Code = "picture_unread"    // Path: whole, but of a kind that is not read; Details names it
	LoRABad          Code = "lora_bad"          // Path
	LoRAElsewhere    Code = "lora_elsewhere"    // Name: the server has no LoRA of this name; Details lists those that it has
	ServerAway       Code = "server_away"       // Server: cannot be asked; Details says why
	ServerEmpty      Code = "server_empty"      // Server: has no model now
	CameraGone       Code = "camera_gone"       // Path
	CameraBad        Code = "camera_bad"        // Path; Details
	CameraUnused     Code = "camera_unused"     // the model has no camera control
	CameraShort      Code = "camera_short"      // Poses, Frames: the video gets fewer frames (warning)
	ActionsBad       Code = "actions_bad"       // Details
	PromptEmpty      Code = "prompt_empty"      //
	PromptLong       Code = "prompt_long"       // Tokens, Limit (warning)
	QuantUnsupported Code = "quant_unsupported" // Quant; Details says why
	ModelMissing     Code = "model_missing"     // Path: the model folder is not there
	ModelBad         Code = "model_bad"         // Path; Details says what is missing
	ModelHalf        Code = "model_half"        // Expert, Missing: one does every step (warning)
	ModelTwins       Code = "model_twins"       // both experts are the same (warning)
	ModelUnused      Code = "model_unused"      // Part, Tensors: are not used (warning)
	Uncalibrated     Code = "uncalibrated"      // Cache, Checkpoint: nothing is known that the cache could go by
	OutputBad        Code = "output_bad"        // Path; Details
	MemoryShort      Code = "memory_short"      // Need, Have: sizes as text (warning)
	MemoryReloads    Code = "memory_reloads"    // Need, Have: weights are read from disk in every step (warning)
	SizeBad          Code = "size_bad"          // Details
	DemoBad          Code = "demo_bad"          // Details
	ChunkShort       Code = "chunk_short"       // Chunk, Frames, Least: not one chunk
	ChunkCut         Code = "chunk_cut"         // Chunk, Frames: the video has fewer frames (info)
	WindowShort      Code = "window_short"      // Least, Chunk, Sink: the window holds less than these two
	ModelNoAssets    Code = "model_no_assets"   // Path: text encoder and VAE are missing
)

// The codes of what may be wrong with a download.
const (
	GetLicence Code = "get_licence"  // Licence: was not accepted
	GetRoom    Code = "get_room"     // Need, Free: sizes as text
	GetGated   Code = "get_gated"    // Address: of the page with the terms to accept
	GetNoToken Code = "get_no_token" // Address: the model is not there, or for those who are logged in
	GetToken   Code = "get_token"    // Address: the model is not there, or the token does not give access to it
	GetAway    Code = "get_away"     // Hub: does not answer; Details
	GetHash    Code = "get_hash"     // Path: other bytes came than the hub has
	GetOther   Code = "get_other"    // Path: another file is there
	GetGone    Code = "get_gone"     // Path, Commit: the download there began at a commit that the hub has no more
	GetBusy    Code = "get_busy"     // Path: another program fetches to this folder
	GetFailed  Code = "get_failed"   // Details
)

// The codes of what may be wrong with any setting.
const (
	NotANumber      = Code(inference.NotANumber)      // Found
	NotAWholeNumber = Code(inference.NotAWholeNumber) // Found
	OutOfRange      = Code(inference.OutOfRange)      // Found, Low, High
	NotAChoice      = Code(inference.NotAChoice)      // Found, Choices
	FramesNot4n1    = Code(inference.FramesNot4n1)    // Found, Below, Above
	OtherProblem    = Code(inference.Unusable)        // Text: the engine's own words
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
	DroppedUnread   Code = "dropped_unread"   // Path: a picture, but of a kind that is not read; Details names it
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
	PastedUnread    Code = "pasted_unread"    // Details
	SaveFailed      Code = "save_failed"      // Path; Details
	WalkFirst       Code = "walk_first"
	WalkFailed      Code = "walk_failed"      // Text
	WalkSaved       Code = "walk_saved"       // Path
	PresetName      Code = "preset_name"      // Name: empty or taken
	FitChosen       Code = "fit_chosen"       // Settings
	FitNone         Code = "fit_none"         //
	KeyNotKept      Code = "key_not_kept"     // Server; Details
	ModelFetched    Code = "model_fetched"    // Title, Path: it is chosen
	DownloadDropped Code = "download_dropped" // Path: what stays there
)

// settingProblem says what is wrong with a setting.
func settingProblem(e *inference.SettingError, level Level) Problem {
	field, code := Field(e.Setting), Code(e.Mistake)
	switch e.Setting {
	case "save_file":
		field = FieldOutput
	case "sample_guide_scale":
		field = "guidance_low"
	}
	var uncalibrated *inference.UncalibratedError
	switch {
	case errors.As(e.Err, &uncalibrated):
		return problem(field, level, Uncalibrated, map[string]any{"Cache": uncalibrated.Cache, "Checkpoint": uncalibrated.Checkpoint}, "")
	case e.Mistake == inference.Missing && field == FieldPicture:
		return problem(field, level, PictureMissing, nil, "")
	case e.Mistake == inference.Missing && field == FieldPrompt:
		return problem(field, level, PromptEmpty, nil, "")
	case problemTexts[code] == "" || code == OtherProblem:
		return problem(field, level, OtherProblem, map[string]any{"Text": e.Error()}, "")
	}
	args := map[string]any{"Found": e.Found}
	maps.Copy(args, e.Args)
	return problem(field, level, code, args, "")
}

// problemsOf says to which fields an error of a run belongs; none for no error.
func problemsOf(err error, level Level) map[Field]Problem {
	all := map[Field]Problem{}
	for _, e := range inference.SettingErrors(err) {
		p := settingProblem(e, level)
		all[p.Field] = p
	}
	if checkpoint := (*inference.CheckpointError)(nil); errors.As(err, &checkpoint) {
		all[FieldModel] = problem(FieldModel, level, OtherProblem, map[string]any{"Text": checkpoint.Error()}, "")
	}
	return all
}
