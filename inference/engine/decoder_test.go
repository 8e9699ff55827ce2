package engine_test

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference"
	"gimbal/inference/device"
	"gimbal/inference/engine"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

// smallDecoder writes a small decoder of random weights for a latent of so many channels.
func smallDecoder(t *testing.T, path string, channels int) {
	t.Helper()
	sizes := weights.TAEHVSizes{Channels: channels, Levels: [3]weights.TAEHVLevelSize{{Channels: 8, Grown: 8}, {Channels: 8, Grown: 16}, {Channels: 4, Grown: 8}}, Last: 4}
	if err := weights.WriteTemporary(path, sizes.Table().Random(t.Context(), device.F32), nil); err != nil {
		t.Fatal(err)
	}
}

func TestSmallDecoder(t *testing.T) {
	p := load(t, golden.Checkpoint(t))
	job := quick(t)
	dir := t.TempDir()
	generate := func(job inference.Job) (video []byte, preview image.Rectangle, err error) {
		job.Output = filepath.Join(t.TempDir(), "video.mp4")
		_, err = p.Generate(t.Context(), job, "", func(e inference.Event) {
			if e, ok := e.(inference.Step); ok {
				if len(e.Preview) != (job.Frames-1)/4+1 {
					t.Errorf("%d previews", len(e.Preview))
				}
				preview = e.Preview[0].Bounds()
			}
		})
		if err == nil {
			video = read(t, job.Output)
		}
		return video, preview, err
	}
	full, before, err := generate(job)
	if err != nil {
		t.Fatal(err)
	}
	job.DecoderPath = filepath.Join(dir, "taew2_1.safetensors")
	smallDecoder(t, job.DecoderPath, 16)
	same, preview, err := generate(job)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(same, full) {
		t.Error("a decoder for previews changes the video")
	}
	if preview.Dx() != 4*before.Dx() || preview.Dy() != 4*before.Dy() {
		t.Errorf("previews of %v, want four times %v", preview, before)
	}
	job.Decoder = inference.DecoderTiny
	tiny, _, err := generate(job)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(tiny, full) {
		t.Error("the small decoder makes the VAE's video")
	}
	// A VAE of fewer channels is a small decoder, too.
	job.DecoderPath = filepath.Join(golden.Checkpoint(t), "Wan2.1_VAE.pth")
	if same, _, err = generate(job); err != nil || !bytes.Equal(same, full) {
		t.Errorf("the VAE as the small decoder: another video, error %v", err)
	}
	for _, c := range []struct {
		name string
		file func(path string)
		want string
	}{
		{"none", func(string) {}, "no such file"},
		{"of another model", func(path string) { smallDecoder(t, path, 48) }, "48"},
		{"no decoder", func(path string) { os.WriteFile(path, []byte("hello, this is no model"), 0o600) }, "bad.safetensors"},
	} {
		job.DecoderPath = filepath.Join(t.TempDir(), "bad.safetensors")
		c.file(job.DecoderPath)
		_, _, err := generate(job)
		if errs := inference.SettingErrors(err); len(errs) != 1 || errs[0].Setting != "decoder_path" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one of decoder_path that says %q", c.name, err, c.want)
		}
	}
	job.DecoderPath = ""
	if _, _, err := generate(job); err == nil || !strings.Contains(err.Error(), "taew2_1") {
		t.Errorf("none given: error %v", err)
	}
}

// TestSmallDecoderUnasked goes without a decoder that lies with the checkpoint and is none,
// and says so.
func TestSmallDecoderUnasked(t *testing.T) {
	dir := linked(t, golden.Checkpoint(t))
	if err := os.WriteFile(filepath.Join(dir, "taew2_1.pth"), []byte("hello, this is no model"), 0o600); err != nil {
		t.Fatal(err)
	}
	said := false
	_, err := load(t, dir).Generate(t.Context(), quick(t), "", func(e inference.Event) {
		if n, ok := e.(inference.Notice); ok {
			said = said || n.About == inference.NoticeDecoder && strings.Contains(n.Text, "taew2_1.pth")
		}
	})
	if err != nil || !said {
		t.Errorf("error %v, said %v", err, said)
	}
}

// TestSmallDecoderFound takes the decoder that lies with the checkpoint.
func TestSmallDecoderFound(t *testing.T) {
	dir := linked(t, golden.Checkpoint(t))
	smallDecoder(t, filepath.Join(dir, "lighttaew2_1.safetensors"), 16)
	dev := openDevice(t)
	p, err := engine.Load(t.Context(), dev, dir, inference.QuantNone, func(inference.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	job := quick(t)
	job.Decoder = inference.DecoderTiny
	comparePlanned(t, dev, p, job)
}
