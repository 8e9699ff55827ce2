package keyframes

import (
	"fmt"
	"math"
	"slices"
)

// most bounds what a key may say of a position.
const most = 1e6

// sane returns the key with every number within what it may be.
func (k Key) sane() Key {
	for _, v := range []*float64{&k.X, &k.Y, &k.Z} {
		*v = within(*v, -most, most)
	}
	k.Pitch, k.FOV = within(k.Pitch, -89, 89), within(k.FOV, MinFOV, MaxFOV)
	k.Heading, k.Roll = within(k.Heading, -most, most), within(k.Roll, -180, 180)
	return k
}

func within(v, low, high float64) float64 {
	if math.IsNaN(v) {
		v = 0
	}
	return min(max(v, low), high)
}

// With returns the path with another key in place of key i. It stays between its neighbours,
// and the first one at its frame.
func (p Path) With(i int, k Key) Path {
	k = k.sane()
	if i == 0 {
		k.Frame = p.Keys[0].Frame
	} else {
		k.Frame = max(k.Frame, p.Keys[i-1].Frame+1)
	}
	if i+1 < len(p.Keys) && i > 0 {
		k.Frame = min(k.Frame, p.Keys[i+1].Frame-1)
	}
	p.Keys = slices.Clone(p.Keys)
	p.Keys[i] = k
	return p
}

// Insert returns the path with a key at a frame, where the camera is there anyway, and its
// number. Behind the last key that is a key as the last one.
func (p Path) Insert(frame int) (Path, int) {
	i := p.before(float64(frame))
	if i >= 0 && p.Keys[i].Frame == frame {
		return p, i
	}
	k := p.At(float64(frame))
	k.Frame, k.Ease = frame, Linear
	p.Keys = slices.Insert(slices.Clone(p.Keys), i+1, k)
	return p, i + 1
}

// Without returns the path without key i; one key is always left, and the first one's place
// is taken by none but itself.
func (p Path) Without(i int) Path {
	if i > 0 && i < len(p.Keys) {
		p.Keys = slices.Delete(slices.Clone(p.Keys), i, i+1)
	}
	return p
}

// Rounded returns the path with or without a curve through its keys.
func (p Path) Rounded(on bool) Path {
	p.Round = on
	return p
}

// Absolutely returns the path with its speed told as it is, or not.
func (p Path) Absolutely(on bool) Path {
	p.Absolute = on
	return p
}

// Fit returns the path stretched in time so that it takes a video of so many frames.
func (p Path) Fit(frames int) Path {
	last := p.Last()
	if last == 0 || frames < 2 {
		return p
	}
	keys := make([]Key, 0, len(p.Keys))
	for _, k := range p.Keys {
		k.Frame = int(math.Round(float64(k.Frame) * float64(frames-1) / float64(last)))
		if n := len(keys); n > 0 && k.Frame <= keys[n-1].Frame { // two keys at one frame
			keys[n-1] = k
			continue
		}
		keys = append(keys, k)
	}
	p.Keys = keys
	return p
}

// Append returns the path with another one behind it: that starts where this one ends, in the
// direction in which it looks then.
func (p Path) Append(next Path) Path {
	end, first := p.Keys[len(p.Keys)-1], next.Keys[0]
	turn := end.Heading - first.Heading
	sin, cos := math.Sincos(turn * math.Pi / 180)
	p.Keys = slices.Clone(p.Keys)
	p.Keys[len(p.Keys)-1].Ease = first.Ease
	for _, k := range next.Keys[1:] {
		x, z := k.X-first.X, k.Z-first.Z
		k.X, k.Y, k.Z = end.X+cos*x+sin*z, end.Y+k.Y-first.Y, end.Z-sin*x+cos*z
		k.Heading += turn
		k.Pitch += end.Pitch - first.Pitch
		k.Frame += end.Frame - first.Frame
		p.Keys = append(p.Keys, k.sane())
	}
	return p
}

// Back returns the path the other way round, from its end to its start, as seen from there.
func (p Path) Back() Path {
	last := p.Last()
	keys := make([]Key, len(p.Keys))
	other := map[Ease]Ease{EaseIn: EaseOut, EaseOut: EaseIn, EaseInOut: EaseInOut}
	for i, k := range p.Keys {
		to := len(keys) - 1 - i
		k.Frame = last - k.Frame
		if k.Ease = Linear; i > 0 {
			k.Ease = other[p.Keys[i-1].Ease]
		}
		keys[to] = k
	}
	p.Keys = keys
	return p.fromStart()
}

// fromStart returns the path as seen from its first key: that is at the origin and looks ahead.
func (p Path) fromStart() Path {
	first := p.Keys[0]
	sin, cos := math.Sincos(-first.Heading * math.Pi / 180)
	keys := slices.Clone(p.Keys)
	for i, k := range keys {
		x, z := k.X-first.X, k.Z-first.Z
		keys[i].X, keys[i].Y, keys[i].Z = cos*x+sin*z, k.Y-first.Y, -sin*x+cos*z
		keys[i].Heading -= first.Heading
	}
	p.Keys = keys
	return p
}

// Check returns an error unless the path is one that edits make: a file may say anything.
func (p Path) Check() error {
	if len(p.Keys) == 0 || len(p.Keys) > 1<<16 {
		return fmt.Errorf("found %d keys, expected some", len(p.Keys))
	}
	for i, k := range p.Keys {
		if k != k.sane() || k.Frame < 0 || k.Frame > 1<<20 || i == 0 && k.Frame != 0 || i > 0 && k.Frame <= p.Keys[i-1].Frame || !slices.Contains(Eases, k.Ease) {
			return fmt.Errorf("key %d: found %+v, expected numbers within their bounds, and a later frame than the key before", i, k)
		}
	}
	return nil
}
