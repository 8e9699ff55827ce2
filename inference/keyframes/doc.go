// Package keyframes makes camera paths of a few key frames, as an editor of them needs it:
// each has a position, a heading, a pitch, a roll and a field of view, and says how the way to
// the next one is eased. A Path does not change; what edits it returns another.
//
// Axes are those of the camera at the start, in OpenCV's order: x right, y down, z ahead.
// Angles are in degrees, the heading to the right, the pitch up, the roll clockwise; a camera
// is turned by heading, then pitch, then roll. Frame 0 is the picture that the video starts from.
//
// Paths leave as clip.Path, which writes them as an action folder (Path.Clip), and come from
// such paths, with as few keys as keep within a tolerance (Take).
package keyframes
