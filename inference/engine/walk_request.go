package engine

import (
	"gimbal/inference"
	"gimbal/inference/weights"
)

// WalkRequest returns r for a walk: of the causal model in its checkpoint, which may lie beside
// the experts that runs are of, by that model's recipe. ok is false where there is none. No
// weights are looked at.
func WalkRequest(r Request) (walk Request, ok bool, err error) {
	c := r.checkpoint()
	if found, err := weights.Find(c.Dir); err == nil {
		c.Dir = found
	}
	if c.Model == "" && c.HasExperts() {
		if dir, _ := c.FindCausal(); dir == "" {
			return r, false, nil
		}
		c.Model = inference.CausalFast
	}
	recipe, err := RecipeOf(c)
	if err != nil || recipe.Causal.Mode == "" {
		return r, false, err
	}
	if r.Job.Causal.Mode != recipe.Causal.Mode {
		r.Job.Recipe = recipe
	}
	return r, true, nil
}
