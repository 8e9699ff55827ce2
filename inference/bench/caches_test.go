package bench

import (
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
)

// walking is a video of noise that moves by a pixel a frame, or stands still.
func walking(frames, height, width, step int) []float32 {
	rnd := rand.New(rand.NewPCG(1, 2))
	still := make([]float32, height*(width+frames))
	for i := range still {
		still[i] = 2*rnd.Float32() - 1
	}
	video := make([]float32, 0, 3*frames*height*width)
	for range 3 {
		for f := range frames {
			for y := range height {
				at := y*(width+frames) + f*step
				video = append(video, still[at:at+width]...)
			}
		}
	}
	return video
}

func TestVideoMeasures(t *testing.T) {
	const frames, height, width = 5, 24, 32
	moving, standing := walking(frames, height, width, 1), walking(frames, height, width, 0)
	if m := motion(standing, frames); m != 0 {
		t.Errorf("a video that stands still moves by %g", m)
	}
	if m := motion(moving, frames); math.Abs(m-2.0/3) > 0.05 { // of two values in [-1, 1]
		t.Errorf("moves by %g, want about 0.67", m)
	}
	if s := ssim(moving, moving, frames, height, width); math.Abs(s-1) > 1e-9 {
		t.Errorf("SSIM of the same is %g", s)
	}
	if s := ssim(standing, moving, frames, height, width); s > 0.4 || s < 0.15 { // the first of five frames is the same
		t.Errorf("SSIM of others is %g", s)
	}
	dark := make([]float32, len(moving))
	for i, v := range moving {
		dark[i] = v*0.9 - 0.1
	}
	if s := ssim(dark, moving, frames, height, width); s < 0.9 || s > 0.999 {
		t.Errorf("SSIM of a little darker is %g", s)
	}
}

// TestRecommended recommends no cache that freezes the picture, however fast and near it is.
func TestRecommended(t *testing.T) {
	plain := CachesRow{Faster: 1, PSNR: maxPSNR, MotionKept: 1}
	good := CachesRow{Cache: "easycache", Value: "0.05,6", Faster: 1.5, PSNR: 38, MotionKept: 0.97}
	fast := CachesRow{Cache: "magcache", Value: "0.06,2,0.1", Faster: 2, PSNR: 31, MotionKept: 0.9}
	blurred := CachesRow{Cache: "easycache", Value: "0.2,6", Faster: 3, PSNR: 25, MotionKept: 0.95}
	still := CachesRow{Cache: "teacache", Value: "0.3,own", Faster: 4, PSNR: 35, MotionKept: 0.1, Frozen: true}
	for _, c := range []struct {
		rows []CachesRow
		want *Trial
		says string
	}{
		{[]CachesRow{plain, good, fast, blurred}, &Trial{"magcache", "0.06,2,0.1"}, "--magcache 0.06,2,0.1 is recommended"},
		{[]CachesRow{plain, still}, nil, "with teacache 0.3,own and its like the picture freezes: 10 % of the motion is left"},
		{[]CachesRow{plain, good, still}, &Trial{"easycache", "0.05,6"}, "freezes"},
		{[]CachesRow{plain, blurred}, nil, "none is recommended"},
		{[]CachesRow{plain, {Cache: "easycache", Value: "0.01,6", Faster: 0.98, PSNR: 60, MotionKept: 1}}, nil, "none is recommended"},
	} {
		got := recommended(c.rows)
		if text := recommendation(c.rows, got); !reflect.DeepEqual(got, c.want) || !strings.Contains(text, c.says) {
			t.Errorf("recommended %v, want %v: %s", got, c.want, text)
		}
	}
}
