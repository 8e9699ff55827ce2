package main

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"gimbal/inference"
	"gimbal/inference/bench"
	"gimbal/inference/device"
	"gimbal/inference/device/profile"
	"gimbal/inference/wan"
)

// option is a pair of settings that differ in what is reused.
type option struct{ with, without wan.Reuse }

// options by what they are about. Padding is off where it would leave next to nothing of
// the keys and values of a text to be saved, and for its own sake these are not kept.
func options(name string) (o option, err error) {
	o = option{wan.AllReuse, wan.AllReuse}
	switch name {
	case "camera":
		o.without.Camera = false
	case "cross_attention":
		o.with.Padding = false
		o.without = o.with
		o.without.CrossAttention = false
	case "time":
		o.without.Time = false
	case "padding":
		o.with.CrossAttention = false
		o.without = o.with
		o.without.Padding = false
	default:
		err = fmt.Errorf("no option %q", name)
	}
	return o, err
}

// reuse measures what each option saves of a forward, against what arithmetic predicts.
func (p *proof) reuse() error {
	for _, frames := range p.frames {
		for _, f := range p.forms {
			e, err := p.load(f, p.dims.Layers)
			if err != nil {
				return err
			}
			for _, name := range p.options {
				if err = p.saving(e, f, frames, name); err != nil {
					err = fmt.Errorf("%d frames, %v, %s: %w", frames, f, name, err)
					break
				}
			}
			if err := errors.Join(err, e.close()); err != nil {
				return err
			}
		}
	}
	return nil
}

// forwards is how often each side of an option is timed.
const forwards = 3

// saving measures an option: both sides in turn, after one forward each, operation by
// operation, that warms up and tells how fast each kind of operation is.
func (p *proof) saving(e *expertOn, f form, frames int, name string) error {
	o, err := options(name)
	if err != nil {
		return err
	}
	var sides [2]side
	for i, reuse := range []wan.Reuse{o.with, o.without} {
		progress("%d frames, %v, %s: side %d", frames, f, name, i+1)
		if sides[i], err = p.side(e, frames, reuse); err != nil {
			return err
		}
		defer sides[i].session.Close()
	}
	for range forwards {
		for i := range sides {
			if err := sides[i].time(p); err != nil {
				return err
			}
		}
	}
	with, without := &sides[0], &sides[1]
	rates, other := with.rates()
	row := p.row(f, e, frames, with.in.F*with.in.H*with.in.W/4)
	row.Case, row.Seconds = name, with.seconds
	row.TFLOPS = float64(with.work.FLOPs()) / with.seconds / 1e12
	row.Values = map[string]float64{
		"without_seconds":   without.seconds,
		"saved_seconds":     without.seconds - with.seconds,
		"predicted_seconds": rates.of(without.work) - rates.of(with.work),
		"parts_seconds":     without.profiled() - with.profiled(), // each operation timed alone
		"saved_tflop":       float64(without.work.FLOPs()-with.work.FLOPs()) / 1e12,
		"other_share":       other, // of the time outside of products and attention
	}
	relative := bench.RelL2(without.out, with.out)
	row.Error = &relative
	return p.add(row)
}

// side is a session of one side of an option.
type side struct {
	session *wan.Session
	in      wan.Input
	x, out  []float32
	work    inference.Work
	rows    []profile.Row
	seconds float64 // the fastest forward's
}

func (p *proof) side(e *expertOn, frames int, reuse wan.Reuse) (s side, err error) {
	s.in, s.x = p.input(e.Model, frames, reuse)
	s.out, s.seconds = make([]float32, len(s.x)), math.Inf(1)
	if _, s.work, err = p.planned(e, s.in); err != nil {
		return s, err
	}
	if s.session, err = e.NewSession(p.ctx, s.in); err != nil {
		return s, err
	}
	if err := s.session.Velocity(p.ctx, s.x, timestep, 0, s.out); err != nil { // chooses variants
		return s, err
	}
	plain := e.dev.Device // the profile takes its place for one forward
	profiled := profile.New(plain)
	e.dev.Device = profiled
	defer func() { e.dev.Device = plain }()
	err = s.session.Velocity(p.ctx, s.x, timestep, 0, s.out)
	s.rows = profiled.Rows()
	return s, err
}

func (s *side) time(p *proof) error {
	began := time.Now()
	err := s.session.Velocity(p.ctx, s.x, timestep, 0, s.out)
	s.seconds = min(s.seconds, time.Since(began).Seconds())
	return err
}

// profiled returns the seconds of all operations, each timed alone.
func (s *side) profiled() (seconds float64) {
	for _, r := range s.rows {
		seconds += r.Time.Seconds()
	}
	return seconds
}

// fewRows is the height below which a product takes as long as reading its weights, as
// package plan has it.
const fewRows = 16

// rates returns how slow products, attentions and the rest are, and the share of the
// time that lies outside of products and attentions.
func (s *side) rates() (r rates, other float64) {
	seconds, cost := map[string]float64{}, map[string]device.Cost{}
	for _, row := range s.rows {
		kind, size, _ := strings.Cut(row.Name, " ")
		switch kind {
		case "Attention":
		case "Linear":
			var rows int
			if fmt.Sscanf(size, "%dx", &rows); rows < fewRows {
				kind = ""
			}
		default:
			other += row.Time.Seconds()
			kind = ""
		}
		seconds[kind] += row.Time.Seconds()
		cost[kind] = cost[kind].Plus(row.Cost)
	}
	each := func(work int64, kind string) float64 { return seconds[kind] / max(1, float64(work)) }
	r = rates{
		linear:    each(cost["Linear"].FLOPs, "Linear"),
		attention: each(cost["Attention"].FLOPs, "Attention"),
		bytes:     each(cost[""].Bytes, ""),
	}
	return r, other / s.profiled()
}

// rates are seconds per flop and per byte.
type rates struct{ linear, attention, bytes float64 }

func (r rates) of(w inference.Work) (seconds float64) {
	for kind, c := range w.Kinds {
		switch {
		case strings.HasPrefix(kind, "linear"):
			seconds += float64(c.FLOPs) * r.linear
		case strings.HasPrefix(kind, "attention"):
			seconds += float64(c.FLOPs) * r.attention
		default:
			seconds += float64(c.Bytes) * r.bytes
		}
	}
	return seconds
}
