// Package output writes files so that nothing of the user's is lost: Check, before a run
// starts, that what it will write replaces neither what it reads nor what Gimbal did not
// make; CheckWritable and CheckRoom that it can be written; WriteFile in one step, so that
// a file is there whole or as it was.
package output
