package live

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gimbal/inference/clip"
)

// TestEven walks on a machine that is fast enough: pictures come evenly, and the next chunk is
// never made long before its pictures are due.
func TestEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, t.TempDir(), newFake(), false)
		defer r.close()
		r.Hold(forward)
		r.pass(10 * time.Second)
		looks := r.looks()
		if len(looks) < 140 || looks[0].Chunk != -1 {
			t.Fatalf("%d pictures in 10 seconds, the first of chunk %d", len(looks), looks[0].Chunk)
		}
		looks = looks[1:] // what the walk begins with
		for i, l := range looks[1:] {
			if d := l.at.Sub(looks[i].at); d != time.Second/16 {
				t.Fatalf("%v between pictures %d and %d", d, i, i+1)
			}
		}
		st := r.State()
		if st.FPS < 15.9 || st.FPS > 16.1 || st.Ahead > 1.5 || st.Phase != Walking {
			t.Errorf("%+v", st)
		}
		// A turn is seen after the pictures of at most a chunk, and the time that one takes.
		r.Hold(Input{Turn: clip.IJKL{1: 1}})
		pressed := time.Now()
		r.pass(3 * time.Second)
		var first time.Duration
		for _, l := range r.looks() {
			if l.Latency > 0 {
				first = l.at.Sub(pressed)
				break
			}
		}
		if limit := 500*time.Millisecond + 300*time.Millisecond; first <= 0 || first > limit || r.State().Latency != first {
			t.Errorf("the turn is seen after %v (state says %v), expected at most %v", first, r.State().Latency, limit)
		}
	})
}

// TestSlow walks on a machine that is too slow: chunks follow at once, also while the last one
// is decoded.
func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.make, f.takes.picture = 2*time.Second, 100*time.Millisecond
		r := newRig(t, t.TempDir(), f, false)
		defer r.close()
		r.pass(21 * time.Second)
		if n := len(r.State().Way); n != 10 {
			t.Errorf("%d chunks of 2.02 s in 20.7 s", n)
		}
	})
}

// TestSlowDecoder walks where chunks are sooner made than decoded: the decoder is never idle, and
// no chunk is made long before its turn, so that what is pressed is seen after two chunks at most.
func TestSlowDecoder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.make, f.takes.picture = 400*time.Millisecond, 125*time.Millisecond // a second a chunk
		r := newRig(t, t.TempDir(), f, false)
		defer r.close()
		for i := range 8 {
			r.pass(10*time.Second + time.Duration(i)*137*time.Millisecond)
			r.Hold([]Input{forward, {Turn: clip.IJKL{1: 1}}}[i%2])
			r.pass(5 * time.Second)
			if st := r.State(); st.Latency > 2100*time.Millisecond || st.FPS < 7.9 {
				t.Errorf("%v from key to picture, %.1f pictures a second", st.Latency, st.FPS)
			}
		}
	})
}

// TestIdle waits until somebody does something, as long as they do it.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, t.TempDir(), newFake(), true)
		defer r.close()
		r.pass(5 * time.Second)
		if st := r.State(); len(st.Way) != 0 || !st.Waiting || len(r.looks()) != 1 {
			t.Errorf("%d chunks, and nobody did anything: %+v", len(st.Way), st)
		}
		pressed := time.Now()
		r.Hold(forward)
		r.Hold(Input{}) // at once
		r.pass(5 * time.Second)
		st := r.State()
		if len(st.Way) != 1 || !st.Waiting || st.Acting.Move != forward.Move {
			t.Errorf("%d chunks of a tap: %+v", len(st.Way), st)
		}
		if looks := r.looks(); len(looks) != 5 || looks[0].at.Sub(pressed) > 300*time.Millisecond || looks[0].Latency != looks[0].at.Sub(pressed) {
			t.Errorf("%d pictures of a chunk, the first %v after the key", len(looks), looks[0].at.Sub(pressed))
		}
		r.Drag(0.1, 0)
		r.pass(5 * time.Second)
		if st := r.State(); len(st.Way) != 2 || st.Ahead != 0 {
			t.Errorf("%d chunks after a drag", len(st.Way))
		}
		r.SetIdle(false)
		r.pass(5 * time.Second)
		if n := len(r.State().Way); n < 8 {
			t.Errorf("%d chunks standing still", n)
		}
	})
}

func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, t.TempDir(), newFake(), false)
		defer r.close()
		r.pass(3 * time.Second)
		r.Pause(true)
		r.pass(time.Second) // the chunk at hand
		r.looks()
		made := len(r.State().Way)
		r.pass(10 * time.Second)
		if n := len(r.looks()); n > 0 || len(r.State().Way) != made {
			t.Errorf("%d pictures and %d chunks while paused", n, len(r.State().Way)-made)
		}
		r.Pause(false)
		r.pass(3 * time.Second)
		if n := len(r.looks()); n < 45 {
			t.Errorf("%d pictures in the 3 seconds after", n)
		}
	})
}

// TestPrompt changes the prompt: chunks go on while it is encoded, and of two the last counts.
func TestPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, t.TempDir(), f, false)
		defer r.close()
		r.pass(3 * time.Second)
		f.set(func() { f.takes.encode = 2 * time.Second })
		r.SetPrompt("night")
		r.SetPrompt("noon")
		before := len(r.State().Way)
		r.pass(time.Second)
		if st := r.State(); len(st.Way) < before+2 || !st.Encoding || st.Prompt != "a hall" {
			t.Errorf("%d chunks while a prompt is encoded: %+v", len(st.Way)-before, st)
		}
		r.pass(4 * time.Second)
		if st := r.State(); st.Encoding || st.Prompt != "noon" {
			t.Errorf("%+v", st)
		}
		r.pass(2 * time.Second)
		if p := r.promptsKept(); !slices.Equal(p, []string{"a hall", "noon"}) && !slices.Equal(p, []string{"a hall", "night", "noon"}) {
			t.Errorf("prompts of the chunks: %q", p)
		}
		r.SetPrompt("")
		r.pass(3 * time.Second)
		if st := r.State(); st.NoPrompt == nil || st.Prompt != "noon" || st.Phase != Walking {
			t.Errorf("an empty prompt: %+v", st)
		}
	})
}

// telling runs a test of a walk whose model takes a second to be told other words.
func telling(t *testing.T, test func(f *fake, r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.tell = time.Second
		r := newRig(t, t.TempDir(), f, true)
		defer r.close()
		r.walk(forward, 3*time.Second)
		test(f, r)
	})
}

// TestTell changes the prompt where the model takes its time to be told: what is pressed meanwhile
// acts in the chunk after that, and no later chunk waits.
func TestTell(t *testing.T) {
	telling(t, func(f *fake, r *rig) {
		made := len(r.State().Way)
		r.SetPrompt("night")
		r.pass(f.takes.encode + 500*time.Millisecond)
		left := Input{Turn: clip.IJKL{1: 1}}
		r.Hold(left)
		r.pass(2 * time.Second)
		if st := r.State(); st.Acting != left || r.rec.chunks[made].input != left {
			t.Errorf("pressed while the model is told: %+v", st)
		}
		if d := r.State().Latency; d <= 500*time.Millisecond || d > 900*time.Millisecond {
			t.Errorf("%v from key to picture while the model is told", d)
		}
		r.Hold(forward)
		r.pass(2 * time.Second)
		if d := r.State().Latency; d <= 0 || d > 800*time.Millisecond {
			t.Errorf("%v from key to picture afterwards", d)
		}
		for _, to := range []int{made + 1, made - 1, 0} { // the fake compares
			r.Go(to)
			r.pass(3 * time.Second)
		}
		if st := r.State(); st.Err != nil {
			t.Error(st.Err)
		}
	})
}

// TestTellTwice changes the prompt while the model is told the one before and nobody does anything:
// each acts.
func TestTellTwice(t *testing.T) {
	telling(t, func(f *fake, r *rig) {
		r.SetPrompt("night")
		r.pass(f.takes.encode + 500*time.Millisecond)
		r.SetPrompt("noon")
		r.pass(10 * time.Second)
		if p := r.promptsKept(); !slices.Equal(p, []string{"a hall", "night", "noon"}) {
			t.Errorf("prompts of the chunks: %q", p)
		}
		if st := r.State(); st.Phase != Ready {
			t.Errorf("then it is %s", st.Phase)
		}
	})
}

// TestBack goes back, another way, and to the first way again; then the program is killed
// again and again, and the walk goes on from what is there.
func TestBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		r := newRig(t, dir, newFake(), true)
		r.walk(forward, 5*time.Second)
		first := r.State().Way
		if len(first) < 8 {
			t.Fatalf("%d chunks", len(first))
		}
		r.looks()
		r.Go(3)
		r.pass(2 * time.Second)
		st := r.State()
		if looks := r.looks(); len(looks) != 1 || looks[0].Chunk != 3 || looks[0].Image.RGBAAt(0, 0).G != 3 {
			t.Errorf("%d pictures of going back to chunk 3", len(looks))
		}
		if st.At != 3 || st.Chunk != 3 || !slices.Equal(st.Way, first) || !st.Waiting {
			t.Errorf("after going back: %+v", st)
		}
		r.walk(Input{Turn: clip.IJKL{1: 1}}, 2*time.Second)
		st = r.State()
		if len(st.Ways) != 2 || st.Ways[1].Begin != len(first) || st.Way[3] != 3 || st.Way[4] != len(first) {
			t.Errorf("after another way: %+v", st)
		}
		if err := r.Rename(st.At, "to the left"); err != nil {
			t.Error(err)
		}
		tip := first[len(first)-1]
		r.Go(tip)
		r.pass(2 * time.Second)
		if err := r.Rename(2, "ahead"); err != nil {
			t.Error(err)
		}
		st = r.State()
		if st.At != tip || !slices.Equal(st.Way, first) || st.Ways[0].Name != "ahead" || st.Ways[1].Name != "to the left" {
			t.Errorf("back on the first way: %+v", st)
		}
		r.looks()
		r.Go(-1)
		r.pass(time.Second)
		if st, looks := r.State(), r.looks(); st.At != -1 || st.Chunk != -1 || len(looks) != 1 || looks[0].Image.RGBAAt(0, 0).A != 0 {
			t.Errorf("started over: %+v, %d pictures", st, len(looks))
		}
		r.close()
		checkKilled(t, dir, st.Ways)
	})
}

// TestBackIsSeen goes back by a model that takes its time: the picture is there before that.
func TestBackIsSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, t.TempDir(), f, true)
		defer r.close()
		r.walk(forward, 5*time.Second)
		r.looks()
		f.set(func() { f.takes.replay = time.Second })
		r.Go(5)
		r.pass(time.Second)
		if looks := r.looks(); len(looks) != 1 || looks[0].Chunk != 5 || r.State().Phase != Opening {
			t.Errorf("%d pictures, %s", len(looks), r.State().Phase)
		}
		r.pass(10 * time.Second)
		if looks := r.looks(); len(looks) != 0 || !r.State().Waiting {
			t.Errorf("%d pictures more, %s", len(looks), r.State().Phase)
		}
	})
}

// checkKilled cuts a walk's file everywhere and goes on from it.
func checkKilled(t *testing.T, dir string, want []Way) {
	whole, err := os.ReadFile(filepath.Join(dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	chunks := 0
	for n := len(whole); n > 400; n -= 101 {
		cut := t.TempDir()
		for name, data := range map[string][]byte{logName: whole[:n], pictureName: nil} {
			if err := os.WriteFile(filepath.Join(cut, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		kept, err := Look(cut)
		if err != nil {
			if n > 2000 {
				t.Fatalf("%d bytes: %v", n, err)
			}
			continue
		}
		chunks = max(chunks, kept.Chunks)
		if (n-2)%7 != 0 {
			continue // going on takes a moment
		}
		r := newRig(t, cut, newFake(), true)
		r.pass(3 * time.Second)
		st := r.State()
		if st.Phase != Ready || len(st.Ways) > len(want) {
			t.Fatalf("%d bytes: %+v", n, st)
		}
		r.Hold(forward)
		r.pass(time.Second)
		if now := r.State(); len(now.Way) < kept.Chunks+1 {
			t.Fatalf("%d bytes: %d chunks, then %d", n, kept.Chunks, len(now.Way))
		}
		r.close()
	}
	if chunks < 8 {
		t.Errorf("at most %d chunks were there after a kill", chunks)
	}
}

// TestInterrupted goes elsewhere while a chunk is made, and while a way is brought back.
func TestInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.make, f.takes.replay = 2*time.Second, 500*time.Millisecond
		r := newRig(t, t.TempDir(), f, false)
		defer r.close()
		r.pass(21 * time.Second)
		made := len(r.State().Way)
		begin := time.Now()
		r.Go(8)
		r.pass(time.Second) // two of nine are brought back
		if st := r.State(); st.Phase != Opening || st.Replay != 9 || st.Replayed < 1 {
			t.Errorf("%+v", st)
		}
		r.Go(1)
		for r.State().Phase == Opening || r.State().At != 1 {
			r.pass(50 * time.Millisecond)
		}
		if d := time.Since(begin); d > 2200*time.Millisecond {
			t.Errorf("back at chunk 1 after %v", d)
		}
		r.pass(3 * time.Second)
		if st := r.State(); st.Err != nil || len(st.Ways) != 2 || st.Way[2] < made {
			t.Errorf("%+v", st)
		}
	})
}

// TestFailure ends a walk by an error: what was made can be saved.
func TestFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		r := newRig(t, t.TempDir(), f, false)
		r.pass(3 * time.Second)
		f.set(func() { f.fail = errors.New("the device is gone") })
		r.pass(3 * time.Second)
		st := r.State()
		if st.Phase != Failed || !errors.Is(st.Err, f.fail) {
			t.Fatalf("%+v", st)
		}
		dir := t.TempDir()
		video, camera := filepath.Join(dir, "v.mp4"), filepath.Join(dir, "camera")
		if _, err := r.SaveVideo(t.Context(), st.At, video, "", nil); err != nil {
			t.Error(err)
		}
		if err := r.SaveCamera(st.At, camera); err != nil {
			t.Error(err)
		}
		if err := r.SaveCamera(st.At, camera); err == nil {
			t.Error("an action folder was written over")
		}
		path, err := clip.OpenPath(camera)
		if want := f.Shape().Frames(len(st.Way)); err != nil || path.Frames() != want || path.Last() != r.path.Last() {
			t.Errorf("a path of %d poses, want %d, %v", path.Frames(), want, err)
		}
		r.close()
		if _, err := r.SaveVideo(t.Context(), st.At, video, "", nil); err == nil {
			t.Error("saved after the session was closed")
		}
	})
}

// TestLatencyAfterOpening presses a key while the walk is still opened, first anew and then going
// back: what counts begins when it can act.
func TestLatencyAfterOpening(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFake()
		f.takes.encode, f.takes.replay = 5*time.Second, 2*time.Second
		r := newRig(t, t.TempDir(), f, true)
		defer r.close()
		for range 2 {
			r.pass(time.Second)
			if phase := r.State().Phase; phase != Opening {
				t.Fatalf("it is %s, want %s", phase, Opening)
			}
			r.Hold(forward)
			r.pass(6 * time.Second)
			if d := r.State().Latency; d < 200*time.Millisecond || d > 300*time.Millisecond {
				t.Errorf("%v from the end of the opening to a picture, want one chunk's time", d)
			}
			r.Hold(Input{})
			r.pass(2 * time.Second)
			r.Go(1)
		}
	})
}

// TestLatency presses keys after a while of nothing: what counts is the press.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, t.TempDir(), newFake(), true)
		defer r.close()
		r.Hold(forward)
		r.pass(3 * time.Second)
		r.Hold(Input{})
		r.pass(20 * time.Second)
		r.Hold(forward)
		r.pass(2 * time.Second)
		if d := r.State().Latency; d <= 0 || d > 300*time.Millisecond {
			t.Errorf("%v after a pause", d)
		}
		before := r.State().Latency
		r.Hold(Input{})
		r.pass(5 * time.Second)
		r.SetPrompt("a cellar")
		r.pass(2 * time.Second)
		if d := r.State().Latency; d != before {
			t.Errorf("%v from letting go to the chunk that new words ask for", d)
		}
		r.Hold(forward)
		r.pass(2 * time.Second)
		r.Go(0)
		r.pass(20 * time.Second)
		r.Hold(Input{})
		r.Hold(Input{Turn: clip.IJKL{1: 1}})
		r.pass(5 * time.Second)
		if d := r.State().Latency; d > 900*time.Millisecond {
			t.Errorf("%v after going back", d)
		}
	})
}
