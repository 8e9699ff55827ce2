package video

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gimbal/inference/video/internal/openh264"

	"github.com/Eyevinn/mp4ff/avc"
	"github.com/Eyevinn/mp4ff/mp4"
)

// writeVideo writes the frames that next makes and returns the file's path.
func writeVideo(t testing.TB, opts Options, frames int, next func(i int) *image.RGBA) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "clip.mp4")
	w, err := Create(path, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	for i := range frames {
		if err := w.WriteFrame(next(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// readVideo parses a file and cuts its samples out by the index alone.
func readVideo(t testing.TB, path string) (*mp4.TrakBox, [][]byte) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := mp4.DecodeFile(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	if f.IsFragmented() {
		t.Error("the file is fragmented")
	}
	var order []string
	for _, box := range f.Children {
		order = append(order, box.Type())
	}
	if got := strings.Join(order, " "); got != "ftyp moov mdat" {
		t.Errorf("boxes %q, want the index before the samples", got)
	}
	stbl := f.Moov.Trak.Mdia.Minf.Stbl
	if len(stbl.Stco.ChunkOffset) != 1 || len(stbl.Stsc.Entries) != 1 ||
		stbl.Stsc.Entries[0].SamplesPerChunk != stbl.Stsz.SampleNumber {
		t.Fatalf("chunks %v, runs %v, want one chunk of all samples", stbl.Stco.ChunkOffset, stbl.Stsc.Entries)
	}
	var samples [][]byte
	at := int(stbl.Stco.ChunkOffset[0])
	for _, n := range stbl.Stsz.SampleSize {
		samples = append(samples, data[at:at+int(n)])
		at += int(n)
	}
	if at != len(data) {
		t.Errorf("samples end at %d of %d bytes", at, len(data))
	}
	return f.Moov.Trak, samples
}

// decode decodes the samples as a player does, from the index's parameter sets.
func decode(t testing.TB, trak *mp4.TrakBox, samples [][]byte, each func(i int, frame *image.YCbCr)) {
	t.Helper()
	d, err := openh264.NewDecoder()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	avcC := trak.Mdia.Minf.Stbl.Stsd.AvcX.AvcC
	var unit []byte
	for _, nalu := range append(avcC.SPSnalus, avcC.PPSnalus...) {
		unit = append(append(unit, 0, 0, 0, 1), nalu...)
	}
	for i, sample := range samples {
		nalus, err := avc.GetNalusFromSample(sample)
		if err != nil {
			t.Fatalf("sample %d: %v", i, err)
		}
		for _, nalu := range nalus {
			unit = append(append(unit, 0, 0, 0, 1), nalu...)
		}
		frame, err := d.Decode(unit)
		if err != nil {
			t.Fatalf("sample %d: %v", i, err)
		}
		each(i, frame)
		unit = unit[:0]
	}
}

func TestVideo(t *testing.T) {
	for _, c := range []struct{ frames, width, height, fps int }{
		{1, 832, 480, 16}, {5, 240, 416, 16}, {41, 128, 80, 16}, {81, 48, 32, 16}, {33, 34, 50, 24},
	} {
		t.Run(fmt.Sprintf("%dx%dx%d", c.frames, c.width, c.height), func(t *testing.T) {
			s := newScene(7)
			frames := make([]*image.RGBA, c.frames)
			for i := range frames {
				frames[i] = s.frame(c.width, c.height, i)
			}
			path := writeVideo(t, Options{Width: c.width, Height: c.height, FPS: c.fps}, c.frames,
				func(i int) *image.RGBA { return frames[i] })
			trak, samples := readVideo(t, path)
			checkIndex(t, trak, samples, c.frames, c.width, c.height, c.fps)

			worstY, worstRGB := math.Inf(1), math.Inf(1)
			want := image.NewYCbCr(image.Rect(0, 0, c.width, c.height), image.YCbCrSubsampleRatio420)
			decode(t, trak, samples, func(i int, got *image.YCbCr) {
				toYCbCr(want, frames[i])
				worstY = min(worstY, psnr(got.Y, want.Y))
				worstRGB = min(worstRGB, psnrRGB(toRGB(got), frames[i]))
			})
			t.Logf("worst frame: %.1f dB in luma, %.1f dB in RGB", worstY, worstRGB)
			if worstY < 42 || worstRGB < 38 { // halved chroma alone costs RGB some dB
				t.Errorf("worst frame has %.1f dB in luma, %.1f dB in RGB, want 42 and 38", worstY, worstRGB)
			}
		})
	}
}

func checkIndex(t *testing.T, trak *mp4.TrakBox, samples [][]byte, frames, width, height, fps int) {
	t.Helper()
	if len(samples) != frames {
		t.Fatalf("%d samples, want %d", len(samples), frames)
	}
	stbl := trak.Mdia.Minf.Stbl
	timescale := uint64(trak.Mdia.Mdhd.Timescale)
	if timescale%uint64(fps) != 0 || trak.Mdia.Mdhd.Duration*uint64(fps) != uint64(frames)*timescale ||
		trak.Tkhd.Duration != trak.Mdia.Mdhd.Duration {
		t.Errorf("track of %d, media of %d units at %d a second, want %d frames at %d a second",
			trak.Tkhd.Duration, trak.Mdia.Mdhd.Duration, timescale, frames, fps)
	}
	for i := range frames {
		at, dur := stbl.Stts.GetDecodeTime(uint32(i + 1))
		if at*uint64(fps) != uint64(i)*timescale || uint64(dur)*uint64(fps) != timescale {
			t.Fatalf("sample %d at %d for %d units", i, at, dur)
		}
	}
	if stbl.Ctts != nil {
		t.Error("composition offsets without reordered frames")
	}
	entry := stbl.Stsd.AvcX
	if int(entry.Width) != width || int(entry.Height) != height ||
		int(trak.Tkhd.Width>>16) != width || int(trak.Tkhd.Height>>16) != height {
		t.Errorf("size %dx%d, shown at %dx%d, want %dx%d", entry.Width, entry.Height,
			trak.Tkhd.Width>>16, trak.Tkhd.Height>>16, width, height)
	}
	checkStream(t, entry, samples, stbl.Stss.SampleNumber, fps)
}

func checkStream(t *testing.T, entry *mp4.VisualSampleEntryBox, samples [][]byte, syncs []uint32, fps int) {
	t.Helper()
	var colour *mp4.ColrBox
	for _, box := range entry.Children {
		if c, ok := box.(*mp4.ColrBox); ok {
			colour = c
		}
	}
	if colour == nil || colour.ColorPrimaries != 1 || colour.TransferCharacteristics != 1 ||
		colour.MatrixCoefficients != 1 || colour.FullRangeFlag {
		t.Errorf("colr box %+v, want limited-range BT.709", colour)
	}
	sps, err := avc.ParseSPSNALUnit(entry.AvcC.SPSnalus[0], true)
	if err != nil {
		t.Fatal(err)
	}
	vui := sps.VUI
	if vui == nil || vui.VideoFullRangeFlag || vui.ColourPrimaries != 1 || vui.TransferCharacteristics != 1 ||
		vui.MatrixCoefficients != 1 || vui.MaxNumReorderFrames != 0 {
		t.Errorf("VUI %+v, want limited-range BT.709 without reordering", vui)
	}
	if sps.Profile != 66 || sps.ChromaFormatIDC != 1 || uint32(entry.AvcC.AVCProfileIndication) != sps.Profile {
		t.Errorf("profile %d, chroma %d", sps.Profile, sps.ChromaFormatIDC)
	}

	isSync := map[int]bool{}
	for _, n := range syncs {
		isSync[int(n-1)] = true
	}
	last := -1
	for i, sample := range samples {
		types := avc.FindNaluTypes(sample)
		if len(types) != 1 || avc.IsIDRSample(sample) != isSync[i] {
			t.Fatalf("sample %d holds %v, listed as key frame %v", i, types, isSync[i])
		}
		if isSync[i] {
			last = i
		}
		if last < 0 || i-last >= keySeconds*fps {
			t.Fatalf("sample %d: last key frame at %d", i, last)
		}
		if n := int(binary.BigEndian.Uint32(sample)); n != len(sample)-4 {
			t.Fatalf("sample %d of %d bytes holds a unit of %d", i, len(sample), n)
		}
	}
}

// TestColours holds the conversion to BT.709's own numbers for flat colours.
func TestColours(t *testing.T) {
	for _, c := range []struct {
		rgb       color.RGBA
		y, cb, cr uint8
	}{
		{color.RGBA{0, 0, 0, 255}, 16, 128, 128},
		{color.RGBA{255, 255, 255, 255}, 235, 128, 128},
		{color.RGBA{128, 128, 128, 255}, 126, 128, 128},
		{color.RGBA{255, 0, 0, 255}, 63, 102, 240},
		{color.RGBA{0, 255, 0, 255}, 173, 42, 26},
		{color.RGBA{0, 0, 255, 255}, 32, 240, 118},
	} {
		flat := image.NewRGBA(image.Rect(0, 0, 32, 16))
		draw.Draw(flat, flat.Rect, image.NewUniform(c.rgb), image.Point{}, draw.Src)
		yuv := image.NewYCbCr(flat.Rect, image.YCbCrSubsampleRatio420)
		toYCbCr(yuv, flat)
		for name, p := range map[string]struct {
			got  []byte
			want uint8
		}{"Y": {yuv.Y, c.y}, "Cb": {yuv.Cb, c.cb}, "Cr": {yuv.Cr, c.cr}} {
			for _, v := range p.got {
				if v != p.want {
					t.Fatalf("%v: %s is %d, want %d", c.rgb, name, v, p.want)
				}
			}
		}
		path := writeVideo(t, Options{Width: 32, Height: 16, FPS: 16}, 3, func(int) *image.RGBA { return flat })
		trak, samples := readVideo(t, path)
		decode(t, trak, samples, func(i int, got *image.YCbCr) {
			p := toRGB(got).RGBAAt(17, 9)
			for _, d := range []int{int(p.R) - int(c.rgb.R), int(p.G) - int(c.rgb.G), int(p.B) - int(c.rgb.B)} {
				if d < -3 || d > 3 {
					t.Fatalf("frame %d is %v, want %v", i, p, c.rgb)
				}
			}
		})
	}
}

// TestNoise writes frames that take more bits than openh264 has room for.
func TestNoise(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	flat := image.NewRGBA(image.Rect(0, 0, 320, 192))
	path := writeVideo(t, Options{Width: 320, Height: 192, FPS: 16}, 9, func(i int) *image.RGBA {
		if i < 2 {
			return flat
		}
		return noise(320, 192, rng)
	})
	trak, samples := readVideo(t, path)
	frames := 0
	decode(t, trak, samples, func(int, *image.YCbCr) { frames++ })
	if frames != 9 {
		t.Errorf("%d frames, want 9", frames)
	}
}

func TestFromFloat(t *testing.T) {
	values := []float32{-1, 1, 0, -3, 7, float32(math.NaN()), -0.996, float32(math.Inf(-1)), 0.9999}
	want := []uint8{0, 255, 127, 0, 255, 0, 0, 0, 254} // trunc((x+1)/2*255)
	img := image.NewRGBA(image.Rect(0, 0, 3, 3))
	FromFloat(img, values, values, values)
	for i, w := range want {
		if p := img.RGBAAt(i%3, i/3); p != (color.RGBA{w, w, w, 255}) {
			t.Errorf("%v became %v, want %d", values[i], p, w)
		}
	}
}

func TestBadOptions(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		opts Options
		want string
	}{
		{Options{Width: 33, Height: 32, FPS: 16}, "even"},
		{Options{Width: 32, Height: 8, FPS: 16}, "at least 16x16"},
		{Options{Width: 32, Height: 32}, "frames a second"},
		{Options{Width: 40000, Height: 40000, FPS: 16}, "40000x40000"},
	} {
		_, err := Create(filepath.Join(dir, "x.mp4"), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: error %v, want one with %q", c.opts, err, c.want)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestFrameSize(t *testing.T) {
	w, err := Create(filepath.Join(t.TempDir(), "x.mp4"), Options{Width: 32, Height: 32, FPS: 16})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Abort()
	err = w.WriteFrame(image.NewRGBA(image.Rect(0, 0, 32, 30)))
	if err == nil || !strings.Contains(err.Error(), "32x30") {
		t.Errorf("error %v", err)
	}
	if err := w.Close(); err == nil || !strings.Contains(err.Error(), "no frame") {
		t.Errorf("a video without frames: %v", err)
	}
}

// TestFFmpeg lets an independent decoder judge, where there is one.
func TestFFmpeg(t *testing.T) {
	ffprobe, err := exec.LookPath("ffprobe")
	if err != nil {
		t.Skip("no ffprobe")
	}
	s := newScene(1)
	path := writeVideo(t, Options{Width: 128, Height: 96, FPS: 16}, 41, func(i int) *image.RGBA { return s.frame(128, 96, i) })
	cmd := exec.Command(ffprobe, "-v", "warning", "-count_frames", "-of", "default=nw=1", "-show_entries",
		"stream=codec_name,pix_fmt,color_range,color_space,color_primaries,color_transfer,avg_frame_rate,nb_read_frames,duration", path)
	var warnings bytes.Buffer
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil || warnings.Len() > 0 {
		t.Fatalf("%v: %s", err, &warnings)
	}
	for _, want := range []string{"codec_name=h264", "pix_fmt=yuv420p", "color_range=tv", "color_space=bt709",
		"color_transfer=bt709", "color_primaries=bt709", "avg_frame_rate=16/1", "nb_read_frames=41", "duration=2.562500"} {
		if !strings.Contains(string(out), want+"\n") {
			t.Errorf("no %s in\n%s", want, out)
		}
	}
}

func BenchmarkWriteFrame(b *testing.B) {
	s := newScene(1)
	frames := make([]*image.RGBA, 8)
	for i := range frames {
		frames[i] = s.frame(832, 480, i)
	}
	w, err := Create(filepath.Join(b.TempDir(), "x.mp4"), Options{Width: 832, Height: 480, FPS: 16})
	if err != nil {
		b.Fatal(err)
	}
	defer w.Abort()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		k := i % (2*len(frames) - 2) // forth and back
		if err := w.WriteFrame(frames[min(k, 2*len(frames)-2-k)]); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "frames/s")
}
