// Package clip says what a job's files come to before anything is computed: the size of
// the video and of its latent, and what controls it.
//
//   - size.go: from the picture's size to the video's.
//   - control.go: Control, what a model is told besides picture and text, in as many
//     channels as it reads. Another kind of control is a file control_NAME.go and a case in
//     OpenControl.
//   - control_files.go: which files steer a clip, wherever a person points.
//   - control_camera.go and camera_*.go: a camera path, told as a ray, origin and
//     direction, for every pixel of every latent frame; to an act model as directions and
//     the keys that are pressed.
//   - keys.go: action strings and files of keys.
//   - clip.go: all of that for one job, cut to chunks for causal models.
//
// A camera path is a folder of poses.npy and intrinsics.npy, of keys, ViPE's results, or
// one of the built-in ones.
// The conditioning follows the reference step by step, in its types, for float32 rounding
// shows where positions are large and motion is small. Folders come from users: every
// value is checked, and an error names the file, what was found and what was expected.
package clip
