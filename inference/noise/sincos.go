package noise

import "math"

// sincos returns the sine and the cosine of x radians as the GPU's __sincosf does,
// whose error, up to 3e-7, would show in the noise. x is in (0, 2π].
//
// The GPU multiplies x by 1/2π, rounding towards zero, keeps 25 bits after the point,
// and interpolates the sine of the middle of that interval from a table of 64 parts of
// a quarter turn (Oberman and Siu, A High-Performance Area-Efficient Multifunction
// Interpolator, 2005). The ROM is not published: sineTable was fitted to all 2^23
// results of an H200, and gives 83 % of them to the bit and the others to one unit of
// 2^-24.
func sincos(x float32) (sin, cos float32) {
	const quarter = 1 << phaseBits
	turns := float64(x) * float64(float32(1/(2*math.Pi)))
	phase := int(float64(truncate24(turns)) * (4 * quarter))
	return sine(phase), sine(phase + quarter)
}

const (
	phaseBits = 23 // of a quarter turn
	partBits  = phaseBits - 6
)

// sine returns the sine of phase quarter turns / 2^phaseBits.
func sine(phase int) float32 {
	at := phase & (1<<phaseBits - 1)
	quadrant := phase >> phaseBits
	if quadrant&1 == 1 {
		at = 1<<phaseBits - 1 - at
	}
	c := &sineTable[at>>partBits]
	x := float64(at&(1<<partBits-1)) / (1 << partBits)
	s := truncate24((float64(c[0]) + x*(float64(c[1])+x*float64(c[2]))) / (1 << 28))
	if quadrant&2 == 2 {
		return -s
	}
	return s
}

// truncate24 rounds a positive x towards zero to a float32.
func truncate24(x float64) float32 {
	return float32(math.Float64frombits(math.Float64bits(x) &^ (1<<29 - 1)))
}

// sineTable holds c in units of 2^-28: the sine at fraction x of part i is
// c[i][0] + c[i][1]*x + c[i][2]*x*x.
var sineTable = [64][3]int32{
	{2, 6588672, -896}, {6587706, 6586879, -3072}, {13171490, 6580736, -4864},
	{19747313, 6571009, -7040}, {26311249, 6556928, -8768}, {32859345, 6539262, -10942},
	{39387625, 6517504, -12864}, {45892209, 6491649, -14656}, {52369129, 6462209, -16768},
	{58814529, 6428673, -18688}, {65224482, 6391289, -20603}, {71595153, 6350081, -22528},
	{77922681, 6305025, -24384}, {84203305, 6256129, -26240}, {90433161, 6203649, -28224},
	{96608562, 6147329, -30080}, {102725802, 6087169, -31808}, {108781146, 6023425, -33600},
	{114770938, 5956097, -35392}, {120691618, 5885185, -37184}, {126539602, 5810690, -38912},
	{132311332, 5732851, -40759}, {138003378, 5651458, -42496}, {143612338, 5566466, -44032},
	{149134722, 5478402, -45760}, {154567330, 5386754, -47232}, {159906802, 5292034, -48832},
	{165149971, 5194242, -50560}, {170293627, 5093122, -51968}, {175334731, 4989186, -53696},
	{180270211, 4881922, -54976}, {185097107, 4771842, -56384}, {189812523, 4658946, -57856},
	{194413587, 4543234, -59264}, {198897555, 4424706, -60544}, {203261691, 4303618, -61888},
	{207503395, 4179971, -63232}, {211620147, 4053506, -64256}, {215609363, 3924995, -65600},
	{219468747, 3793922, -66752}, {223195907, 3660547, -67776}, {226788667, 3524867, -68736},
	{230244756, 3387395, -69952}, {233562188, 3247619, -70848}, {236738916, 3106051, -71872},
	{239773060, 2962435, -72704}, {242662772, 2817027, -73472}, {245406308, 2670083, -74368},
	{248002028, 2521347, -75008}, {250448340, 2371331, -75840}, {252743796, 2219779, -76544},
	{254887036, 2066691, -76992}, {256876724, 1912579, -77632}, {258711692, 1757187, -78080},
	{260390764, 1601027, -78720}, {261913060, 1443587, -79104}, {263277556, 1285379, -79488},
	{264483460, 1126403, -79808}, {265530060, 966659, -80000}, {266416700, 806659, -80512},
	{267142860, 645891, -80640}, {267708140, 484611, -80640}, {268112116, 323331, -80832},
	{268354612, 161795, -80960},
}
