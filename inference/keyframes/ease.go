package keyframes

// Ease says how the speed of a camera changes on the way from one key to the next.
type Ease string

// The eases. The names are those of animation programs.
const (
	Linear    Ease = ""       // the same speed
	EaseIn    Ease = "in"     // from rest
	EaseOut   Ease = "out"    // to rest
	EaseInOut Ease = "in-out" // both
)

// Eases are all of them.
var Eases = []Ease{Linear, EaseIn, EaseOut, EaseInOut}

// at returns the part of the way that is done after the part t of its time.
func (e Ease) at(t float64) float64 {
	switch e {
	case EaseIn:
		return t * t
	case EaseOut:
		return t * (2 - t)
	case EaseInOut:
		return t * t * (3 - 2*t)
	}
	return t
}
