package live

import (
	"context"
	"image"

	"gimbal/inference"
	"gimbal/inference/clip"
	"gimbal/inference/engine"
)

// Walker makes chunks; Of makes one of an engine.Walk, whose methods it has.
type Walker interface {
	Shape() engine.Shape
	Job() inference.Job
	Source() (dir, fingerprint string)
	Picture() (*image.RGBA, error)

	Encode(ctx context.Context, text string) (*engine.Prompt, error)
	Tell(ctx context.Context, path *clip.Path, prompt *engine.Prompt) error
	Make(ctx context.Context, path *clip.Path, prompt *engine.Prompt) ([]float32, error)
	Remember(ctx context.Context) error
	Return(ctx context.Context, way engine.Way, progress func(done, of int)) error

	NewDecoder(quick bool) Decoder
	Save(ctx context.Context, v engine.WalkVideo, emit func(inference.Event)) (inference.Saved, error)
	Close()
}

// Decoder turns the latents of chunks that follow each other into pictures.
type Decoder interface {
	Decode(ctx context.Context, latent []float32, emit func(*image.RGBA) error) error
	Close()
}

// Of returns an engine's walk as a Walker.
func Of(w *engine.Walk) Walker { return walker{w} }

type walker struct{ *engine.Walk }

func (w walker) NewDecoder(quick bool) Decoder { return w.Walk.NewDecoder(quick) }
