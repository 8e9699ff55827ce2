package clip

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gimbal/inference"
)

// Direction is where a camera goes or turns, as it sees it.
type Direction string

// The directions.
const (
	Forward   Direction = "forward"
	Backward  Direction = "backward"
	Left      Direction = "left"
	Right     Direction = "right"
	Up        Direction = "up"
	Down      Direction = "down"
	TurnLeft  Direction = "turn_left"
	TurnRight Direction = "turn_right"
	LookUp    Direction = "look_up"
	LookDown  Direction = "look_down"
)

// Leg is a part of a path in one direction.
type Leg struct {
	Direction Direction
	Amount    float64 // in the path's units, or degrees
	Turning   bool    // it is a turn, in degrees
}

const (
	// minLeg is the share of a path, or of its turns, below which a part is not told.
	minLeg = 0.05
	// minTurn is the least turn in degrees that is told.
	minTurn = 5
	// maxLegs is how many are told.
	maxLegs = 6
)

// Legs says in a few parts where the camera goes in the first frames poses: its moves in
// the directions that it looks in, and its turns. None is a camera that rests.
func (p *Path) Legs(frames int) []Leg {
	poses := p.latentPoses(frames, inference.Wan.LatentFrames(frames))
	var legs []Leg
	add := func(l Leg) {
		if l.Amount == 0 {
			return
		}
		for i := len(legs) - 1; i >= 0 && i >= len(legs)-2; i-- { // a move and a turn go on at once
			if legs[i].Direction == l.Direction {
				legs[i].Amount += l.Amount
				return
			}
			if legs[i].Turning == l.Turning {
				break
			}
		}
		legs = append(legs, l)
	}
	for i := 1; i < len(poses); i++ {
		back := inverse(&poses[i-1])
		m := mul(&back, &poses[i])
		add(move(m))
		add(turn(m))
	}
	return shorten(legs)
}

// move returns the greatest part of a motion along an axis.
func move(m Matrix) (l Leg) {
	for axis, names := range [3][2]Direction{{Right, Left}, {Down, Up}, {Forward, Backward}} {
		if v := float64(m[axis][3]); math.Abs(v) > l.Amount {
			l = Leg{Direction: names[0], Amount: math.Abs(v)}
			if v < 0 {
				l.Direction = names[1]
			}
		}
	}
	return l
}

// turn returns the greater of a motion's turns to the side and up or down.
func turn(m Matrix) Leg {
	side := math.Atan2(float64(m[0][2]), float64(m[2][2])) * 180 / math.Pi
	up := math.Asin(max(-1, min(1, -float64(m[1][2])))) * 180 / math.Pi
	l := Leg{Direction: TurnRight, Amount: math.Abs(side), Turning: true}
	if side < 0 {
		l.Direction = TurnLeft
	}
	if math.Abs(up) > math.Abs(side) {
		l = Leg{Direction: LookUp, Amount: math.Abs(up), Turning: true}
		if up < 0 {
			l.Direction = LookDown
		}
	}
	return l
}

// shorten leaves out what is too little to be told, and the smallest of too many legs.
func shorten(legs []Leg) []Leg {
	var whole [2]float64
	kind := func(l Leg) *float64 {
		if l.Turning {
			return &whole[1]
		}
		return &whole[0]
	}
	for _, l := range legs {
		*kind(l) += l.Amount
	}
	least := minLeg
	for {
		var kept []Leg
		for _, l := range legs {
			if l.Amount < least**kind(l) || l.Turning && l.Amount < minTurn {
				continue
			}
			if n := len(kept); n > 0 && kept[n-1].Direction == l.Direction {
				kept[n-1].Amount += l.Amount
				continue
			}
			kept = append(kept, l)
		}
		if len(kept) <= maxLegs || least > 0.5 {
			return kept
		}
		least *= 1.5
	}
}

// Directions are all of them.
var Directions = []Direction{Forward, Backward, Left, Right, Up, Down, TurnLeft, TurnRight, LookUp, LookDown}

// Way says in words where the camera goes in the first frames poses, such as "forward 2,
// then turns left 30°".
func (p *Path) Way(frames int) string {
	words := map[Direction]string{TurnLeft: "turns left", TurnRight: "turns right", LookUp: "looks up", LookDown: "looks down"}
	var parts []string
	for _, l := range p.Legs(frames) {
		word, unit := words[l.Direction], "°"
		if !l.Turning {
			word, unit = string(l.Direction), ""
		}
		parts = append(parts, fmt.Sprintf("%s %.3g%s", word, l.Amount, unit))
	}
	if len(parts) == 0 {
		return "stays where it is"
	}
	return strings.Join(parts, ", then ")
}

// maxJumpNotes is how many jumps are told.
const maxJumpNotes = 3

// Notes implements Control.
func (p *Path) Notes(frames int) []Note {
	notes := slices.Clone(p.notes)
	if p.fromKeys {
		notes = append(notes, Note{NoteFromKeys, nil, "the camera path is made of the keys"})
	}
	jumps := p.Jumps(frames)
	for _, j := range jumps[:min(maxJumpNotes, len(jumps))] {
		notes = append(notes, j.note())
	}
	if scale := p.Motion(frames).Scale; !p.fromKeys && p.SpeedLost() {
		notes = append(notes, Note{NoteSpeedLost, map[string]any{"Scale": fmt.Sprintf("%.3g", scale)}, "the model sees the path scaled so that its largest step has length 1: absolute speed is lost"})
	}
	if p.ZoomLost() {
		notes = append(notes, Note{NoteZoomLost, nil, "the intrinsics change along the path and the model is told the first only, as in the reference: the zoom is lost unless every frame's are told (per_frame_intrinsics)"})
	}
	return notes
}
