package vae

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"gimbal/inference/weights"
)

// finder finds layers in a checkpoint and collects what is wrong with it. Of a
// tensor that is missing it takes no sizes, so one fault gives one error.
type finder struct {
	store  *weights.Store
	loader *weights.Loader
	names  []string // sorted
	errs   []error
}

func findNetwork(ctx context.Context, store *weights.Store, loader *weights.Loader) (network, error) {
	f := &finder{store: store, loader: loader, names: store.Names()}
	mu, back := f.conv("conv1", 0, 1, 1, 1), f.conv("conv2", 0, 1, 1, 1)
	z := back.out
	f.expect("conv2.weight", back.in, z, "inputs, as many as outputs")
	f.expect("conv1.weight", mu.in, 2*z, "inputs, twice the outputs of conv2")
	f.expect("conv1.weight", mu.out, 2*z, "outputs, twice those of conv2")

	encoder, down := f.half(ctx, "encoder", "downsamples", 3, 2*z)
	decoder, up := f.half(ctx, "decoder", "upsamples", z, 3)
	if by := max(down.space, down.time); down.space < 1 || down.time < 1 || by > maxScale {
		f.fault("encoder.downsamples", "too many layers that reduce", fmt.Sprintf("a reduction by at most %d", maxScale))
	}
	if down != up && f.err() == nil {
		f.fault("decoder.upsamples", fmt.Sprintf("pictures enlarged by %d and time by %d", up.space, up.time),
			fmt.Sprintf("%d and %d, as the encoder reduces them", down.space, down.time))
	}
	if err := errors.Join(ctx.Err(), f.err()); err != nil {
		return network{}, err
	}
	mu.out, mu.w.Out = z, z // the other half is the logarithm of the variance
	mu.w.Data, mu.bias = mu.w.Data.RowRange(0, z), mu.bias.ColRange(0, z)
	return network{
		encoder:  append(encoder, &pointwise{"conv1", mu}),
		decoder:  append([]layer{&pointwise{"conv2", back}}, decoder...),
		channels: z,
		stride:   down.space, strideT: down.time,
	}, nil
}

// maxScale keeps the sizes of pictures within reason.
const maxScale = 1 << 10

// scale is how much layers change the size of pictures and the number of frames.
type scale struct{ space, time int }

// half finds the encoder or the decoder, from in channels to out.
func (f *finder) half(ctx context.Context, name, samples string, in, out int) (layers []layer, by scale) {
	first := f.conv(name+".conv1", in, 3, 3, 3)
	layers = append(layers, &causal{name: name + ".conv1", conv: first})
	c := first.out
	by = scale{1, 1}
	sections := []string{"middle", samples}
	if samples == "downsamples" {
		slices.Reverse(sections)
	}
	for _, section := range sections {
		var found []layer
		found, c = f.section(ctx, name+"."+section, c, samples == "upsamples", &by)
		layers = append(layers, found...)
	}
	norm := f.norm(name+".head.0.gamma", c)
	last := f.conv(name+".head.2", c, 3, 3, 3)
	f.expect(name+".head.2.weight", last.out, out, "outputs")
	return append(layers, &causal{name: name + ".head", norm: &norm, conv: last}), by
}

// section finds the layers numbered 0, 1, ... under prefix, the first with c
// channels, and returns the channels of the last one's output.
func (f *finder) section(ctx context.Context, prefix string, c int, up bool, by *scale) ([]layer, int) {
	var layers []layer
	for i := 0; ctx.Err() == nil; i++ {
		name := prefix + "." + strconv.Itoa(i)
		switch {
		case f.any(name + ".residual."):
			r := f.residual(name, c)
			layers, c = append(layers, r), r.conv2.out
		case f.any(name+".to_qkv.") || f.any(name+".proj."):
			layers = append(layers, f.attention(name, c))
		case f.any(name+".resample.") || f.any(name+".time_conv."):
			var found []layer
			if up {
				found, c = f.upsample(name, c, by)
			} else {
				found, c = f.downsample(name, c, by)
			}
			layers = append(layers, found...)
		case f.any(name + "."):
			f.fault(name, "a layer of an unknown kind", "residual, to_qkv or resample weights")
		default:
			if !f.complete(prefix, i) {
				c = 0
			}
			return layers, c
		}
	}
	return layers, c
}

// complete reports whether the n layers found under prefix are all there are, and
// complains if not.
func (f *finder) complete(prefix string, n int) bool {
	at, _ := slices.BinarySearch(f.names, prefix+".")
	for _, name := range f.names[at:] {
		rest, ok := strings.CutPrefix(name, prefix+".")
		if !ok {
			break
		}
		number, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); err != nil || i >= n {
			f.fault(fmt.Sprintf("%s.%d", prefix, n), "no tensors", fmt.Sprintf("a layer, as there is %q", name))
			return false
		}
	}
	if n == 0 {
		f.fault(prefix+".0", "no tensors", "the first layer")
	}
	return n > 0
}

func (f *finder) residual(name string, c int) *residual {
	l := &residual{name: name}
	l.norm1 = f.norm(name+".residual.0.gamma", c)
	l.conv1 = f.conv(name+".residual.2", c, 3, 3, 3)
	l.norm2 = f.norm(name+".residual.3.gamma", l.conv1.out)
	l.conv2 = f.conv(name+".residual.6", l.conv1.out, 3, 3, 3)
	if f.any(name+".shortcut.") || c != l.conv2.out && c != 0 && l.conv2.out != 0 {
		l.shortcut = f.conv(name+".shortcut", c, 1, 1, 1)
		f.expect(name+".shortcut.weight", l.shortcut.out, l.conv2.out, "outputs")
	}
	return l
}

func (f *finder) attention(name string, c int) *attention {
	l := &attention{name: name}
	l.norm = f.norm(name+".norm.gamma", c)
	l.qkv = f.conv(name+".to_qkv", c, 1, 1)
	f.expect(name+".to_qkv.weight", l.qkv.out, 3*c, "outputs, three times the channels")
	l.proj = f.conv(name+".proj", c, 1, 1)
	f.expect(name+".proj.weight", l.proj.out, c, "outputs")
	return l
}

func (f *finder) upsample(name string, c int, by *scale) (layers []layer, out int) {
	if f.any(name + ".time_conv.") {
		time := f.conv(name+".time_conv", c, 3, 1, 1)
		f.expect(name+".time_conv.weight", time.out, 2*c, "outputs, twice the channels")
		layers = append(layers, &temporalUpsample{name + ".time_conv", time})
		by.time *= 2
	}
	space := f.conv(name+".resample.1", c, 3, 3)
	by.space *= 2
	return append(layers, &spatialUpsample{name + ".resample", space}), space.out
}

func (f *finder) downsample(name string, c int, by *scale) (layers []layer, out int) {
	space := f.conv(name+".resample.1", c, 3, 3)
	by.space *= 2
	layers = append(layers, &spatialDownsample{name + ".resample", space})
	out = space.out
	if f.any(name + ".time_conv.") {
		time := f.conv(name+".time_conv", out, 3, 1, 1)
		f.expect(name+".time_conv.weight", time.out, out, "outputs")
		layers = append(layers, &temporalDownsample{name + ".time_conv", time})
		by.time *= 2
	}
	return layers, out
}

// any reports whether a tensor's name starts with prefix.
func (f *finder) any(prefix string) bool {
	i, _ := slices.BinarySearch(f.names, prefix)
	return i < len(f.names) && strings.HasPrefix(f.names[i], prefix)
}

// conv loads a convolution of in channels, any for 0, with a kernel of two or
// three dimensions.
func (f *finder) conv(name string, in int, kernel ...int) *conv {
	c := &conv{in: in, kt: 1}
	t, err := f.store.Tensor(name + ".weight")
	if err != nil {
		f.errs = append(f.errs, err)
		f.need(name + ".bias")
		return c
	}
	want := append([]int{0, in}, kernel...)
	fits := len(t.Shape) == len(want)
	for i, n := range want {
		fits = fits && (n == t.Shape[i] || n == 0 && t.Shape[i] > 0)
	}
	if !fits {
		f.fault(fmt.Sprintf("tensor %q shape", name+".weight"), fmt.Sprint(t.Shape), shapeText(want))
		f.need(name + ".bias")
		return c
	}
	if len(kernel) == 3 {
		c.kt = kernel[0]
	}
	c.out, c.in = t.Shape[0], t.Shape[1]
	c.kh, c.kw = kernel[len(kernel)-2], kernel[len(kernel)-1]
	c.w = f.loader.Weight(name+".weight", c.out, c.in*c.kt*c.kh*c.kw)
	c.bias = f.loader.Vector(name+".bias", c.out)
	return c
}

// norm loads the gamma of a norm over c channels, any for 0.
func (f *finder) norm(name string, c int) rmsNorm {
	return rmsNorm{f.loader.Vector(name, c)}
}

// need complains if there is no tensor called name.
func (f *finder) need(name string) {
	if _, err := f.store.Tensor(name); err != nil {
		f.errs = append(f.errs, err)
	}
}

// expect complains if a size is known, and wrong.
func (f *finder) expect(name string, found, want int, what string) {
	if found != 0 && want != 0 && found != want {
		f.fault(fmt.Sprintf("tensor %q", name), fmt.Sprintf("%d %s", found, strings.SplitN(what, ",", 2)[0]), fmt.Sprintf("%d %s", want, what))
	}
}

func (f *finder) fault(field, found, want string) {
	f.errs = append(f.errs, &weights.Error{Path: f.store.Path(), Field: field, Found: found, Want: want})
}

func (f *finder) err() error { return errors.Join(errors.Join(f.errs...), f.loader.Err()) }

// shapeText writes a wanted shape, in which 0 stands for any size.
func shapeText(shape []int) string {
	var text []string
	for _, n := range shape {
		if n == 0 {
			text = append(text, "any")
		} else {
			text = append(text, strconv.Itoa(n))
		}
	}
	return "[" + strings.Join(text, " ") + "]"
}
