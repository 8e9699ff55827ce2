// Package libcuda calls libcuda, NVIDIA's driver, which it opens at run time: the build
// needs none of it. It is there with the build tag cuda only, for metalkit's proof on a
// large GPU, and is part of no program.
package libcuda
