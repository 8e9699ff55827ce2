package clip

import "math"

// between returns the pose the part t of the way from a to b, 0 < t < 1: the position on
// the straight line, the rotation on the shortest turn (slerp).
func between(a, b Pose, t float64) Pose {
	p := poseOf(slerp(quaternionOf(rotation(&a).orthonormal()), quaternionOf(rotation(&b).orthonormal()), t).matrix(), [3]float64{})
	for i := range 3 {
		p[i][3] = a[i][3] + t*(b[i][3]-a[i][3])
	}
	return p
}

// quaternion is a rotation as w, x, y, z, of length 1.
type quaternion [4]float64

// quaternionOf divides by the largest of the four components, which is at least a half.
func quaternionOf(r matrix3) (q quaternion) {
	trace := r[0][0] + r[1][1] + r[2][2]
	squares, largest := [4]float64{1 + trace, 1 - trace + 2*r[0][0], 1 - trace + 2*r[1][1], 1 - trace + 2*r[2][2]}, 0
	for i, s := range squares {
		if s > squares[largest] {
			largest = i
		}
	}
	// products[i][j] is four times the product of components i and j.
	wx, wy, wz := r[2][1]-r[1][2], r[0][2]-r[2][0], r[1][0]-r[0][1]
	xy, xz, yz := r[1][0]+r[0][1], r[2][0]+r[0][2], r[2][1]+r[1][2]
	s := squares
	products := [4][4]float64{{s[0], wx, wy, wz}, {wx, s[1], xy, xz}, {wy, xy, s[2], yz}, {wz, xz, yz, s[3]}}
	half := 2 * math.Sqrt(squares[largest])
	for i := range q {
		q[i] = products[largest][i] / half
	}
	return q
}

// slerp returns the rotation the part t of the shortest way from a to b.
func slerp(a, b quaternion, t float64) (q quaternion) {
	if a[0]*b[0]+a[1]*b[1]+a[2]*b[2]+a[3]*b[3] < 0 {
		for i := range b {
			b[i] = -b[i]
		}
	}
	u, v := 1-t, t
	var gap float64 // |a - b|, which holds a small angle's digits where acos does not
	for i := range a {
		gap += (a[i] - b[i]) * (a[i] - b[i])
	}
	if angle := 2 * math.Asin(min(1, math.Sqrt(gap)/2)); angle > 1e-12 {
		u, v = math.Sin((1-t)*angle)/math.Sin(angle), math.Sin(t*angle)/math.Sin(angle)
	}
	for i := range q {
		q[i] = u*a[i] + v*b[i]
	}
	return q
}

func (q quaternion) matrix() matrix3 {
	w, x, y, z := q[0], q[1], q[2], q[3]
	return matrix3{
		{1 - 2*(y*y+z*z), 2 * (x*y - w*z), 2 * (x*z + w*y)},
		{2 * (x*y + w*z), 1 - 2*(x*x+z*z), 2 * (y*z - w*x)},
		{2 * (x*z - w*y), 2 * (y*z + w*x), 1 - 2*(x*x+y*y)},
	}
}
