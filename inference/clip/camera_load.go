package clip

import (
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"gimbal/inference"
)

// OpenPath is OpenJob for a camera path alone.
func OpenPath(path string) (*Path, error) { return OpenJob(inference.Job{ActionPath: path}) }

// OpenJob reads the camera path and the keys that a job names, by its settings: nil for
// none. Paths are as Find finds them; errors name the file, what was found and what was
// expected.
func OpenJob(job inference.Job) (*Path, error) {
	if job.ActionPath == "" && job.ActionString == "" {
		return nil, nil
	}
	var keys []Keys
	var s Source
	var err error
	if job.ActionString != "" {
		if keys, err = ParseActions(job.ActionString); err != nil {
			return nil, &inference.SettingError{Setting: "action_string", Mistake: inference.Unusable, Err: err}
		}
	}
	if job.ActionPath != "" {
		if s, err = Find(job.ActionPath); err != nil {
			return nil, fmt.Errorf("camera: %w", err)
		}
	}
	p := &Path{perFrame: job.PerFrameIntrinsics, scale: float32(job.CameraScale)}
	if err := p.read(s, keys, job.AllowAct2Cam); err != nil {
		return nil, fmt.Errorf("camera: %w", err)
	}
	if job.EvenJumps && job.Frames > 0 {
		return p.Even(p.EffectiveFrames(job.Frames)), nil
	}
	return p, nil
}

// read fills p with what the files of a source say. Poses are made of keys where these are
// given, where they are preferred, and where there is nothing else.
func (p *Path) read(s Source, keys []Keys, preferKeys bool) (err error) {
	hasKeys := s.Files[wasdFile] != "" || s.Files[ijklFile] != ""
	hasPoses := s.Files[posesFile] != "" || s.Files[vipePoses] != ""
	switch {
	case keys != nil:
	case hasKeys && (preferKeys || !hasPoses):
		keys, err = readKeys(s, wasdFile, ijklFile)
	case preferKeys && hasPoses:
		return fmt.Errorf("%s: found neither %s nor %s, expected the keys that the path is to be made of", s.Path, wasdFile, ijklFile)
	case hasPoses:
		if err = p.readPoses(s); err == nil && s.Files[actionFile] != "" {
			p.keys, err = readKeys(s, actionFile, "")
		}
	case s.Files[actionFile] != "":
		keys, err = readKeys(s, actionFile, "")
	default:
		return fmt.Errorf("%s: found %s alone, expected %s [n,4,4] or keys beside it", s.Path, intrinsicsFile, posesFile)
	}
	if err != nil {
		return err
	}
	if keys != nil {
		p.keys, p.fromKeys, p.poses = keys, true, posesOf(keys)
	}
	return p.readIntrinsics(s)
}

// readKeys reads the keys in files of a source, of which one may be missing.
func readKeys(s Source, move, turn string) ([]Keys, error) {
	var arrays [2]*array
	for i, name := range []string{move, turn} {
		file := s.Files[name]
		if file == "" {
			continue
		}
		a, err := readNPY(file)
		if err != nil {
			return nil, err
		}
		if _, err := fours(a); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		arrays[i] = &a
	}
	keys, err := asKeys(arrays[0], arrays[1])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Path, err)
	}
	return keys, nil
}

func (p *Path) readPoses(s Source) (err error) {
	file := s.Files[posesFile]
	if file == "" {
		file = s.Files[vipePoses]
	}
	a, inds, err := readArray(file)
	if err == nil {
		p.poses, err = p.asPoses(a)
		if err == nil && inds != nil {
			p.poses, err = p.fillPoses(p.poses, inds)
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
	}
	return err
}

func (p *Path) readIntrinsics(s Source) error {
	file := s.Files[intrinsicsFile]
	ofVideo := file == "" && s.Files[vipeIntrinsics] != ""
	if ofVideo {
		file = s.Files[vipeIntrinsics]
	}
	if file == "" {
		p.intrinsics = []Intrinsics{builtinIntrinsics}
		k := builtinIntrinsics
		p.note(NoteIntrinsicsGuessed, nil, "no intrinsics: taken as fx, fy, cx, cy = %v, %v, %v, %v of %dx%d", k[0], k[1], k[2], k[3], pictureWidth, pictureHeight)
		return nil
	}
	a, inds, err := readArray(file)
	if err == nil {
		p.intrinsics, err = asIntrinsics(a)
		if err == nil && ofVideo {
			p.scaleIntrinsics()
		}
		if err == nil && inds != nil {
			p.intrinsics = fill(p.intrinsics, inds, func(a, b Intrinsics, t float64) (k Intrinsics) {
				for i := range k {
					k[i] = a[i] + t*(b[i]-a[i])
				}
				return k
			})
		}
		if err == nil {
			err = checkIntrinsics(p.intrinsics[0])
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
	}
	if err == nil && !ofVideo {
		p.noteOffCentre()
	}
	return err
}

// readArray reads the array of an .npy or .npz file, and the frames that its rows are of
// where an .npz says them.
func readArray(file string) (a array, inds []int, err error) {
	if strings.EqualFold(filepath.Ext(file), ".npz") {
		z, err := readNPZ(file)
		if err == nil {
			a, err = z.data()
		}
		if err == nil && len(a.shape) > 0 {
			inds, err = z.inds(a.shape[0])
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
		return a, inds, err
	}
	a, err = readNPY(file)
	return a, nil, err
}

// squeeze leaves out dimensions of 1 as long as more than rank are left.
func squeeze(shape []int, rank int) []int {
	shape = slices.Clone(shape)
	for len(shape) > rank {
		at := slices.Index(shape, 1)
		if at < 0 {
			break
		}
		shape = slices.Delete(shape, at, at+1)
	}
	return shape
}

// asPoses reads poses [n,4,4] or [n,3,4], one of them, a batch of one path, or their rows one
// after the other, [n,16] or [n,12].
func (p *Path) asPoses(a array) ([]Pose, error) {
	shape := squeeze(a.shape, 3)
	if len(shape) == 2 && (shape[1] == 16 || shape[1] == 12) {
		shape = []int{shape[0], shape[1] / 4, 4}
	}
	if len(shape) == 2 {
		shape = append([]int{1}, shape...)
	}
	if len(shape) != 3 || shape[2] != 4 || shape[1] != 3 && shape[1] != 4 {
		return nil, fmt.Errorf("found the shape %v, expected [n 4 4] or [n 3 4]", a.shape)
	}
	rows := shape[1]
	poses := make([]Pose, shape[0])
	for i := range poses {
		poses[i][3][3] = 1
		for r := range rows {
			copy(poses[i][r][:], a.values[4*(i*rows+r):])
		}
	}
	return poses, p.mendPoses(poses)
}

// asIntrinsics reads fx fy cx cy, [n,4] or [4], or the matrices that hold them, [n,3,3].
func asIntrinsics(a array) ([]Intrinsics, error) {
	if shape := squeeze(a.shape, 2); len(shape) == 2 || len(shape) == 3 {
		rows, columns := shape[len(shape)-2], shape[len(shape)-1]
		matrix := rows == columns || len(shape) == 3 && columns == rows+1
		if all := asMatrices(a.values, rows, columns); matrix && all != nil {
			return all, nil
		}
		if matrix && (len(shape) == 3 || rows == 3) {
			return nil, fmt.Errorf("found the shape %v and matrices whose last row is not 0 0 1 (are they transposed?), expected fx 0 cx, 0 fy cy, 0 0 1", a.shape)
		}
	}
	rows, err := fours(a)
	if err != nil {
		return nil, fmt.Errorf("found the shape %v, expected [n 4]: fx fy cx cy, or [n 3 3]", a.shape)
	}
	if len(rows) == 0 {
		return nil, errors.New("found no intrinsics, expected at least one row of fx fy cx cy")
	}
	all := make([]Intrinsics, len(rows))
	for i, row := range rows {
		all[i] = Intrinsics(row)
	}
	return all, nil
}

// asMatrices reads camera matrices [n,3,3], [n,3,4] or [n,4,4]; nil if they are none.
func asMatrices(values []float64, rows, columns int) (all []Intrinsics) {
	if rows != 3 && rows != 4 || columns < rows || columns > 4 {
		return nil
	}
	n := columns
	for m := range slices.Chunk(values, rows*n) {
		if rows == 4 && !slices.Equal(m[12:], []float64{0, 0, 0, 1}) || m[2*n] != 0 || m[2*n+1] != 0 || math.Abs(m[2*n+2]-1) > 1e-3 {
			return nil
		}
		all = append(all, Intrinsics{m[0], m[n+1], m[2], m[n+2]})
	}
	return all
}

// fours reads rows of four values: [n,4], [4] or [1,n,4].
func fours(a array) ([][4]float64, error) {
	shape := squeeze(a.shape, 2)
	if len(shape) == 1 {
		shape = append([]int{1}, shape...)
	}
	if len(shape) != 2 || shape[1] != 4 {
		return nil, fmt.Errorf("found the shape %v, expected [n 4]", a.shape)
	}
	rows := make([][4]float64, shape[0])
	for i := range rows {
		rows[i] = [4]float64(a.values[4*i:])
	}
	return rows, nil
}

// fillPoses puts poses on the frames inds and those between them evenly on the way.
func (p *Path) fillPoses(poses []Pose, inds []int) ([]Pose, error) {
	filled := fill(poses, inds, between)
	if gaps := len(filled) - len(poses); gaps > 0 {
		p.note(NoteGaps, map[string]any{"N": gaps}, "%d frames have no pose: they lie between those around them", gaps)
	}
	return filled, nil
}

// fill returns a value for every frame from the first of inds to the last.
func fill[T any](values []T, inds []int, between func(a, b T, t float64) T) []T {
	filled := make([]T, 0, inds[len(inds)-1]-inds[0]+1)
	for i, v := range values {
		if i > 0 {
			gap := inds[i] - inds[i-1]
			for k := 1; k < gap; k++ {
				filled = append(filled, between(values[i-1], v, float64(k)/float64(gap)))
			}
		}
		filled = append(filled, v)
	}
	return filled
}

// centred is how many pixels from the middle of a picture its optical centre is at most
// where the picture is of the reference's size.
const centred = 1

// scaleIntrinsics turns intrinsics in pixels of a video of any size into those of the
// reference's picture. The size is not said: the optical centre is the middle, nearly.
func (p *Path) scaleIntrinsics() {
	width, height := 2*p.intrinsics[0][2], 2*p.intrinsics[0][3]
	if !(width > 0 && height > 0) || p.isCentred() {
		return
	}
	for i := range p.intrinsics {
		for j, scale := range [4]float64{pictureWidth / width, pictureHeight / height, pictureWidth / width, pictureHeight / height} {
			p.intrinsics[i][j] *= scale
		}
	}
	p.note(NoteIntrinsicsScaled, map[string]any{"Width": math.Round(width), "Height": math.Round(height)},
		"the intrinsics are of a video of %.0fx%.0f, as their optical centre says: scaled to %dx%d", width, height, pictureWidth, pictureHeight)
}

// isCentred reports whether the optical centre is about in the middle of the reference's
// picture.
func (p *Path) isCentred() bool {
	k := p.intrinsics[0]
	return math.Abs(k[2]-pictureWidth/2) <= centred && math.Abs(k[3]-pictureHeight/2) <= centred
}

// farCentre is how far from the middle an optical centre hardly ever is.
const farCentre = 0.15

func (p *Path) noteOffCentre() {
	k := p.intrinsics[0]
	if math.Abs(k[2]-pictureWidth/2) > farCentre*pictureWidth || math.Abs(k[3]-pictureHeight/2) > farCentre*pictureHeight {
		p.note(NoteOffCentre, map[string]any{"X": k[2], "Y": k[3]},
			"the optical centre %.4g, %.4g is far from the middle of %dx%d: intrinsics for another size must be scaled to this one", k[2], k[3], pictureWidth, pictureHeight)
	}
}
