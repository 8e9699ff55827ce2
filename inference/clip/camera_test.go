package clip

import (
	"math"
	"slices"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
)

const bound = 1e-5

func flat(ms []Matrix) []float32 {
	var values []float32
	for _, m := range ms {
		for _, row := range m {
			values = append(values, row[:]...)
		}
	}
	return values
}

// conditioning is what a camera model is told of the first frames.
func conditioning(p *Path, frames, height, width int) []float32 {
	latent := inference.Wan.LatentFrames(frames)
	return p.Conditioning(CameraChannels, View{Frames: frames, LatentFrames: latent, Height: height, Width: width, To: latent})
}

func TestReference(t *testing.T) {
	for _, c := range golden.Cases(t, "camera_") {
		t.Run(c.Name, func(t *testing.T) {
			var s struct {
				Action    string `json:"action"`
				Requested int    `json:"requested_frames"`
				Effective int    `json:"effective_frames"`
				Height    int    `json:"height"`
				Width     int    `json:"width"`
			}
			c.Scalars(t, &s)
			p, err := OpenPath(golden.Action(t, s.Action))
			if err != nil {
				t.Fatal(err)
			}
			frames := p.EffectiveFrames(s.Requested)
			if frames != s.Effective {
				t.Fatalf("%d frames, want %d", frames, s.Effective)
			}
			check := func(name string, got []float32) {
				want, _ := c.F32(t, name)
				golden.Check(t, name, got, want, bound)
				t.Logf("%s: relative error %.2g", name, golden.RelL2(got, want))
			}
			check("interpolated", flat(p.latentPoses(frames, inference.Wan.LatentFrames(frames))))
			check("relative", flat(p.Motion(frames).Relative))
			check("plucker", conditioning(p, frames, s.Height, s.Width))
		})
	}
}

func TestEffectiveFrames(t *testing.T) {
	for poses, want := range map[int]int{1: 1, 2: 1, 4: 1, 5: 5, 8: 5, 9: 9, 80: 77, 81: 81, 200: 81} {
		p := builtin(t, "forward", poses)
		if got := p.EffectiveFrames(81); got != want {
			t.Errorf("%d poses give %d frames, want %d", poses, got, want)
		}
		conditioning(p, p.EffectiveFrames(81), 16, 8)
	}
}

func builtin(tb testing.TB, name string, frames int) *Path {
	tb.Helper()
	p, err := Builtin(name, frames)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

func TestBuiltin(t *testing.T) {
	for _, name := range BuiltinNames() {
		p := builtin(t, name, 81)
		if err := checkPoses(p.poses); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p.poses[0] != (Pose{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}}) {
			t.Errorf("%s starts at %v", name, p.poses[0])
		}
		if p.SpeedLost() || p.ZoomLost() {
			t.Errorf("%s loses speed or zoom", name)
		}
		m := p.Motion(81)
		if moves := slices.Contains([]string{"forward", "backward", "strafe-left", "strafe-right", "rise", "orbit-left", "orbit-right"}, name); (m.Scale > 0) != moves {
			t.Errorf("%s: scale %v", name, m.Scale)
		}
		for i := 1; i < len(m.Relative); i++ {
			if turn := math.Abs(math.Asin(float64(m.Relative[i][0][2]))) * 180 / math.Pi; turn > 10 {
				t.Errorf("%s turns by %.1f degrees in latent frame %d", name, turn, i)
			}
		}
	}
	if _, err := Builtin("barrel-roll", 81); err == nil {
		t.Error("an unknown path was accepted")
	}
	for _, frames := range []int{-1, 0, 1 << 40} {
		if _, err := Builtin("still", frames); err == nil {
			t.Errorf("%d frames were accepted", frames)
		}
	}
}

// TestDirections checks where built-in paths go, in the axes x right, y down, z forward.
func TestDirections(t *testing.T) {
	for name, want := range map[string][4]int{ // signs of x, y, z and heading at the end
		"still": {}, "forward": {2: 1}, "backward": {2: -1}, "strafe-left": {-1}, "strafe-right": {1}, "rise": {1: -1},
		"orbit-left": {-1, 0, 1, 1}, "orbit-right": {1, 0, 1, -1},
		"look-left": {3: -1}, "look-right": {3: 1}, "look-around": {3: 1},
	} {
		poses := builtin(t, name, 17).Motion(17).Poses()
		end := poses[len(poses)-1]
		for i, v := range [4]float32{end[0][3], end[1][3], end[2][3], end[0][2]} {
			got := 0
			if math.Abs(float64(v)) > 1e-3 {
				got = int(math.Copysign(1, float64(v)))
			}
			if got != want[i] {
				t.Errorf("%s: component %d of the end is %v, want sign %d", name, i, v, want[i])
			}
		}
	}
}

// TestSpeed checks that a path and the same path at another speed look alike to the
// model, and that the path says so.
func TestSpeed(t *testing.T) {
	p := builtin(t, "orbit-left", 33)
	fast := p.Poses()
	for i := range fast {
		for j := range 3 {
			fast[i][j][3] *= 8
		}
	}
	q, err := NewPath(fast, p.intrinsics)
	if err != nil {
		t.Fatal(err)
	}
	if p.SpeedLost() || !q.SpeedLost() {
		t.Errorf("speed lost: %v and %v, want false and true", p.SpeedLost(), q.SpeedLost())
	}
	golden.Check(t, "plucker", conditioning(q, 33, 16, 24), conditioning(p, 33, 16, 24), 1e-6)
	if ratio := q.Motion(33).Scale / p.Motion(33).Scale; math.Abs(float64(ratio)-8) > 1e-4 {
		t.Errorf("scales differ by %v, want 8", ratio)
	}
}

// TestStillElsewhere checks that a camera that stays at a far, turned pose does not
// move: rounding must not be scaled up to motion.
func TestStillElsewhere(t *testing.T) {
	sin, cos := math.Sincos(0.7)
	pose := Pose{{cos, 0, sin, 5679.9}, {0, 1, 0, -1357.1}, {-sin, 0, cos, 2044.3}, {0, 0, 0, 1}}
	p, err := NewPath(slices.Repeat([]Pose{pose}, 21), []Intrinsics{builtinIntrinsics})
	if err != nil {
		t.Fatal(err)
	}
	m := p.Motion(21)
	if m.Scale != 0 {
		t.Errorf("scale %v, want 0", m.Scale)
	}
	for i, r := range m.Relative {
		if e := golden.RelL2(flat([]Matrix{r}), flat([]Matrix{identity})); e > 1e-6 {
			t.Errorf("latent frame %d moves by %v", i, r)
		}
	}
}

// TestRay checks one ray by hand: the middle of the picture looks ahead.
func TestRay(t *testing.T) {
	const size = 16
	k := Intrinsics{400, 300, pictureWidth * 8.5 / size, pictureHeight * 8.5 / size} // the middle of pixel (8, 8)
	p, err := NewPath(builtin(t, "forward", 5).poses, []Intrinsics{k})
	if err != nil {
		t.Fatal(err)
	}
	plucker := conditioning(p, 5, size, size)
	f, pixels := 2, 4
	var ray [6]float32
	for c := range ray {
		ray[c] = plucker[(c*64*f+1)*pixels+3] // pixel (8, 8) is the first of the last latent pixel
	}
	want := [6]float32{0, 0, 1, 0, 0, 1}
	if golden.RelL2(ray[:], want[:]) > 1e-6 {
		t.Errorf("the middle ray of the second latent frame is %v, want %v", ray, want)
	}
}

func TestOrthonormal(t *testing.T) {
	r := matrix3{{1 + 4e-4, 3e-4, 0}, {0, 1, -4e-4}, {2e-4, 0, 1 - 4e-4}}.orthonormal()
	for i := range 3 {
		for j := range 3 {
			dot := r[i][0]*r[j][0] + r[i][1]*r[j][1] + r[i][2]*r[j][2]
			if i == j {
				dot--
			}
			if math.Abs(dot) > 1e-14 {
				t.Errorf("axes %d and %d: off by %v", i, j, dot)
			}
		}
	}
}

func BenchmarkPlucker(b *testing.B) {
	p := builtin(b, "orbit-left", 81)
	b.ReportAllocs()
	for b.Loop() {
		conditioning(p, 81, 480, 832)
	}
}
