package keyframes

import (
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"gimbal/inference"
	"gimbal/inference/clip"
)

const frames = 81

// far returns the largest difference of two poses.
func far(a, b clip.Pose) (most float64) {
	for i := range 4 {
		for j := range 4 {
			most = max(most, math.Abs(a[i][j]-b[i][j]))
		}
	}
	return most
}

func walk() Path {
	return Path{Keys: []Key{
		{FOV: 80}, {Frame: 20, Z: 5, FOV: 80, Ease: EaseInOut}, {Frame: 50, X: 3, Y: -1, Z: 8, Heading: 90, Pitch: 10, FOV: 60, Ease: EaseOut},
		{Frame: 80, X: 6, Z: 8, Heading: 200, Pitch: -20, Roll: 5, FOV: 70},
	}}
}

func TestAt(t *testing.T) {
	p := walk()
	for _, k := range p.Keys {
		if at := p.At(float64(k.Frame)); at.distance(k) > 1e-12 || at.Heading != k.Heading || at.FOV != k.FOV {
			t.Errorf("at frame %d: %+v, want %+v", k.Frame, at, k)
		}
		if at := p.Rounded(true).At(float64(k.Frame)); at.distance(k) > 1e-12 {
			t.Errorf("on a curve, at frame %d: %+v, want %+v", k.Frame, at, k)
		}
	}
	if at := p.At(10); at.Z != 2.5 || at.X != 0 {
		t.Errorf("halfway %+v", at)
	}
	if at := p.At(200); at.distance(p.Keys[3]) > 0 || at.Frame != 200 {
		t.Errorf("behind the last key %+v", at)
	}
	if straight, round := p.At(35), p.Rounded(true).At(35); straight.distance(round) < 0.05 {
		t.Error("a curve is as straight as a line")
	}
	corner := Path{Keys: []Key{{FOV: 80}, {Frame: 40, Z: 4, FOV: 80}, {Frame: 80, X: 4, Z: 4, FOV: 80}}}
	bend := func(p Path) float64 { // of the speed at the key
		a, b, c := p.At(39.999), p.At(40), p.At(40.001)
		return math.Hypot(c.X-2*b.X+a.X, c.Z-2*b.Z+a.Z) / 0.001
	}
	if got := bend(corner.Rounded(true)); got > 1e-3 {
		t.Errorf("the curve has a corner: %g", got)
	}
	if got := bend(corner); got < 0.1 {
		t.Errorf("a corner bends by %g only", got)
	}
}

func TestEases(t *testing.T) {
	for _, e := range Eases {
		if e.at(0) != 0 || e.at(1) != 1 {
			t.Errorf("%q goes from %g to %g", e, e.at(0), e.at(1))
		}
		for i := range 100 {
			if e.at(float64(i+1)/100) < e.at(float64(i)/100) {
				t.Errorf("%q goes back", e)
			}
		}
	}
	slow := func(e Ease, t float64) bool { return (e.at(t+1e-4)-e.at(t))/1e-4 < 0.1 }
	for e, want := range map[Ease][2]bool{Linear: {}, EaseIn: {true, false}, EaseOut: {false, true}, EaseInOut: {true, true}} {
		if got := [2]bool{slow(e, 0), slow(e, 1-1e-4)}; got != want {
			t.Errorf("%q rests at its ends: %v, want %v", e, got, want)
		}
	}
}

// A key's pose is a rotation by heading, pitch and roll, and says what it is made of.
func TestPose(t *testing.T) {
	ahead := Key{Heading: 90, FOV: 80}.Pose()
	if far(ahead, clip.Pose{{0, 0, 1, 0}, {0, 1, 0, 0}, {-1, 0, 0, 0}, {3: 1}}) > 1e-12 {
		t.Errorf("to the right: %v", ahead)
	}
	if up := (Key{Pitch: 90}).Pose(); up[1][2] > -1+1e-12 {
		t.Errorf("up: %v", up)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		k := Key{X: r.NormFloat64(), Y: r.NormFloat64(), Z: r.NormFloat64(), Heading: 360*r.Float64() - 180, Pitch: 160*r.Float64() - 80, Roll: 300*r.Float64() - 150}
		got := keyOf(k.Pose())
		if math.Abs(got.Heading-k.Heading)+math.Abs(got.Pitch-k.Pitch)+math.Abs(got.Roll-k.Roll) > 1e-9 || got.distance(k) > 0 {
			t.Fatalf("%+v became %+v", k, got)
		}
	}
	if k := (Key{FOV: UsualFOV}).Intrinsics(); math.Abs(k[0]-500) > 0.1 || k[2] != 416 || k[3] != 240 {
		t.Errorf("intrinsics %v", k)
	}
}

// What is written as an action folder is what is read.
func TestFolder(t *testing.T) {
	p, err := walk().Clip(frames)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "path")
	if err := p.Write(dir); err != nil {
		t.Fatal(err)
	}
	read, err := clip.OpenPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	if read.EffectiveFrames(frames) != frames || !read.ZoomLost() {
		t.Errorf("%d frames, zoom %v", read.Frames(), read.ZoomLost())
	}
	for i, pose := range read.Poses() {
		if want := walk().At(float64(i)).Pose(); far(pose, want) > 1e-5 {
			t.Fatalf("frame %d: %v, want %v", i, pose, want)
		}
	}
	again := TakePath(read, frames)
	for i := range frames {
		a, b := again.At(float64(i)), walk().At(float64(i))
		if a.distance(b) > 0.15 || math.Abs(a.Heading-b.Heading) > 1 || math.Abs(a.FOV-b.FOV) > 1 {
			t.Errorf("frame %d: %+v, want about %+v", i, a, b)
		}
	}
}

// Every built-in move is taken with few keys, and is the same to the model.
func TestMoves(t *testing.T) {
	for _, name := range clip.BuiltinNames() {
		whole, err := clip.Builtin(name, frames)
		if err != nil {
			t.Fatal(err)
		}
		p := TakePath(whole, frames)
		if len(p.Keys) > 14 {
			t.Errorf("%s has %d keys", name, len(p.Keys))
		}
		for i, pose := range whole.Poses() {
			if d := far(pose, p.At(float64(i)).Pose()); d > 0.1 {
				t.Errorf("%s: frame %d is off by %g", name, i, d)
			}
		}
	}
	if p := TakePath(mustBuiltin(t, "still"), frames); len(p.Keys) != 1 {
		t.Errorf("a camera that stays has %d keys", len(p.Keys))
	}
}

func mustBuiltin(t *testing.T, name string) *clip.Path {
	t.Helper()
	p, err := clip.Builtin(name, frames)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEdits(t *testing.T) {
	p := walk()
	q, i := p.Insert(35)
	if i != 2 || len(q.Keys) != 5 || len(p.Keys) != 4 || q.Keys[2].distance(p.At(35)) > 0 {
		t.Errorf("inserted %d: %+v", i, q)
	}
	if same, i := q.Insert(35); i != 2 || len(same.Keys) != 5 {
		t.Error("a second key at one frame")
	}
	if q, i := p.Insert(100); i != 4 || q.Keys[4].distance(p.Keys[3]) > 0 || q.Last() != 100 {
		t.Error("a key behind the last one is another")
	}
	moved := p.With(1, Key{Frame: 99, X: 1e9, Pitch: 120, FOV: math.NaN()})
	if k := moved.Keys[1]; k.Frame != 49 || k.Pitch != 89 || k.X != most || k.FOV != MinFOV {
		t.Errorf("a key beyond its neighbours is %+v", k)
	}
	if k := p.With(0, Key{Frame: 7, Z: 1, FOV: 80}).Keys[0]; k.Frame != 0 || k.Z != 1 {
		t.Errorf("the first key is %+v", k)
	}
	if got := p.Without(0); len(got.Keys) != 4 {
		t.Error("the first key was deleted")
	}
	if got := p.Without(2); len(got.Keys) != 3 || got.Keys[2].Frame != 80 || len(p.Keys) != 4 {
		t.Errorf("%+v", got)
	}
	if got := p.Fit(41); got.Last() != 40 || got.Keys[1].Frame != 10 || p.Last() != 80 {
		t.Errorf("fitted %+v", got)
	}
	if got := p.Fit(2); got.Last() != 1 || len(got.Keys) > 2 {
		t.Errorf("fitted to two frames %+v", got)
	}
}

// Moves follow each other: forward, a turn to the right, and forward again goes to the right.
func TestAppend(t *testing.T) {
	forward := Path{Keys: []Key{{FOV: 80, Ease: EaseIn}, {Frame: 20, Z: 5, FOV: 80}}}
	turn := Path{Keys: []Key{{FOV: 80}, {Frame: 10, Heading: 90, FOV: 80}}}
	p := forward.Append(turn).Append(forward)
	end := p.At(50)
	if p.Last() != 50 || math.Abs(end.X-5) > 1e-9 || math.Abs(end.Z-5) > 1e-9 || end.Heading != 90 || p.Keys[2].Ease != EaseIn {
		t.Errorf("%+v ends at %+v", p, end)
	}
	back := p.Back()
	if k := back.Keys[0]; k.Heading != 0 || k.distance(Key{}) > 0 || back.Last() != 50 || back.Keys[0].Ease != EaseOut {
		t.Errorf("back from %+v", k)
	}
	for i := range 51 {
		if a, b := p.At(float64(i)).distance(p.At(50)), back.At(float64(50-i)).distance(back.Keys[0]); math.Abs(a-b) > 1e-9 {
			t.Fatalf("frame %d is %g from the end, and back %g", i, a, b)
		}
	}
}

func TestSpeed(t *testing.T) {
	p := Path{Keys: []Key{{FOV: 80}, {Frame: 40, Z: 1, FOV: 80}, {Frame: 44, Z: 11, FOV: 80}, {Frame: 80, Z: 12, Heading: 90, FOV: 80}}}
	steps := p.Steps(frames)
	if len(steps) != 20 || steps[10].Seen != 1 || math.Abs(steps[0].Seen-0.01) > 1e-9 || math.Abs(steps[15].Turn-10) > 1e-9 {
		t.Errorf("%+v", steps)
	}
	c, ok := p.Crawl(frames)
	if !ok || c.Frame != 44 || c.Times < 50 || c.Share < 0.9 {
		t.Errorf("%+v %v", c, ok)
	}
	for _, fine := range []Path{Start(), TakePath(mustBuiltin(t, "orbit-left"), frames), {Keys: []Key{{FOV: 80, Ease: EaseInOut}, {Frame: 80, Z: 9, FOV: 80}}}} {
		if c, ok := fine.Crawl(frames); ok {
			t.Errorf("%+v: %+v", fine, c)
		}
	}
	if c, ok := p.Absolutely(true).Crawl(frames); ok {
		t.Errorf("a speed as it is: %+v", c)
	}
	if s, ok := p.Absolutely(true).Fast(frames); !ok || s.Frame != 44 || s.Seen != 10 {
		t.Errorf("too fast: %+v %v", s, ok)
	}
	if s, ok := p.Fast(frames); ok {
		t.Errorf("too fast, though it is scaled: %+v", s)
	}
	// The model's own numbers are the same.
	whole, err := p.Clip(frames)
	if err != nil {
		t.Fatal(err)
	}
	for i, m := range whole.Motion(frames).Relative[1:] {
		if seen := math.Sqrt(float64(m[0][3]*m[0][3] + m[1][3]*m[1][3] + m[2][3]*m[2][3])); math.Abs(seen-steps[i].Seen) > 1e-5 {
			t.Errorf("step %d is seen as %g, want %g", i, steps[i].Seen, seen)
		}
	}
}

// Poses of every convention are read as what they were made of.
func TestConventions(t *testing.T) {
	flip := clip.Pose{{1}, {1: -1}, {2: -1}, {3: 1}}
	poses := make([]clip.Pose, frames)
	for i := range poses {
		poses[i] = walk().At(float64(i)).Pose()
	}
	for _, c := range []Convention{{}, {WorldToCamera: true}, {OpenGL: true}, {WorldToCamera: true, OpenGL: true}} {
		foreign := make([]clip.Pose, len(poses))
		for i, p := range poses {
			if c.OpenGL {
				right := times(&p, &flip)
				p = times(&flip, &right)
			}
			if c.WorldToCamera {
				p = inverted(&p)
			}
			foreign[i] = p
		}
		for i, p := range c.Poses(foreign) {
			if far(p, poses[i]) > 1e-9 {
				t.Fatalf("%+v: frame %d is %v, want %v", c, i, p, poses[i])
			}
		}
	}
}

// Keys are taken of long recordings in a moment, whatever is in them.
func TestTakeLong(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	poses := make([]clip.Pose, 2000)
	k := Key{}
	for i := range poses {
		k.X, k.Z, k.Heading = k.X+0.1*r.NormFloat64(), k.Z+0.05, k.Heading+3*r.NormFloat64()
		poses[i] = k.Pose()
	}
	p := Take(poses, []clip.Intrinsics{{500, 500, 416, 240}})
	if p.Last() != len(poses)-1 || p.Keys[0].Frame != 0 {
		t.Errorf("from %d to %d", p.Keys[0].Frame, p.Last())
	}
	for i := 1; i < len(p.Keys); i++ {
		if p.Keys[i].Frame <= p.Keys[i-1].Frame {
			t.Fatal("keys out of order")
		}
	}
	if got := inference.Wan.LatentFrames(frames); len(latent(frames)) != got {
		t.Errorf("%d latent frames, want %d", len(latent(frames)), got)
	}
}
