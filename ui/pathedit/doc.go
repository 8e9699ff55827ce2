// Package pathedit is the editor of camera paths: key frames from above and from the side, over
// the perspective of the picture that the video starts from, and along time with the speed that
// the model is told. What is edited is a keyframes.Path; every change can be undone.
package pathedit
