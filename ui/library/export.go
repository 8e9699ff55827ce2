package library

// ExportKind is a kind of file that a video can be exported as.
type ExportKind string

// The kinds of export.
const (
	ExportMP4   ExportKind = "mp4"   // a copy of the video
	ExportGIF   ExportKind = "gif"   // an animation that loops
	ExportPNGs  ExportKind = "png"   // a folder of numbered pictures
	ExportSheet ExportKind = "sheet" // one picture of evenly picked frames
)
