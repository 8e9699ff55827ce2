// Package camera turns a camera path into what the model is told of it: a ray, origin
// and direction, for every pixel of every latent frame.
//
// A path is a folder of poses.npy and intrinsics.npy, or one of the built-in ones. The
// conditioning follows the reference step by step, in its types, for float32 rounding
// shows where positions are large and motion is small. Folders come from users: every
// value is checked, and an error names the file, what was found and what was expected.
package camera
