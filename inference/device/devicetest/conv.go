package devicetest

import (
	"bytes"
	"context"
	"fmt"

	"gimbal/inference/device"
)

type convCase struct {
	t, h, w, cin, cout int // of X and the results' channels
	kt, kh, kw         int
	strideT, stride    int
	padH, padW         int
	outT, outH, outW   int // 0: all that the strides allow
	up                 bool
	prev               int  // frames before X that are not black, the last ones
	hole               bool // the last of them is black
	bias, add, inPlace bool
	x, wt, y           device.DType
}

func conv(t T, s suite) {
	for _, c := range []convCase{
		{t: 1, h: 1, w: 1, cin: 1, cout: 1, kt: 1, kh: 1, kw: 1},
		{t: 1, h: 5, w: 7, cin: 3, cout: 4, kt: 1, kh: 1, kw: 1, bias: true},
		{t: 3, h: 4, w: 3, cin: 17, cout: 33, kt: 1, kh: 1, kw: 1, add: true},
		{t: 2, h: 5, w: 7, cin: 3, cout: 4, kt: 1, kh: 3, kw: 3, padH: 1, padW: 1, bias: true},
		{t: 3, h: 6, w: 5, cin: 5, cout: 3, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, bias: true},
		{t: 3, h: 6, w: 5, cin: 5, cout: 3, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 1, add: true},
		{t: 2, h: 6, w: 5, cin: 8, cout: 9, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, inPlace: true, bias: true},
		{t: 1, h: 1, w: 9, cin: 2, cout: 16, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1},
		{t: 1, h: 9, w: 1, cin: 2, cout: 16, kt: 2, kh: 3, kw: 3, padH: 1, padW: 1, prev: 1},
		{t: 4, h: 3, w: 3, cin: 7, cout: 6, kt: 3, kh: 1, kw: 1, prev: 2, bias: true},
		{t: 3, h: 3, w: 3, cin: 7, cout: 6, kt: 3, kh: 1, kw: 1, prev: 2, hole: true},
		{t: 3, h: 3, w: 3, cin: 99, cout: 6, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, hole: true},
		{t: 5, h: 3, w: 3, cin: 7, cout: 6, kt: 3, kh: 1, kw: 1, strideT: 2, prev: 2, bias: true},
		{t: 4, h: 3, w: 4, cin: 7, cout: 6, kt: 2, kh: 1, kw: 1, strideT: 3, outT: 2, prev: 1},
		{t: 2, h: 8, w: 9, cin: 4, cout: 5, kt: 1, kh: 3, kw: 3, stride: 2, outH: 4, outW: 5, bias: true},
		{t: 1, h: 7, w: 6, cin: 4, cout: 5, kt: 1, kh: 3, kw: 3, stride: 2, padH: 1, padW: 1, outH: 4, outW: 3},
		{t: 2, h: 4, w: 5, cin: 6, cout: 3, kt: 1, kh: 3, kw: 3, padH: 1, padW: 1, up: true, bias: true},
		{t: 2, h: 3, w: 4, cin: 6, cout: 3, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, up: true, prev: 2, add: true},
		{t: 1, h: 5, w: 5, cin: 3, cout: 2, kt: 1, kh: 2, kw: 4, padH: 1, padW: 2, outH: 6, outW: 6},
		{t: 1, h: 9, w: 9, cin: 3, cout: 2, kt: 1, kh: 5, kw: 3, padH: 2, padW: 0, outH: 7, outW: 5},
		{t: 1, h: 9, w: 9, cin: 3, cout: 2, kt: 1, kh: 1, kw: 1, stride: 2, outH: 5, outW: 4},
		{t: 1, h: 6, w: 6, cin: 3, cout: 2, kt: 1, kh: 1, kw: 1, outH: 5, outW: 4},
		{t: 1, h: 37, w: 41, cin: 40, cout: 130, kt: 1, kh: 3, kw: 3, padH: 1, padW: 1, bias: true},
		{t: 2, h: 13, w: 15, cin: 96, cout: 96, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, inPlace: true},
		{t: 3, h: 5, w: 6, cin: 97, cout: 8, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1},
		{t: 2, h: 5, w: 6, cin: 97, cout: 8, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 1, bias: true},
		{t: 1, h: 20, w: 21, cin: 3, cout: 96, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, bias: true},
		{t: 1, h: 20, w: 21, cin: 96, cout: 3, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, bias: true},
	} {
		s.conv(t, c)
	}
	s.on(packed).conv(t, convCase{t: 2, h: 9, w: 11, cin: 20, cout: 40, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, bias: true})
	s.on(packed).conv(t, convCase{t: 1, h: 5, w: 6, cin: 12, cout: 70, kt: 1, kh: 1, kw: 1, add: true})
	for _, cin := range []int{12, 11} {
		s.on(atEnd).conv(t, convCase{t: 2, h: 4, w: 5, cin: cin, cout: 40, kt: 1, kh: 1, kw: 1})
		s.on(atEnd).conv(t, convCase{t: 2, h: 4, w: 5, cin: cin, cout: 5, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2})
	}
	for _, x := range floats {
		for _, w := range floats {
			for _, y := range floats {
				s.conv(t, convCase{t: 2, h: 4, w: 5, cin: 6, cout: 7, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, prev: 2, bias: true, inPlace: true, x: x, wt: w, y: y})
				s.conv(t, convCase{t: 2, h: 4, w: 5, cin: 6, cout: 7, kt: 1, kh: 1, kw: 1, bias: true, x: x, wt: w, y: y})
			}
		}
	}
}

// complete fills in what a case leaves to be understood.
func (c convCase) complete() convCase {
	for _, d := range []*device.DType{&c.x, &c.wt, &c.y} {
		if *d == 0 {
			*d = device.F32
		}
	}
	c.strideT, c.stride = max(c.strideT, 1), max(c.stride, 1)
	h, w := c.h, c.w
	if c.up {
		h, w = 2*h, 2*w
	}
	if c.outT == 0 {
		c.outT = (c.t-1)/c.strideT + 1
	}
	if c.outH == 0 {
		c.outH, c.outW = h, w
	}
	return c
}

// frames views rows of a matrix, with its gaps, as frames.
func (x *tensor) frames(h, w int) device.Frames {
	if x == nil {
		return device.Frames{}
	}
	return device.Frames{Buf: x.Buf, DType: x.DType, Offset: x.Offset, T: x.Rows, H: h, W: w, C: x.Cols / (h * w), FrameStride: x.Stride}
}

func (s suite) conv(t T, c convCase) {
	t.Run(fmt.Sprintf("%+v", c), func(t T) {
		c, r := c.complete(), s.rig(t)
		x, w := r.mat(c.x, c.t, c.h*c.w*c.cin), r.mat(c.wt, c.cout, c.cin*c.kt*c.kh*c.kw)
		var before [2]*tensor
		for i := range c.prev {
			before[1-i] = r.mat(c.x, 1, x.Cols)
		}
		if c.hole {
			before[1] = nil
		}
		var bias, add *tensor
		if c.bias {
			bias = r.mat(device.F32, 1, c.cout)
		}
		if c.add || c.inPlace {
			add = r.mat(c.y, c.outT, c.outH*c.outW*c.cout)
		}
		y := add
		if c.inPlace {
			y = r.over(add)
		} else {
			y = r.out(c.y, c.outT, c.outH*c.outW*c.cout)
		}
		op := c.op(w, bias)
		op.X, op.Y, op.Add = x.frames(c.h, c.w), y.frames(c.outH, c.outW), add.frames(c.outH, c.outW)
		op.Prev = [2]device.Frames{before[0].frames(c.h, c.w), before[1].frames(c.h, c.w)}
		must := c.x == device.F32 && c.y == device.F32 && c.wt == device.F32
		if !r.do(must, func(e device.Encoder) { e.Record(op) }) {
			return
		}
		r.check(y, c.want(x, w, bias, add, before), s.opts.Product)
	})
}

func (c convCase) op(w, bias *tensor) device.Conv {
	return device.Conv{
		W: w.Mat, Bias: bias.maybe(), KT: c.kt, KH: c.kh, KW: c.kw, StrideT: c.strideT, Stride: c.stride,
		PadH: c.padH, PadW: c.padW, Upsample: c.up,
	}
}

// want is the convolution by its definition.
func (c convCase) want(x, w, bias, add *tensor, before [2]*tensor) []float64 {
	up := 1
	if c.up {
		up = 2
	}
	pixel := func(t, i, j int) []float64 {
		frame := x
		if t < 0 {
			frame, t = before[2+t], 0
		}
		if frame == nil || i < 0 || j < 0 || i >= up*c.h || j >= up*c.w {
			return nil
		}
		return frame.v[((t*c.h+i/up)*c.w+j/up)*c.cin:][:c.cin]
	}
	taps := c.kt * c.kh * c.kw
	want := make([]float64, 0, c.outT*c.outH*c.outW*c.cout)
	for n := range c.outT * c.outH * c.outW {
		t, i, j := n/(c.outH*c.outW), n/c.outW%c.outH, n%c.outW
		for o := range c.cout {
			sum := bias.at(0, o, 0)
			if add != nil {
				sum += add.v[n*c.cout+o]
			}
			for tap := range taps {
				dt, di, dj := tap/(c.kh*c.kw), tap/c.kw%c.kh, tap%c.kw
				for k, v := range pixel(t*c.strideT-(c.kt-1)+dt, i*c.stride-c.padH+di, j*c.stride-c.padW+dj) {
					sum += v * w.v[o*w.Cols+k*taps+tap]
				}
			}
			want = append(want, sum)
		}
	}
	return want
}

// convFrames checks that a frame has the same bits however many frames a call
// covers, and whatever the frames before the first are passed as.
func convFrames(t T, s suite) {
	for _, c := range []convCase{
		{t: 7, h: 9, w: 11, cin: 24, cout: 40, kt: 3, kh: 3, kw: 3, padH: 1, padW: 1, bias: true, inPlace: true},
		{t: 7, h: 5, w: 6, cin: 33, cout: 18, kt: 3, kh: 1, kw: 1, bias: true},
		{t: 7, h: 21, w: 30, cin: 48, cout: 70, kt: 1, kh: 1, kw: 1},
		{t: 7, h: 5, w: 4, cin: 10, cout: 12, kt: 1, kh: 3, kw: 3, padH: 1, padW: 1, up: true},
		{t: 7, h: 8, w: 10, cin: 7, cout: 12, kt: 1, kh: 3, kw: 3, stride: 2, outH: 4, outW: 5},
	} {
		t.Run(fmt.Sprintf("%+v", c), func(t T) {
			c, r := c.complete(), s.rig(t)
			x, w := r.mat(c.x, c.t, c.h*c.w*c.cin), r.mat(c.wt, c.cout, c.cin*c.kt*c.kh*c.kw)
			var bias *tensor
			if c.bias {
				bias = r.mat(device.F32, 1, c.cout)
			}
			start := r.normal(c.t * c.outH * c.outW * c.cout)
			run := func(lengths ...int) []byte {
				y := r.matOf(c.y, c.t, c.outH*c.outW*c.cout, start)
				y.free = true
				r.do(true, func(e device.Encoder) {
					from := 0
					for _, n := range lengths {
						e.Record(c.part(x, w, bias, y, from, n))
						from += n
					}
				})
				return r.rows(y)
			}
			whole := run(c.t)
			for _, lengths := range [][]int{{1, 1, 1, 1, 1, 1, 1}, {1, 4, 2}, {2, 5}, {6, 1}} {
				if i := mismatch(run(lengths...), whole); i >= 0 {
					t.Errorf("frames by %v differ from %d at once, first at element %d", lengths, c.t, i/4)
				}
			}
		})
	}
}

// part is the convolution of n frames from frame from on.
func (c convCase) part(x, w, bias, y *tensor, from, n int) device.Conv {
	op := c.op(w, bias)
	in, out := x.frames(c.h, c.w), y.frames(c.outH, c.outW)
	op.X, op.Y = in.Range(from, from+n), out.Range(from, from+n)
	for i := 1; i < c.kt && i <= from; i++ {
		op.Prev[2-i] = in.Range(from-i, from-i+1)
	}
	if c.inPlace {
		op.Add = op.Y
	}
	return op
}

// rows returns the bytes of x without the gaps.
func (r *rig) rows(x *tensor) []byte {
	now := make([]byte, len(x.raw))
	if err := r.dev.Read(context.Background(), now, x.Buf); err != nil {
		r.Fatal(err)
	}
	var b bytes.Buffer
	size := x.DType.Size()
	for i := range x.Rows {
		b.Write(now[(x.Offset+i*x.Stride)*size:][:x.Cols*size])
	}
	return b.Bytes()
}
