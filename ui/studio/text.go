package studio

import (
	"cmp"
	"strconv"
)

// text returns a field's value as an entry shows it.
func (in Inputs) text(field Field) string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	switch field {
	case FieldPicture:
		return in.Picture
	case FieldCamera:
		return in.Camera.Folder
	case FieldPrompt:
		return in.Prompt
	case FieldNegative:
		return in.NegativePrompt
	case FieldFrames:
		return strconv.Itoa(in.Frames)
	case FieldSize:
		return strconv.Itoa(in.MaxArea)
	case FieldSteps:
		return strconv.Itoa(in.Steps)
	case FieldSolver:
		return in.Solver
	case FieldShift:
		return number(in.Shift)
	case FieldGuidanceLow:
		return number(in.Guidance.Low)
	case FieldGuidanceHigh:
		return number(in.Guidance.High)
	case FieldBoundary:
		return number(in.Boundary)
	case FieldSeed:
		return strconv.FormatUint(in.Seed, 10)
	case FieldNoise:
		return string(in.Noise)
	case FieldFPS:
		return strconv.Itoa(in.FPS)
	case FieldVAEChunk:
		return strconv.Itoa(in.VAEChunk)
	case FieldVAEThreshold:
		return strconv.Itoa(in.VAEThreshold)
	case FieldVAETile:
		return strconv.Itoa(in.VAETile)
	case FieldAttnChunk:
		return strconv.Itoa(in.AttentionChunk)
	case FieldAttnType:
		return cmp.Or(in.AttentionType, "f32")
	case FieldQuant:
		return in.Quant.String()
	}
	return ""
}
