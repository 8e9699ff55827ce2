package studio

import (
	"fmt"
	"strings"
	"sync"
	"text/template"

	"gimbal/inference/clip"
)

// The messages in English, as templates over their arguments: the syntax of Fyne's
// translations.
var problemTexts = map[Code]string{
	PictureMissing:   "Choose a picture to start from: drop one here, or press Open.",
	PictureGone:      "The picture {{.Path}} is not there any more. Choose another, or put it back.",
	PictureBad:       "This picture cannot be read: {{.Path}}. These kinds can be read: {{.Formats}}.",
	PictureUnread:    "This picture is of a kind that Gimbal does not read: {{.Path}}. Export it as PNG.",
	LoRABad:          "This LoRA cannot be used: {{.Path}}. Remove it, or put the file back.",
	LoRAElsewhere:    "The server has no LoRA {{.Name}}. Remove it, or have it put there.",
	ServerAway:       "The server {{.Server}} cannot be asked. Look whether it runs, or choose this computer in the settings.",
	ServerEmpty:      "The server {{.Server}} has no model now: none of its workers is there.",
	CameraGone:       "The camera folder {{.Path}} is not there any more. Choose another, or put it back.",
	CameraBad:        "This is no camera folder that can be used: {{.Path}}. It needs poses.npy and intrinsics.npy.",
	CameraUnused:     "This model does not follow camera paths. Choose no path, or a model with camera control.",
	CameraShort:      "The path has {{.Poses}} {{plural .Poses \"pose\" \"poses\"}}: the video gets {{.Frames}} {{plural .Frames \"frame\" \"frames\"}}.",
	ActionsBad:       "These keys cannot be read. Write them as w-20,none-5,wd-10: keys, a hyphen and for how many frames they are held.",
	PromptEmpty:      "Say in words what the video shows.",
	PromptLong:       "The text has {{.Tokens}} {{plural .Tokens \"token\" \"tokens\"}}. The model reads the first {{.Limit}}.",
	NotANumber:       "“{{.Found}}” is not a number.",
	NotAWholeNumber:  "“{{.Found}}” is not a whole number.",
	OutOfRange:       "{{.Found}} is out of range: {{.Low}} to {{.High}}.",
	NotAChoice:       "“{{.Found}}” is not one of {{.Choices}}.",
	FramesNot4n1:     "{{.Found}} frames cannot be made, only 1, 5, 9 and so on. The nearest are {{.Below}} and {{.Above}}.",
	QuantUnsupported: "This device cannot use {{.Quant}} weights. Choose another quantisation.",
	ModelMissing:     "The model folder {{.Path}} is not there. Connect its disk, or choose another folder.",
	ModelBad:         "The model in {{.Path}} cannot be used. Something is missing or damaged.",
	ModelHalf:        "Half of this model is missing: {{.Expert}} does every step, as there is no {{.Missing}}. Videos will not look as they should.",
	ModelTwins:       "The experts for high and for low noise are the same. Was one file fetched twice? Videos will not look as they should.",
	ModelUnused:      "This model has tensors in {{.Part}} that are not used: {{.Tensors}}.",
	OutputBad:        "Videos cannot be saved in {{.Path}}. Choose another folder.",
	MemoryShort:      "This needs {{.Need}} of memory, and {{.Have}} are there. Choose fewer frames, a smaller size or a quantisation.",
	MemoryReloads:    "The weights do not fit beside the rest ({{.Need}} of {{.Have}}): they are read from the disk in every step. A quantisation is faster.",
	OtherProblem:     "{{.Text}}",
	Uncalibrated:     "Nothing is known of this model that {{.Cache}} could go by. Once, in a terminal: gimbal bench calibrate --ckpt_dir {{.Checkpoint}}. EasyCache needs no calibration.",
	SizeBad:          "No video can be made of this picture in this size.",
	ChunkShort:       "This model makes {{.Chunk}} latent {{plural .Chunk \"frame\" \"frames\"}} at a time: a video has at least {{.Least}} frames, not {{.Frames}}.",
	ChunkCut:         "This model makes {{.Chunk}} latent {{plural .Chunk \"frame\" \"frames\"}} at a time: the video gets {{.Frames}} {{plural .Frames \"frame\" \"frames\"}}.",
	WindowShort:      "The window must hold the {{.Chunk}} latent {{plural .Chunk \"frame\" \"frames\"}} of a chunk and the {{.Sink}} of the sink: at least {{.Least}}, or -1 for all.",
	ModelNoAssets:    "The model in {{.Path}} has no text encoder or VAE. Choose a LingBot-World folder that has them: all models of the family share these.",
	GetLicence:       "Read the licence, {{.Licence}}, and accept it.",
	GetRoom:          "This needs {{.Need}}, and {{.Free}} are free. Free some space, or choose a folder on another disk.",
	GetGated:         "The hub gives this model to those who accepted its terms: do so at {{.Address}}, and enter a token of that account.",
	GetNoToken:       "The hub has no such model, or gives it only to those who are logged in: look at {{.Address}}, and enter a token.",
	GetToken:         "The hub has no such model, or the token does not give access to it: look at {{.Address}}.",
	GetAway:          "{{.Hub}} does not answer. It is asked again until it does; what came so far is kept.",
	GetHash:          "{{.Path}} came over the network as another file than the hub has. Nothing of it is kept: try again, without a proxy or mirror in between.",
	GetOther:         "{{.Path}} is another file than the hub has. Move it away, or choose another folder.",
	GetGone:          "What was begun in {{.Path}} is of a state of the model, {{.Commit}}, that the hub has no more. Choose another folder, or move this one away.",
	GetBusy:          "Another program is downloading to {{.Path}}. Wait for it, or choose another folder.",
	GetFailed:        "This did not work. What came so far is kept: try again.",
	DemoBad:          "The demo model cannot be unpacked. Choose a model folder.",

	noteCode(clip.NoteIntrinsicsGuessed): "The path has no intrinsics: a usual lens is taken (fx, fy, cx, cy = 500, 500, 416, 240).",
	noteCode(clip.NoteIntrinsicsScaled):  "The intrinsics are of a video of {{.Width}} × {{.Height}}: they were scaled.",
	noteCode(clip.NoteOffCentre):         "The optical centre {{.X}}, {{.Y}} is far from the middle of 832 × 480: intrinsics for another size must be scaled to this one.",
	noteCode(clip.NoteNearestRotations):  "The rotations of {{.N}} {{plural .N \"pose\" \"poses\"}} are not exact, that of frame {{.Frame}} is off by {{.Error}}: the nearest rotations are used.",
	noteCode(clip.NoteScaledRotations):   "The rotations of {{.N}} {{plural .N \"pose\" \"poses\"}} are scaled, that of frame {{.Frame}} by {{.Scale}}: they are taken without the scale.",
	noteCode(clip.NoteGaps):              "{{.N}} {{plural .N \"frame has no pose: it lies\" \"frames have no pose: they lie\"}} between those around.",
	noteCode(clip.NoteFromKeys):          "The path is made of the keys.",
	noteCode(clip.NoteJump):              "The camera jumps at frame {{.Frame}}, {{.Times}} times as far as in any other step, so that the model sees all others as a crawl. “Even out jumps”, under Advanced, mends it.",
	noteCode(clip.NoteSpeedLost):         "The model sees this path scaled, its longest step as 1 instead of {{.Scale}}: it does not know how fast the camera moves.",
	noteCode(clip.NoteZoomLost):          "The zoom changes along this path and the model only knows the first one. “Tell the zoom”, under Advanced, changes that.",
}

var noticeTexts = map[Code]string{
	DroppedPictures: "{{.Used}} is the picture now. The others are among the recent ones: {{.Others}}.",
	DroppedCameras:  "{{.Used}} is the camera path now. Not used: {{.Others}}.",
	DroppedModel:    "{{.Path}} is the model folder from now on.",
	DroppedUnknown:  "{{.Path}} is nothing that can be used here.",
	DroppedUnread:   "{{.Path}} is a picture of a kind that Gimbal does not read. Export it as PNG.",
	SettingsDamaged: "The settings were damaged and start afresh. The old file is {{.Path}}.",
	LibraryRebuilt:  "The library's database was damaged or lost. It was rebuilt, with {{.Runs}} {{plural .Runs \"run\" \"runs\"}}.{{if .Path}} The old file is {{.Path}}.{{end}}",
	RunsInterrupted: "Gimbal ended in the middle of {{.Runs}} {{plural .Runs \"run. It\" \"runs. They\"}} can be resumed from the library.",
	Exported:        "Exported to {{.Path}}.",
	ExportFailed:    "The export to {{.Path}} failed.",
	DeleteFailed:    "“{{.Title}}” could not be deleted.",
	Deleted:         "“{{.Title}}” is in the trash.",
	SettingsCopied:  "The form has the settings of “{{.Title}}”.",
	FramesGone:      "The frames of “{{.Title}}” are not in the library any more. The video itself can be opened.",
	PastedBad:       "What was pasted is no picture.",
	PastedUnread:    "What was pasted is a picture of a kind that Gimbal does not read. Export it as PNG.",
	SaveFailed:      "{{.Path}} could not be written.",
	WalkFirst:       "The video is made when the walk in Live has ended.",
	WalkFailed:      "The walk: {{.Text}}",
	WalkSaved:       "The walk's video is in {{.Path}} and in the library.",
	PresetName:      "A preset needs a name of its own: “{{.Name}}” is empty or taken.",
	FitChosen:       "Changed so that it fits: {{.Settings}}.",
	KeyNotKept:      "The key of {{.Server}} cannot be kept. It has to be given again when Gimbal starts.",
	ModelFetched:    "{{.Title}} is complete, in {{.Path}}. It is the model from now on.",
	DownloadDropped: "The download was stopped. Files that were complete are still in {{.Path}}.",
	FitNone:         "No settings make this fit. Choose fewer frames or a smaller size.",
}

// English returns the messages in English, as templates over their arguments, by the
// keys that translations have them under: "problem." or "notice." and the code.
func English() map[string]string {
	all := map[string]string{}
	for kind, texts := range map[string]map[Code]string{"problem.": problemTexts, "notice.": noticeTexts} {
		for code, text := range texts {
			all[kind+string(code)] = text
		}
	}
	return all
}

// Plural returns the word for one thing where n is 1, and else that for several. Messages call
// it as {{plural .N "run" "runs"}}; it is for languages that tell them apart.
func Plural(n any, one, several string) string {
	if fmt.Sprint(n) == "1" {
		return one
	}
	return several
}

// render returns the message under a key in English.
func render(key string, args map[string]any) string {
	var text strings.Builder
	if err := templates().ExecuteTemplate(&text, key, args); err != nil {
		panic(fmt.Sprintf("studio: message %q: %v", key, err))
	}
	return text.String()
}

var templates = sync.OnceValue(func() *template.Template {
	all := template.New("").Option("missingkey=error").Funcs(template.FuncMap{"plural": Plural})
	for key, text := range English() {
		template.Must(all.New(key).Parse(text))
	}
	return all
})

// problem returns a Problem with its English text.
func problem(field Field, level Level, code Code, args map[string]any, details string) Problem {
	return Problem{Field: field, Level: level, Code: code, Args: args, Text: render("problem."+string(code), args), Details: details}
}
