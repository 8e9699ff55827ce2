package picture

import "math"

// Chromaticities: x and y of white, red, green and blue.
var (
	bt709    = []float64{0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06}
	adobeRGB = []float64{0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06}
)

// primaries are those of ITU-T H.273, table 2.
var primaries = map[byte][]float64{
	1:  bt709,
	4:  {0.310, 0.316, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08},
	5:  {0.3127, 0.3290, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06},
	6:  {0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070},
	7:  {0.3127, 0.3290, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070},
	9:  {0.3127, 0.3290, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046},
	11: {0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060},
	12: {0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060},
	22: {0.3127, 0.3290, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077},
}

// curves turn levels into light, 1 for white, H.273, table 3. Of those that go beyond white,
// PQ and HLG, white is what ITU-R BT.2408 has for it, and what is brighter is cut.
var curves = map[byte]func(float64) float64{
	1: bt709Light, 6: bt709Light, 14: bt709Light, 15: bt709Light,
	4:  func(v float64) float64 { return math.Pow(v, 2.2) },
	5:  func(v float64) float64 { return math.Pow(v, 2.8) },
	8:  func(v float64) float64 { return v },
	13: srgbLight,
	16: pqLight,
	17: func(v float64) float64 { return math.Pow(v, 2.6) * 52.37 / 48 },
	18: hlgLight,
}

func srgbLight(v float64) float64 {
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func srgbLevel(light float64) float64 {
	if light <= 0.0031308 {
		return 12.92 * light
	}
	return 1.055*math.Pow(light, 1/2.4) - 0.055
}

func bt709Light(v float64) float64 {
	const a, b = 1.09929682680944, 0.018053968510807
	if v < 4.5*b {
		return v / 4.5
	}
	return math.Pow((v+a-1)/a, 1/0.45)
}

// whiteNits is the light of white in pictures of high dynamic range, ITU-R BT.2408, table 1.
const whiteNits = 203

// pqLight is SMPTE ST 2084.
func pqLight(v float64) float64 {
	const m1, m2, c1, c2, c3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
	p := math.Pow(v, 1/m2)
	return 10000 * math.Pow(max(0, p-c1)/(c2-c3*p), 1/m1) / whiteNits
}

// hlgLight is ARIB STD-B67 for a display of 1000 nits, each colour for itself.
func hlgLight(v float64) float64 {
	const a, b, c = 0.17883277, 0.28466892, 0.55991073
	scene := v * v / 3
	if v > 0.5 {
		scene = (math.Exp((v-c)/a) + b) / 12
	}
	return 1000 * math.Pow(scene, 1.2) / whiteNits
}

// cicpTransform returns what code points of H.273 say of RGB in the full range, nil for
// others.
func cicpTransform(code []byte) transform {
	if len(code) < 4 || code[2] != 0 || code[3] != 1 {
		return nil
	}
	chromas, light := primaries[code[0]], curves[code[1]]
	if chromas == nil || light == nil {
		return nil
	}
	return lightTransform(chromas, light)
}

// gammaTransform returns what PNG's gAMA and cHRM say. An exponent of 1/2.2 stands for sRGB's
// curve, as which most programs write it.
func gammaTransform(chromas []float64, gamma float64) transform {
	if chromas == nil {
		chromas = bt709
	}
	if math.Abs(gamma-0.45455) < 0.0001 {
		return lightTransform(chromas, srgbLight)
	}
	return lightTransform(chromas, func(v float64) float64 { return math.Pow(v, 1/gamma) })
}

// lightTransform returns what turns light of other chromaticities into sRGB's.
func lightTransform(chromas []float64, light func(float64) float64) transform {
	from, ok := toXYZ(chromas)
	back, _ := toXYZ(bt709)
	back, okBack := back.inverse()
	if !ok || !okBack {
		return nil
	}
	m := back.times(from)
	return func(r, g, b float64) (float64, float64, float64) {
		v := m.apply([3]float64{light(r), light(g), light(b)})
		return srgbLevel(v[0]), srgbLevel(v[1]), srgbLevel(v[2])
	}
}

// matrix is of three rows.
type matrix [3][3]float64

func (m matrix) apply(v [3]float64) (out [3]float64) {
	for i, row := range m {
		out[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return out
}

func (m matrix) times(n matrix) (out matrix) {
	for i := range 3 {
		for j := range 3 {
			out[i][j] = m[i][0]*n[0][j] + m[i][1]*n[1][j] + m[i][2]*n[2][j]
		}
	}
	return out
}

func (m matrix) inverse() (out matrix, ok bool) {
	for i := range 3 {
		for j := range 3 {
			a, b, c, d := (i+1)%3, (i+2)%3, (j+1)%3, (j+2)%3
			out[j][i] = m[a][c]*m[b][d] - m[a][d]*m[b][c]
		}
	}
	det := m[0][0]*out[0][0] + m[0][1]*out[1][0] + m[0][2]*out[2][0]
	if !(math.Abs(det) > 1e-9) {
		return out, false
	}
	for i := range 3 {
		for j := range 3 {
			out[i][j] /= det
		}
	}
	return out, true
}

// bradford turns XYZ into responses of the cones, to adapt a white to another.
var bradford = matrix{{0.8951, 0.2664, -0.1614}, {-0.7502, 1.7135, 0.0367}, {0.0389, -0.0685, 1.0296}}

// toXYZ returns the matrix from light of these chromaticities to XYZ under D65's white.
// Source: SMPTE RP 177.
func toXYZ(c []float64) (m matrix, ok bool) {
	xyz := func(x, y float64) [3]float64 { return [3]float64{x / y, 1, (1 - x - y) / y} }
	for _, y := range []float64{c[1], c[3], c[5], c[7]} {
		if !(y > 0.0001) { // or the sums below are infinite
			return m, false
		}
	}
	white := xyz(c[0], c[1])
	for i := range 3 {
		p := xyz(c[2+2*i], c[3+2*i])
		m[0][i], m[1][i], m[2][i] = p[0], p[1], p[2]
	}
	inverse, ok := m.inverse()
	if !ok {
		return m, false
	}
	scale := inverse.apply(white)
	for i := range 3 {
		for j := range 3 {
			m[i][j] *= scale[j]
		}
	}
	from, to := bradford.apply(white), bradford.apply(xyz(bt709[0], bt709[1]))
	back, _ := bradford.inverse()
	adapt := back.times(matrix{{to[0] / from[0]}, {0, to[1] / from[1]}, {0, 0, to[2] / from[2]}}).times(bradford)
	return adapt.times(m), true
}
