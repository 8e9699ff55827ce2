package studio

import (
	"math"

	"gimbal/inference/camera"
)

// interpolate returns where the camera is at a frame of the video.
func interpolate(points []Point, frame float64) Point {
	if len(points) == 0 {
		return Point{}
	}
	at := min(max(0, frame/camera.TemporalStride), float64(len(points)-1))
	i := min(int(at), max(0, len(points)-2))
	a, b := points[i], points[min(i+1, len(points)-1)]
	t := at - float64(i)
	p := Point{X: a.X + t*(b.X-a.X), Y: a.Y + t*(b.Y-a.Y), Z: a.Z + t*(b.Z-a.Z)}
	var length float64
	for k := range p.Forward {
		p.Forward[k] = a.Forward[k] + t*(b.Forward[k]-a.Forward[k])
		length += p.Forward[k] * p.Forward[k]
	}
	if length = math.Sqrt(length); length > 0 {
		for k := range p.Forward {
			p.Forward[k] /= length
		}
	}
	return p
}

// points returns the path of the latent frames as the model sees it.
func points(m camera.Motion) []Point {
	poses := m.Poses()
	all := make([]Point, len(poses))
	for i, p := range poses {
		all[i] = Point{
			X: float64(p[0][3]), Y: float64(p[1][3]), Z: float64(p[2][3]),
			Forward: [3]float64{float64(p[0][2]), float64(p[1][2]), float64(p[2][2])},
		}
	}
	return all
}
