package clip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
)

// npyOf makes an .npy file of float64 values.
func npyOf(shape string, values ...float64) []byte {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(v))
	}
	return npyFile(1, "<f8", false, shape, data)
}

// values returns poses row by row, of so many rows each.
func values(poses []Pose, rows int) (all []float64) {
	for _, p := range poses {
		for _, row := range p[:rows] {
			all = append(all, row[:]...)
		}
	}
	return all
}

// folder writes files to a new folder, whose path it returns.
func folder(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, data := range files {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestForms opens the same path as other tools write it.
func TestForms(t *testing.T) {
	whole := builtin(t, "orbit-left", 9)
	poses, want := whole.poses, conditioning(whole, 9, 16, 24)
	whole44, k := npyOf("9, 4, 4", values(poses, 4)...), whole.intrinsics[0]
	k4 := npyOf("4,", k[:]...)
	matrix := []float64{k[0], 0, k[2], 0, k[1], k[3], 0, 0, 1}
	matrix34 := []float64{k[0], 0, k[2], 0, 0, k[1], k[3], 0, 0, 0, 1, 0}
	matrix4 := []float64{k[0], 0, k[2], 0, 0, k[1], k[3], 0, 0, 0, 1, 0, 0, 0, 0, 1}
	half := func(values ...float64) (data []byte) {
		for _, v := range values { // whole numbers up to 2048
			exponent := int(math.Log2(v))
			data = binary.LittleEndian.AppendUint16(data, uint16((exponent+15)<<10)|uint16((v/math.Exp2(float64(exponent))-1)*1024))
		}
		return data
	}
	ints := func(values ...float64) (data []byte) {
		for _, v := range values {
			data = binary.LittleEndian.AppendUint32(data, uint32(int32(v)))
		}
		return data
	}
	scaled := make([]Pose, len(poses))
	rounded, rounded3 := make([]Pose, len(poses)), make([]Pose, len(poses))
	for i, p := range poses {
		scaled[i], rounded[i], rounded3[i] = p, p, p
		for r := range 3 {
			for c := range 3 {
				scaled[i][r][c] *= 2.5
				rounded[i][r][c] = math.Round(p[r][c]*100) / 100
				rounded3[i][r][c] = math.Round(p[r][c]*1000) / 1000
			}
		}
	}
	for _, c := range []struct {
		name    string
		files   map[string][]byte
		open    string // in the folder
		note    NoteAbout
		closely float64 // how near the same; 0 for the same
	}{
		{"poses alone", map[string][]byte{"poses.npy": whole44}, "", NoteIntrinsicsGuessed, 0},
		{"[n,3,4] and [4]", map[string][]byte{"poses.npy": npyOf("9, 3, 4", values(poses, 3)...), "intrinsics.npy": k4}, "", "", 0},
		{"[1,n,4,4] and [1,4]", map[string][]byte{"poses.npy": npyOf("1, 9, 4, 4", values(poses, 4)...), "intrinsics.npy": npyOf("1, 4", k[:]...)}, "", "", 0},
		{"[n,1,4,4] and [1,1,4]", map[string][]byte{"poses.npy": npyOf("9, 1, 4, 4", values(poses, 4)...), "intrinsics.npy": npyOf("1, 1, 4", k[:]...)}, "", "", 0},
		{"[3,3]", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("3, 3", matrix...)}, "", "", 0},
		{"[n,3,3]", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("9, 3, 3", slices.Repeat(matrix, 9)...)}, "", "", 0},
		{"[1,n,3,3]", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("1, 9, 3, 3", slices.Repeat(matrix, 9)...)}, "", "", 0},
		{"[4,4]", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("4, 4", matrix4...)}, "", "", 0},
		{"[n,4,4]", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("9, 4, 4", slices.Repeat(matrix4, 9)...)}, "", "", 0},
		{"[n,16] and [n,3,4]", map[string][]byte{"poses.npy": npyOf("9, 16", values(poses, 4)...), "intrinsics.npy": npyOf("9, 3, 4", slices.Repeat(matrix34, 9)...)}, "", "", 0},
		{"[n,12]", map[string][]byte{"poses.npy": npyOf("9, 12", values(poses, 3)...), "intrinsics.npy": k4}, "", "", 0},
		{"four rows", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("4, 4", slices.Repeat(k[:], 4)...)}, "", "", 0},
		{"float16", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyFile(1, "<f2", false, "4,", half(k[:]...))}, "", "", 0},
		{"integers", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyFile(1, "<i4", false, "1, 4", ints(k[:]...))}, "", "", 0},
		{"upper case", map[string][]byte{"POSES.NPY": whole44, "Intrinsics.Npy": k4}, "", "", 0},
		{"Finder's files", map[string][]byte{"poses.npy": whole44, "._poses.npy": []byte("x"), ".DS_Store": nil, "intrinsics.npy": k4}, "", "", 0},
		{"a file of the folder", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": k4}, "intrinsics.npy", "", 0},
		{"another file of the folder", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": k4, "depth.npy": nil}, "depth.npy", "", 0},
		{"the folder above", map[string][]byte{"take 1/poses.npy": whole44, "take 1/intrinsics.npy": k4, "notes/x.txt": nil}, "", "", 0},
		{"scaled rotations", map[string][]byte{"poses.npy": npyOf("9, 4, 4", values(scaled, 4)...), "intrinsics.npy": k4}, "", NoteScaledRotations, 1e-6},
		{"rounded rotations", map[string][]byte{"poses.npy": npyOf("9, 4, 4", values(rounded, 4)...), "intrinsics.npy": k4}, "", NoteNearestRotations, 0.01},
		{"rotations of three decimals", map[string][]byte{"poses.npy": npyOf("9, 4, 4", values(rounded3, 4)...), "intrinsics.npy": k4}, "", NoteNearestRotations, 0.001},
		{"intrinsics of another size", map[string][]byte{"poses.npy": whole44, "intrinsics.npy": npyOf("4,", 800, 800, 640, 360)}, "", NoteOffCentre, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, err := OpenPath(filepath.Join(folder(t, c.files), c.open))
			if err != nil {
				t.Fatal(err)
			}
			if e := golden.RelL2(conditioning(p, 9, 16, 24), want); !(e <= c.closely) {
				t.Errorf("off by %g, want at most %g", e, c.closely)
			}
			var notes []NoteAbout
			for _, n := range p.Notes(9) {
				notes = append(notes, n.About)
			}
			if c.note == "" && len(notes) > 0 || c.note != "" && !slices.Equal(notes, []NoteAbout{c.note}) {
				t.Errorf("noted %v, want %q", notes, c.note)
			}
		})
	}
}

func TestSeveralFolders(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"one", "two"} {
		if err := builtin(t, "forward", 5).Write(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := OpenPath(dir); err == nil || !strings.Contains(err.Error(), "one, two") {
		t.Errorf("error %v, want one that names the folders", err)
	}
	if _, err := OpenPath(t.TempDir()); !errors.Is(err, ErrNoControl) {
		t.Errorf("an empty folder: %v", err)
	}
}

// jumping is a path with a step of so many units before a frame, of steps of one unit.
func jumping(t *testing.T, frame int, units float64) *Path {
	t.Helper()
	poses := builtin(t, "forward", 41).Poses()
	for i := range poses {
		poses[i][2][3] = float64(i)
		if i >= frame {
			poses[i][0][3] = units
		}
	}
	p, err := NewPath(poses, []Intrinsics{builtinIntrinsics})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestJump(t *testing.T) {
	for _, frame := range []int{1, 4, 18, 40} {
		p := jumping(t, frame, 100)
		jumps := p.Jumps(41)
		if len(jumps) != 1 || jumps[0].Frame != frame || jumps[0].Times < 20 {
			t.Fatalf("jump at %d: found %v", frame, jumps)
		}
		if notes := p.Notes(41); len(notes) != 2 || !strings.Contains(notes[0].Text, fmt.Sprintf("frame %d,", frame)) {
			t.Errorf("noted %v, want the frame %d", notes, frame)
		}
		even := p.Even(41)
		if found := even.Jumps(41); found != nil {
			t.Errorf("evened out, it still jumps: %v", found)
		}
		before, after := p.Motion(41).Relative, even.Motion(41).Relative
		if v := max(before[1][2][3], before[5][2][3]); v > 0.1 {
			t.Fatalf("before, the others are %v long", v)
		}
		if v := max(after[1][2][3], after[5][2][3]); v < 0.7 {
			t.Errorf("evened out, the others are %v long", v)
		}
		if frame == 40 {
			if p.Jumps(37) != nil {
				t.Error("a jump after the last frame is told")
			}
		}
	}
	astray := builtin(t, "forward", 29).Poses() // one pose
	for i := range astray {
		astray[i][2][3] = float64(i)
	}
	astray[16][0][3] = 80
	p, err := NewPath(astray, []Intrinsics{builtinIntrinsics})
	if err != nil {
		t.Fatal(err)
	}
	if jumps := p.Jumps(29); len(jumps) != 2 || jumps[0].Frame != 16 || jumps[1].Frame != 17 {
		t.Errorf("one pose astray: jumps %v, want 16 and 17", jumps)
	}
	if even := p.Even(29); even.Jumps(29) != nil || math.Abs(even.poses[28][0][3]) > 1e-9 {
		t.Errorf("evened out, it ends at %v", even.poses[28])
	}
	for _, name := range BuiltinNames() {
		if p := builtin(t, name, 81); p.Jumps(81) != nil || p.Even(81) != p {
			t.Errorf("%s jumps", name)
		}
	}
	if p := jumping(t, 18, 3); p.Jumps(41) != nil {
		t.Error("a step of three times the others is a jump")
	}
}

// TestWay checks that a person can tell from the words that axes or directions are wrong.
func TestWay(t *testing.T) {
	turn := posesOf(slices.Concat(slices.Repeat([]Keys{{Move: WASD{1}}}, 40), slices.Repeat([]Keys{{Turn: IJKL{3: 1}}}, 20), slices.Repeat([]Keys{{Move: WASD{3: 1}}}, 20)))
	inverted, flipped := slices.Clone(turn), slices.Clone(turn)
	for i, p := range turn {
		r := rotation(&p)
		for j := range 3 {
			inverted[i][j][3] = 0
			for k := range 3 {
				inverted[i][j][k] = r[k][j]
				inverted[i][j][3] -= r[k][j] * p[k][3]
			}
			flipped[i][j][1], flipped[i][j][2] = -p[j][1], -p[j][2]
		}
	}
	for _, c := range []struct {
		name  string
		poses []Pose
		want  string
	}{
		{"camera to world", turn, "forward 2, then turns right 40°, then right 1"},
		{"world to camera", inverted, "backward 2, then right 1.39, then turns left 40°"},
		{"OpenGL's axes", flipped, "backward 2, then turns left 40°, then right 1"},
		{"rest", turn[:1], "stays where it is"},
	} {
		p, err := NewPath(c.poses, []Intrinsics{builtinIntrinsics})
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Way(p.EffectiveFrames(81)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	for name, want := range map[string]string{
		"forward": "forward 20", "rise": "up 20", "strafe-left": "left 20", "look-right": "turns right 80°", "still": "stays where it is",
		"look-around": "turns right 25°, then turns left 50°",
	} {
		if got := builtin(t, name, 81).Way(81); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// TestKeys checks where keys are read from, and which models they steer.
func TestKeys(t *testing.T) {
	rows := func(row ...float64) []byte { return npyOf("9, 4", slices.Repeat(row, 9)...) }
	forward, turn := rows(1, 0, 0, 0), rows(0, 0, 0, 1)
	poses := npyOf("9, 4, 4", values(builtin(t, "strafe-left", 9).poses, 4)...)
	for _, c := range []struct {
		name  string
		files map[string][]byte
		job   inference.Job
		way   string // "" for an error
		act   bool   // an act model can be told
	}{
		{"poses and keys", map[string][]byte{posesFile: poses, actionFile: forward}, inference.Job{}, "left 2", true},
		{"poses, keys preferred", map[string][]byte{posesFile: poses, wasdFile: forward, ijklFile: turn}, inference.Job{AllowAct2Cam: true}, "forward 0.4", true},
		{"poses, keys not preferred", map[string][]byte{posesFile: poses, wasdFile: forward, ijklFile: turn}, inference.Job{}, "left 2", false},
		{"keys alone", map[string][]byte{wasdFile: forward}, inference.Job{}, "forward 0.4", true},
		{"turns alone", map[string][]byte{ijklFile: turn}, inference.Job{}, "turns right 18°", true},
		{"action.npy alone", map[string][]byte{actionFile: forward}, inference.Job{}, "forward 0.4", true},
		{"a string and a folder", map[string][]byte{posesFile: poses}, inference.Job{ActionString: "s-9"}, "backward 0.4", true},
		{"a string and intrinsics", map[string][]byte{intrinsicsFile: npyOf("4,", 500, 500, 416, 240)}, inference.Job{ActionString: "s-9"}, "backward 0.4", true},
		{"no keys to prefer", map[string][]byte{posesFile: poses}, inference.Job{AllowAct2Cam: true}, "", false},
		{"intrinsics alone", map[string][]byte{intrinsicsFile: npyOf("4,", 500, 500, 416, 240)}, inference.Job{}, "", false},
		{"three keys", map[string][]byte{wasdFile: npyOf("9, 3", make([]float64, 27)...)}, inference.Job{}, "", false},
		{"NaN keys", map[string][]byte{wasdFile: rows(math.NaN(), 0, 0, 0)}, inference.Job{}, "", false},
		{"too few keys", map[string][]byte{posesFile: poses, actionFile: npyOf("3, 4", make([]float64, 12)...)}, inference.Job{}, "left 2", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.job.ActionPath = folder(t, c.files)
			p, err := OpenJob(c.job)
			if err != nil || c.way == "" {
				if (err == nil) != (c.way != "") {
					t.Errorf("error %v, want %q", err, c.way)
				}
				return
			}
			if got := p.Way(9); !strings.HasPrefix(got, c.way) {
				t.Errorf("%q, want %q", got, c.way)
			}
			if p.EffectiveFrames(81) != 9 {
				t.Errorf("%d frames, want 9", p.EffectiveFrames(81))
			}
			if err := p.Check(CameraChannels, 9); err != nil {
				t.Error(err)
			}
			if err := p.Check(ActChannels, 9); (err == nil) != c.act {
				t.Errorf("for an act model: %v", err)
			}
			if p.Check(1, 9) == nil {
				t.Error("a model of one channel is told")
			}
		})
	}
}

// TestVipe opens ViPE's results of the reference cases in every way that names them.
func TestVipe(t *testing.T) {
	dir := filepath.Join(golden.FormatsDir(t), "vipe")
	want := conditioning(open(t, golden.Action(t, "forward")), 9, 16, 24)
	poses, err := filepath.Glob(filepath.Join(dir, vipePoseFolder, "*.npz"))
	if err != nil || len(poses) != 1 {
		t.Fatalf("found %v, error %v", poses, err)
	}
	for _, path := range []string{dir, filepath.Dir(poses[0]), poses[0], filepath.Join(dir, vipeIntrinsicsFolder), filepath.Join(dir, vipeIntrinsicsFolder, filepath.Base(poses[0])), filepath.Dir(dir)} {
		golden.Check(t, path, conditioning(open(t, path), 9, 16, 24), want, bound)
	}
	// The copies that a run keeps are the same path.
	s, err := Find(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for name, path := range s.Files {
		if files[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	golden.Check(t, "copies", conditioning(open(t, folder(t, files)), 9, 16, 24), want, bound)
}

func open(t *testing.T, path string) *Path {
	t.Helper()
	p, err := OpenPath(path)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
