package umt5

import "math"

// maxDistance is the distance from which on all positions share a bucket.
const maxDistance = 128

// distanceBuckets returns the buckets of the distances key - query from -(n-1) to
// n-1, of a number of buckets for both directions.
func distanceBuckets(n, buckets int) []int32 {
	ids := make([]int32, 2*n-1)
	for i := range ids {
		ids[i] = distanceBucket(i-(n-1), buckets)
	}
	return ids
}

// distanceBucket returns T5's bucket for a distance: the first half of the buckets
// is for keys before the query and the query itself, the second for keys after it.
// Half of each is for one distance each, the rest grows with the logarithm. The
// arithmetic is fp32, as the reference's.
func distanceBucket(distance, buckets int) int32 {
	half := buckets / 2
	first := 0
	if distance > 0 {
		first = half
	} else {
		distance = -distance
	}
	exact := half / 2
	if distance < exact {
		return int32(first + distance)
	}
	large := float32(math.Log(float64(float32(distance) / float32(exact))))
	large = large / float32(math.Log(maxDistance/float64(exact))) * float32(half-exact)
	return int32(first + min(exact+int(large), half-1))
}
