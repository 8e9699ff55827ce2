package wan_test

import (
	"math"
	"slices"
	"testing"

	"gimbal/inference/golden"
	"gimbal/inference/wan"
	"gimbal/inference/weights"
)

// plain is what stands before and after the blocks, in loops.
type plain struct {
	t     *testing.T
	store *weights.Store
	m     *wan.Model
	c     ditCase
}

func (p plain) tensor(name string) []float32 {
	p.t.Helper()
	tensor, err := p.store.Tensor(name)
	if err != nil {
		p.t.Fatal(err)
	}
	values, err := tensor.Float32s()
	if err != nil {
		p.t.Fatal(err)
	}
	return values
}

// positions calls f with the place of every value of a token's patch in [channels, F, H, W], in
// the order of a filter's.
func (p plain) positions(token, channels int, f func(i, at int)) {
	ph, pw := p.m.Patch[1], p.m.Patch[2]
	rows, cols := p.c.in.H/ph, p.c.in.W/pw
	frame, row, col := token/(rows*cols), token/cols%rows, token%cols
	for c := range channels {
		for y := range ph {
			for x := range pw {
				f((c*ph+y)*pw+x, ((c*p.c.in.F+frame)*p.c.in.H+row*ph+y)*p.c.in.W+col*pw+x)
			}
		}
	}
}

func (p plain) tokens() int { return p.c.in.F * p.c.in.H * p.c.in.W / (p.m.Patch[1] * p.m.Patch[2]) }

// embed is patch_embedding.
func (p plain) embed(latent []float32) []float32 {
	w, bias := p.tensor("patch_embedding.weight"), p.tensor("patch_embedding.bias")
	all := append(slices.Clone(latent), p.c.in.Y...) // channel after channel
	dim := p.m.Config.Dim
	out := make([]float32, p.tokens()*dim)
	for token := range p.tokens() {
		for d := range dim {
			sum := float64(bias[d])
			p.positions(token, p.m.Config.InDim, func(i, at int) {
				sum += float64(w[d*len(w)/dim+i]) * float64(all[at])
			})
			out[token*dim+d] = float32(sum)
		}
	}
	return out
}

// head is the head of hidden states with a timestep's embedding.
func (p plain) head(hidden, embedding []float32) []float32 {
	w, bias, modulation := p.tensor("head.head.weight"), p.tensor("head.head.bias"), p.tensor("head.modulation")
	dim, channels, patch := p.m.Config.Dim, p.m.Config.OutDim, p.m.Patch[1]*p.m.Patch[2]
	out := make([]float32, channels*p.tokens()*patch)
	row := make([]float64, dim)
	for token := range p.tokens() {
		x := hidden[token*dim:][:dim]
		var mean, square float64
		for _, v := range x {
			mean += float64(v) / float64(dim)
		}
		for _, v := range x {
			square += (float64(v) - mean) * (float64(v) - mean) / float64(dim)
		}
		for d, v := range x {
			shift, scale := float64(modulation[d]+embedding[d]), float64(modulation[dim+d]+embedding[d])
			row[d] = (float64(v)-mean)/math.Sqrt(square+p.m.Config.Eps)*(1+scale) + shift
		}
		p.positions(token, channels, func(i, at int) {
			o := i%patch*channels + i/patch // the head's rows run over channels fastest
			sum := float64(bias[o])
			for d, v := range row {
				sum += float64(w[o*dim+d]) * v
			}
			out[at] = float32(sum)
		})
	}
	return out
}

// TestSkip compares forwards without blocks with what loops make of the last block's output.
func TestSkip(t *testing.T) {
	dev := openDevice(t)
	c := cameraCase(t)
	e := openExpert(t, c.expert)
	m := loadModel(t, dev, e)
	c.in.Contexts = append(c.in.Contexts, wan.Context{})
	c.in.Residuals = 2
	p := plain{t, e.Store, m, c}
	for _, reuse := range []wan.Reuse{wan.AllReuse, {}} {
		c.in.Reuse = reuse
		s := newSession(t, m, c.in)
		if _, err := s.Norms(t.Context(), 0); err == nil || s.Knows(0) || s.Skip(t.Context(), c.x, c.t, 0, make([]float32, len(c.x))) == nil {
			t.Error("a new session remembers something")
		}
		residual := make([][]float32, 2)
		for text := range residual {
			s.Inspect = func(_ int, hidden func() ([]float32, error)) (err error) {
				residual[text], err = hidden()
				return err
			}
			velocity(t, s, c.x, c.t, text)
			for i, v := range p.embed(c.x) {
				residual[text][i] -= v
			}
		}
		s.Inspect = nil
		if slices.Equal(residual[0], residual[1]) {
			t.Fatal("the contexts make no difference")
		}
		const later = 412.5
		x := random(9, len(c.x))
		embedding, err := s.Signal(t.Context(), later, false)
		if err != nil {
			t.Fatal(err)
		}
		for text, r := range residual {
			norms, err := s.Norms(t.Context(), text)
			if err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(norms))
			for i, v := range r {
				want[i/m.Config.Dim] += v * v
			}
			for i, square := range want {
				want[i] = float32(math.Sqrt(float64(square)))
			}
			golden.Check(t, "norms", norms, want, bound)

			hidden := p.embed(x)
			for i, v := range r {
				hidden[i] += v
			}
			got := make([]float32, len(x))
			if err := s.Skip(t.Context(), x, later, text, got); err != nil {
				t.Fatal(err)
			}
			golden.Check(t, "velocity without blocks", got, p.head(hidden, embedding), bound)
		}
		got := make([]float32, len(x))
		if err := s.Skip(t.Context(), c.x, c.t, 0, got); err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "velocity of the same step", got, c.out, bound)
	}
}

// TestResidualBytes makes sure that residuals take what Input.Residuals says, and small rows.
func TestResidualBytes(t *testing.T) {
	c, m, dev := setUp(t)
	c.in.Contexts = append(c.in.Contexts, wan.Context{})
	held := make([]int64, 3)
	for n := range held {
		before := dev.Info().Allocated
		c.in.Residuals = n
		s, err := m.NewSession(t.Context(), c.in)
		if err != nil {
			t.Fatal(err)
		}
		held[n] = dev.Info().Allocated - before
		s.Close()
	}
	tokens := int64(plain{m: m, c: c}.tokens())
	one := 4 * tokens * int64(m.Config.Dim)
	if rows := 4 * (tokens + 2*int64(m.Config.Dim)); held[1]-held[0] != one+rows || held[2]-held[1] != one {
		t.Errorf("%d bytes without, %d and %d with; want %d more and %d", held[0], held[1], held[2], one+rows, one)
	}
	c.in.Residuals = 3
	if _, err := m.NewSession(t.Context(), c.in); err == nil {
		t.Error("residuals of more contexts than there are")
	}
}

// TestSignal compares the signal with loops over the time embedding's layers.
func TestSignal(t *testing.T) {
	c, m, _ := setUp(t)
	p := plain{t, openExpert(t, c.expert).Store, m, c}
	s := newSession(t, m, c.in)
	const at = 731.25
	freq := m.Config.FreqDim
	sinusoid := make([]float32, freq)
	for i := range freq / 2 {
		angle := at * math.Pow(10000, -float64(i)/float64(freq/2))
		sinusoid[i], sinusoid[freq/2+i] = float32(math.Cos(angle)), float32(math.Sin(angle))
	}
	silu := func(x []float32) []float32 {
		y := make([]float32, len(x))
		for i, v := range x {
			y[i] = float32(float64(v) / (1 + math.Exp(-float64(v))))
		}
		return y
	}
	layer := func(name string, x []float32) []float32 {
		w, y := p.tensor(name+".weight"), p.tensor(name+".bias")
		for i := range y {
			for j, v := range x {
				y[i] += w[i*len(x)+j] * v
			}
		}
		return y
	}
	embedding := layer("time_embedding.2", silu(layer("time_embedding.0", sinusoid)))
	for projected, want := range map[bool][]float32{false: embedding, true: layer("time_projection.1", silu(embedding))} {
		got, err := s.Signal(t.Context(), at, projected)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, "signal", got, want, bound)
	}
}
