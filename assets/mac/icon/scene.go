package main

import "math"

// vec is a point, a direction or a linear colour.
type vec struct{ x, y, z float64 }

func (a vec) add(b vec) vec            { return vec{a.x + b.x, a.y + b.y, a.z + b.z} }
func (a vec) sub(b vec) vec            { return vec{a.x - b.x, a.y - b.y, a.z - b.z} }
func (a vec) scale(k float64) vec      { return vec{a.x * k, a.y * k, a.z * k} }
func (a vec) times(b vec) vec          { return vec{a.x * b.x, a.y * b.y, a.z * b.z} }
func (a vec) dot(b vec) float64        { return a.x*b.x + a.y*b.y + a.z*b.z }
func (a vec) length() float64          { return math.Sqrt(a.dot(a)) }
func (a vec) unit() vec                { return a.scale(1 / a.length()) }
func (a vec) mix(b vec, t float64) vec { return a.scale(1 - t).add(b.scale(t)) }

// frame is turned about the x axis, then about its own y axis, then about its own x
// axis, as a gimbal's rings are, one in the other.
type frame [3]struct{ sin, cos float64 }

func turned(degrees ...float64) (f frame) {
	for i := range f {
		f[i].cos = 1
	}
	for i, d := range degrees {
		f[i].sin, f[i].cos = math.Sincos(d * math.Pi / 180)
	}
	return f
}

func (f frame) apply(p vec) vec {
	for i, t := range f {
		if i == 1 {
			p.x, p.z = t.cos*p.x+t.sin*p.z, -t.sin*p.x+t.cos*p.z
		} else {
			p.y, p.z = t.cos*p.y-t.sin*p.z, t.sin*p.y+t.cos*p.z
		}
	}
	return p
}

// ring is one of a gimbal's: a band round the z axis of its own frame, with a pivot
// at both ends of the axis on which it hangs in the next.
type ring struct {
	frame      frame
	radius     float64
	wide, deep float64 // half the band, along the radius and along the axis
	pivotX     bool    // pivots on the x axis rather than on the y axis
	reach      float64 // of the pivots, from the centre
	colour     vec
}

const bevel = 0.018

func (r ring) distance(p vec) float64 {
	p = r.frame.apply(p)
	u, v := math.Abs(math.Hypot(p.x, p.y)-r.radius)-r.wide+bevel, math.Abs(p.z)-r.deep+bevel
	band := math.Hypot(max(u, 0), max(v, 0)) + min(max(u, v), 0) - bevel
	if r.reach == 0 {
		return band
	}
	if !r.pivotX {
		p.x, p.y = p.y, p.x
	}
	along, across := math.Abs(math.Abs(p.x)-(r.radius+r.reach)/2)-(r.reach-r.radius)/2, math.Hypot(p.y, p.z)-0.045
	pivot := math.Hypot(max(along, 0), max(across, 0)) + min(max(along, across), 0)
	return min(band, pivot)
}

// scene is the gimbal: rings round a small world.
type scene struct {
	rings []ring
	world float64 // radius
}

var (
	silver = vec{0.84, 0.90, 1.00}
	gold   = vec{1.00, 0.66, 0.24}
)

// detailed is for large icons; bold, with fewer and thicker parts, for small ones.
var (
	detailed = scene{
		world: 0.25,
		rings: []ring{
			{frame: turned(18, -16), radius: 0.86, wide: 0.070, deep: 0.085, colour: silver},
			{frame: turned(18, 34), radius: 0.655, wide: 0.060, deep: 0.075, reach: 0.80, colour: gold},
			{frame: turned(18, 34, -62), radius: 0.455, wide: 0.052, deep: 0.065, reach: 0.60, pivotX: true, colour: silver},
		},
	}
	bold = scene{
		world: 0.30,
		rings: []ring{
			{frame: turned(18, -16), radius: 0.84, wide: 0.105, deep: 0.12, colour: silver},
			{frame: turned(28, 48), radius: 0.56, wide: 0.095, deep: 0.11, reach: 0.75, colour: gold},
		},
	}
)

// distance returns how far p is from the scene, and the colour of what is nearest;
// the world has none of its own.
func (s scene) distance(p vec) (d float64, colour vec, world bool) {
	d, world = p.length()-s.world, true
	for _, r := range s.rings {
		if e := r.distance(p); e < d {
			d, colour, world = e, r.colour, false
		}
	}
	return d, colour, world
}

const eye = 4.2 // the camera's distance

// trace returns the linear colour seen through (x, y), from -1 to 1, and whether
// anything is there.
func (s scene) trace(x, y float64) (vec, bool) {
	from := vec{0, 0, eye}
	dir := vec{x, y, -eye}.unit()
	for at := eye - 1.5; at < eye+1.5; {
		p := from.add(dir.scale(at))
		d, colour, world := s.distance(p)
		if d < 0.0006 {
			n := s.normal(p)
			if world {
				return s.shadeWorld(p, n), true
			}
			return s.shadeMetal(p, n, dir, colour), true
		}
		at += d * 0.9
	}
	return vec{}, false
}

func (s scene) normal(p vec) vec {
	const h = 0.0004
	at := func(q vec) float64 { d, _, _ := s.distance(q); return d }
	return vec{
		at(p.add(vec{h, 0, 0})) - at(p.sub(vec{h, 0, 0})),
		at(p.add(vec{0, h, 0})) - at(p.sub(vec{0, h, 0})),
		at(p.add(vec{0, 0, h})) - at(p.sub(vec{0, 0, h})),
	}.unit()
}

var sun = vec{-0.45, 0.75, 0.62}.unit()

// lit returns how much of the sun reaches p, softly.
func (s scene) lit(p, n vec) float64 {
	light := 1.0
	p = p.add(n.scale(0.01))
	for at := 0.02; at < 1.6; {
		d, _, _ := s.distance(p.add(sun.scale(at)))
		light = min(light, 9*d/at)
		if light < 0.02 {
			return 0
		}
		at += max(d, 0.01)
	}
	return light
}

// shadeMetal is brushed metal in the light of the sun, a bright sky and the world's glow.
func (s scene) shadeMetal(p, n, dir, colour vec) vec {
	reflected := dir.sub(n.scale(2 * n.dot(dir)))
	light := s.lit(p, n)
	sky := smooth(-0.5, 0.9, reflected.y)
	glow := max(0, -n.dot(p.unit())) / (0.6 + 3*p.dot(p))
	edge := math.Pow(1-max(0, -n.dot(dir)), 3)
	c := colour.scale(0.06 + 0.55*max(0, n.dot(sun))*light + 0.36*sky)
	c = c.add(colour.scale(1.3 * math.Pow(max(0, reflected.dot(sun)), 24) * light))
	c = c.add(vec{1, 0.45, 0.25}.times(colour).scale(1.1 * glow))
	return c.add(vec{0.55, 0.75, 1}.scale(0.25 * edge))
}

// shadeWorld is a small sun-lit world from coral to gold.
func (s scene) shadeWorld(p, n vec) vec {
	t := smooth(-0.8, 0.9, n.dot(sun))
	c := vec{0.62, 0.06, 0.16}.mix(vec{1, 0.34, 0.10}, smooth(0, 0.55, t)).mix(vec{1, 0.86, 0.50}, smooth(0.5, 1, t))
	rim := math.Pow(1-max(0, n.z), 2.5)
	return c.scale(0.55 + 0.45*s.lit(p, n)).add(vec{1, 0.45, 0.2}.scale(0.35 * rim))
}

func smooth(a, b, x float64) float64 {
	t := min(max((x-a)/(b-a), 0), 1)
	return t * t * (3 - 2*t)
}
