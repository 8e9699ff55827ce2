package clip

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"gimbal/inference"
	"gimbal/inference/golden"
)

// causalCase are the scalars of a camera path told to a causal model.
type causalCase struct {
	Action     string `json:"action"`
	Requested  int    `json:"requested_frames"`
	Effective  int    `json:"effective_frames"`
	Chunk      int    `json:"chunk"`
	Latent     int    `json:"latent_frames"`
	Height     int    `json:"height"`
	Width      int    `json:"width"`
	Intrinsics string `json:"intrinsics"`
	Error      string `json:"error"`
}

// open opens the clip of a case.
func (s causalCase) open(t *testing.T) *Clip {
	t.Helper()
	path, err := OpenJob(inference.Job{ActionPath: filepath.Join(golden.Causal(t), "actions", s.Action), PerFrameIntrinsics: s.Intrinsics == "per frame"})
	if err != nil {
		t.Fatal(err)
	}
	frames := inference.Wan.Frames(inference.Wan.LatentFrames(s.Requested))
	c := &Clip{Size: Size{Width: s.Width, Height: s.Height}, Frames: path.EffectiveFrames(frames), Control: path}
	c.LatentFrames = inference.Wan.LatentFrames(c.Frames)
	if c.Frames != s.Effective {
		t.Fatalf("%d frames, want %d", c.Frames, s.Effective)
	}
	if err := c.Round(s.Chunk); err != nil {
		t.Fatal(err)
	}
	if c.LatentFrames != s.Latent {
		t.Fatalf("%d latent frames, want %d", c.LatentFrames, s.Latent)
	}
	return c
}

func TestCausalReference(t *testing.T) {
	for name, scalars := range golden.CausalScalars(t, "camera_") {
		t.Run(name, func(t *testing.T) {
			var s causalCase
			if err := json.Unmarshal(scalars, &s); err != nil {
				t.Fatal(err)
			}
			c := s.open(t)
			err := c.Check(CameraChannels)
			if (err != nil) != (s.Error != "") {
				t.Fatalf("error %v, want %q", err, s.Error)
			}
			if err != nil {
				return
			}
			reference := golden.CausalCases(t, name)[0]
			check := func(name string, got []float32) {
				t.Helper()
				want, _ := reference.F32(t, name)
				golden.Check(t, name, got, want, bound)
				t.Logf("%s: relative error %.2g", name, golden.RelL2(got, want))
			}
			path, view := c.Control.(*Path), c.view()
			poses := path.latentPoses(view.Frames, view.LatentFrames)
			check("interpolated", flat(poses))
			check("relative", flat(relative(poses, 0).Relative))
			var intrinsics []float32
			for _, k := range path.latentIntrinsics(view) {
				intrinsics = append(intrinsics, k[:]...)
			}
			check("intrinsics", intrinsics)
			check("plucker", c.Conditioning(CameraChannels, 0, c.LatentFrames))
			checkChunks(t, c, CameraChannels, s.Chunk)
			path.scale = path.Motion(view.Frames).Scale
			checkChunks(t, c, CameraChannels, s.Chunk)
		})
	}
}

// checkChunks checks that a control told chunk by chunk is the same as told at once.
func checkChunks(t *testing.T, c *Clip, channels, chunk int) {
	t.Helper()
	whole, pixels := c.Conditioning(channels, 0, c.LatentFrames), c.Height/8*(c.Width/8)
	for from := 0; from < c.LatentFrames; from += chunk {
		part := c.Conditioning(channels, from, from+chunk)
		for channel := range channels {
			want := whole[(channel*c.LatentFrames+from)*pixels:][:chunk*pixels]
			if got := part[channel*chunk*pixels:][:chunk*pixels]; !slices.Equal(got, want) {
				t.Fatalf("chunk at %d, channel %d: %v, want %v", from, channel, got, want)
			}
		}
	}
}

// TestActReference checks what an act model is told, which the end-to-end cases of such
// models hold.
func TestActReference(t *testing.T) {
	checked := 0
	for _, reference := range golden.CausalCases(t, "e2e_") {
		if !slices.Contains(reference.Names(), "plucker") {
			continue
		}
		tensor := reference.Tensor(t, "plucker")
		shape := tensor.Shape[len(tensor.Shape)-4:]
		if shape[0] != ActChannels {
			continue
		}
		checked++
		t.Run(reference.Name, func(t *testing.T) {
			var s causalCase
			reference.Scalars(t, &s)
			s.Height, s.Width, s.Latent, s.Chunk = shape[2]*8, shape[3]*8, shape[1], max(s.Chunk, 1)
			s.Effective = s.Requested
			c := s.open(t)
			if err := c.Check(ActChannels); err != nil {
				t.Fatal(err)
			}
			want, _ := reference.F32(t, "plucker")
			got := c.Conditioning(ActChannels, 0, c.LatentFrames)
			golden.Check(t, "plucker", got, want, bound)
			checkChunks(t, c, ActChannels, s.Chunk)
		})
	}
	if checked == 0 {
		t.Fatal("found no case of an act model")
	}
}

func TestActionStringReference(t *testing.T) {
	for _, reference := range golden.CausalCases(t, "action_string_") {
		t.Run(reference.Name, func(t *testing.T) {
			var s struct {
				Text   string `json:"action_string"`
				Padded int    `json:"padded_frames"`
			}
			reference.Scalars(t, &s)
			p, err := OpenJob(inference.Job{ActionString: s.Text})
			if err != nil {
				t.Fatal(err)
			}
			if p.Frames() != s.Padded || p.EffectiveFrames(inference.Wan.MaxFrames()) != s.Padded {
				t.Fatalf("%d frames, want %d", p.Frames(), s.Padded)
			}
			check := func(name string, got []float32) {
				t.Helper()
				want, _ := reference.F32(t, name)
				golden.Check(t, name, got, want, bound)
				t.Logf("%s: relative error %.2g", name, golden.RelL2(got, want))
			}
			var move, turn, poses []float32
			for _, k := range p.keys {
				for i := range k.Move {
					move, turn = append(move, float32(k.Move[i])), append(turn, float32(k.Turn[i]))
				}
			}
			for _, pose := range p.poses {
				for _, row := range pose {
					for _, v := range row {
						poses = append(poses, float32(v))
					}
				}
			}
			check("wasd", move)
			check("ijkl", turn)
			check("poses", poses)
			check("interpolated", flat(p.latentPoses(s.Padded, inference.Wan.LatentFrames(s.Padded))))
			check("relative", flat(p.Motion(s.Padded).Relative))
		})
	}
}

func TestActionStringErrors(t *testing.T) {
	for name, scalars := range golden.CausalScalars(t, "action_string_errors") {
		var s struct {
			Strings []struct {
				Text   string `json:"action_string"`
				Error  string `json:"error"`
				Frames int    `json:"frames"`
			} `json:"strings"`
		}
		if err := json.Unmarshal(scalars, &s); err != nil || len(s.Strings) == 0 {
			t.Fatalf("%s: %d strings, error %v", name, len(s.Strings), err)
		}
		for _, s := range s.Strings {
			keys, err := ParseActions(s.Text)
			if (err != nil) != (s.Error != "") {
				t.Errorf("%q: error %v, want %q", s.Text, err, s.Error)
			}
			if err == nil && (len(keys) < s.Frames || len(keys) > s.Frames+3 || len(keys)%4 != 1) {
				t.Errorf("%q: %d frames, want %d, or a little more that make 4n+1", s.Text, len(keys), s.Frames)
			}
			t.Logf("%q: %v", s.Text, err)
		}
	}
}
