package weights

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// VAESizes are the layers of a VAE with their channels.
type VAESizes struct {
	Channels         int // of a latent
	Encoder, Decoder []VAELayer
}

// VAELayer is one layer, named as in the checkpoint. 0 channels are any number.
type VAELayer struct {
	Name     string
	Kind     VAEKind
	In, Out  int  // channels
	Mid      int  // channels between the convolutions of a residual block
	Shortcut bool // of a residual block whose number of channels changes
	Time     bool // down- or upsampling is in time, too
}

// VAEKind is a kind of layer.
type VAEKind int

// The kinds.
const (
	VAEUnknown    VAEKind = iota
	VAEPointwise          // a convolution of one pixel
	VAECausal             // a convolution of 3 x 3 pixels in 3 frames
	VAEHead               // the same after a norm and SiLU
	VAEResidual           // two of these, and what went in
	VAEAttention          // over the pixels of a frame
	VAEDownsample         // to half the height and width
	VAEUpsample           // to twice the height and width
)

// ReadVAESizes finds the layers of a VAE by the names of the tensors in s, and their
// channels by the shapes. Of a tensor that is missing it takes no sizes, so one fault
// gives one error.
func ReadVAESizes(s *Store) (VAESizes, error) {
	r := vaeReader{Store: s}
	z := s.size("conv2.weight", 0)
	encoder := vaeHalf("encoder", 3, s.size("encoder.conv1.weight", 0), 2*z, r.section("encoder", "downsamples"), r.section("encoder", "middle"))
	decoder := vaeHalf("decoder", z, s.size("decoder.conv1.weight", 0), 3, r.section("decoder", "middle"), r.section("decoder", "upsamples"))
	return vaeSizes(z, encoder, decoder), errors.Join(r.errs...)
}

// vaeSizes adds to encoder and decoder the convolutions between them and the latent.
func vaeSizes(z int, encoder, decoder []VAELayer) VAESizes {
	return VAESizes{
		Channels: z,
		Encoder:  append(encoder, VAELayer{Name: "conv1", Kind: VAEPointwise, In: 2 * z, Out: 2 * z}),
		Decoder:  append([]VAELayer{{Name: "conv2", Kind: VAEPointwise, In: z, Out: z}}, decoder...),
	}
}

// vaeSection is some layers in a row, numbered from 0 under a name.
type vaeSection struct {
	name   string
	layers []VAELayer // without names and channels that go in
	gap    bool       // some are missing: the channels after it are unknown
}

// vaeHalf joins the sections of an encoder or decoder, between a convolution from in
// channels to first and a head that makes out.
func vaeHalf(name string, in, first, out int, sections ...vaeSection) []VAELayer {
	layers := []VAELayer{{Name: name + ".conv1", Kind: VAECausal, In: in, Out: first}}
	c := first
	for _, s := range sections {
		for i, l := range s.layers {
			l.Name, l.In = fmt.Sprintf("%s.%s.%d", name, s.name, i), c
			switch l.Kind {
			case VAEUnknown, VAEAttention:
				l.Out = c
			case VAEResidual:
				l.Shortcut = l.Shortcut || l.In != l.Out && l.In != 0 && l.Out != 0
			}
			layers, c = append(layers, l), l.Out
		}
		if s.gap {
			c = 0
		}
	}
	return append(layers, VAELayer{Name: name + ".head", Kind: VAEHead, In: c, Out: out})
}

// vaeReader collects what is wrong with the names of a VAE's tensors.
type vaeReader struct {
	*Store
	errs []error
}

func (r *vaeReader) section(half, name string) vaeSection {
	s := vaeSection{name: name}
	layer := func() string { return fmt.Sprintf("%s.%s.%d", half, name, len(s.layers)) }
	for r.any(layer() + ".") {
		s.layers = append(s.layers, r.layer(layer(), name == "upsamples"))
	}
	s.gap = !r.complete(half+"."+name, len(s.layers))
	return s
}

// layer returns the layer called name as far as its own tensors tell.
func (r *vaeReader) layer(name string, up bool) VAELayer {
	switch {
	case r.any(name + ".residual."):
		return VAELayer{
			Kind: VAEResidual, Shortcut: r.any(name + ".shortcut."),
			Mid: r.size(name+".residual.2.weight", 0), Out: r.size(name+".residual.6.weight", 0),
		}
	case r.any(name+".to_qkv.") || r.any(name+".proj."):
		return VAELayer{Kind: VAEAttention}
	case r.any(name+".resample.") || r.any(name+".time_conv."):
		l := VAELayer{Kind: VAEDownsample, Time: r.any(name + ".time_conv."), Out: r.size(name+".resample.1.weight", 0)}
		if up {
			l.Kind = VAEUpsample
		}
		return l
	}
	r.fault(name, "a layer of an unknown kind", "residual, to_qkv or resample weights")
	return VAELayer{}
}

// complete reports whether the n layers found under prefix are all there are, and
// complains if not.
func (r *vaeReader) complete(prefix string, n int) bool {
	at, _ := slices.BinarySearch(r.names, prefix+".")
	for _, name := range r.names[at:] {
		rest, ok := strings.CutPrefix(name, prefix+".")
		if !ok {
			break
		}
		number, _, _ := strings.Cut(rest, ".")
		if i, err := strconv.Atoi(number); err != nil || i >= n {
			r.fault(fmt.Sprintf("%s.%d", prefix, n), "no tensors", fmt.Sprintf("a layer, as there is %q", name))
			return false
		}
	}
	if n == 0 {
		r.fault(prefix+".0", "no tensors", "the first layer")
	}
	return n > 0
}

// any reports whether a tensor's name starts with prefix.
func (r *vaeReader) any(prefix string) bool {
	i, _ := slices.BinarySearch(r.names, prefix)
	return i < len(r.names) && strings.HasPrefix(r.names[i], prefix)
}

func (r *vaeReader) fault(field, found, want string) {
	r.errs = append(r.errs, &Error{r.path, field, found, want})
}

// Table lists a VAE's tensors.
func (z VAESizes) Table() Table {
	var t Table
	for _, l := range slices.Concat(z.Encoder, z.Decoder) {
		t.vaeLayer(l)
	}
	return t
}

func (t *Table) vaeLayer(l VAELayer) {
	switch l.Kind {
	case VAEPointwise:
		t.conv(l.Name, l.Out, l.In, 1, 1, 1)
	case VAECausal:
		t.conv(l.Name, l.Out, l.In, 3, 3, 3)
	case VAEHead:
		t.add(Norm, l.Name+".0.gamma", l.In, 1, 1, 1)
		t.conv(l.Name+".2", l.Out, l.In, 3, 3, 3)
	case VAEResidual:
		t.add(Norm, l.Name+".residual.0.gamma", l.In, 1, 1, 1)
		t.conv(l.Name+".residual.2", l.Mid, l.In, 3, 3, 3)
		t.add(Norm, l.Name+".residual.3.gamma", l.Mid, 1, 1, 1)
		t.conv(l.Name+".residual.6", l.Out, l.Mid, 3, 3, 3)
		if l.Shortcut {
			t.conv(l.Name+".shortcut", l.Out, l.In, 1, 1, 1)
		}
	case VAEAttention:
		t.add(Norm, l.Name+".norm.gamma", l.In, 1, 1)
		t.conv(l.Name+".to_qkv", 3*l.In, l.In, 1, 1)
		t.conv(l.Name+".proj", l.In, l.In, 1, 1)
	case VAEDownsample, VAEUpsample:
		t.conv(l.Name+".resample.1", l.Out, l.In, 3, 3)
		if l.Time && l.Kind == VAEDownsample {
			t.conv(l.Name+".time_conv", l.Out, l.Out, 3, 1, 1)
		} else if l.Time {
			t.conv(l.Name+".time_conv", 2*l.In, l.In, 3, 1, 1)
		}
	}
}
