package engine

import (
	"context"
	"fmt"
	"runtime/debug"

	"gimbal/inference/umt5"
	"gimbal/inference/weights"
)

// collect gives memory of the host and of the device back to the system between two
// phases: the tensors of one are large, and of no use to the next.
func (p *Pipeline) collect() {
	if !p.dev.Info().Dry {
		p.dev.Trim()
		debug.FreeOSMemory()
	}
}

// openText loads the text encoder unless it is there.
func (p *Pipeline) openText(ctx context.Context) (err error) {
	if p.text == nil {
		if p.text, err = umt5.Load(ctx, p.dev, p.layout.Text); err != nil {
			return fmt.Errorf("text encoder: %w", err)
		}
	}
	return nil
}

// closeText lets go of the text encoder and of its weights' memory.
func (p *Pipeline) closeText() {
	p.text.Close()
	p.text = nil
	p.letGo(p.layout.Text)
}

// letGo lets go of the weights' memory, unless they are only counted: somebody else may
// be using them.
func (p *Pipeline) letGo(s *weights.Store) {
	if !p.dev.Info().Dry {
		s.LetGo()
	}
}

// letGoOthers lets go of the weights' memory of every expert but one.
func (p *Pipeline) letGoOthers(but string) {
	for name, e := range p.layout.Experts {
		if name != but {
			p.letGo(e.Store)
		}
	}
}

// aheadSteps is how many steps before an expert's first one its weights are begun to
// be read, where one part of the model is in memory at a time.
const aheadSteps = 2

// readAhead begins to read the weights of the expert that will soon take over from
// expert, or, without Offload, ever, in the background, until ctx ends. It does so
// once.
func (s *sampling) readAhead(ctx context.Context, expert string, step int) {
	soon := s.solver.Steps() - 1
	if s.job.Offload {
		soon = min(step+aheadSteps, soon)
	}
	next := s.p.expert(s.guidance.HighNoise(s.solver.Timesteps()[soon]))
	if next == expert || s.ahead != nil || s.planning() {
		return
	}
	s.ahead = make(chan struct{})
	go func() {
		defer close(s.ahead)
		s.p.layout.Experts[next].Store.ReadAhead(ctx)
	}()
}
