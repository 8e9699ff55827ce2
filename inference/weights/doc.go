// Package weights reads model weights: safetensors files, single or sharded
// with an index, and torch's zip archives (.pth). Files are memory-mapped and
// read lazily: a tensor is a view of the file's pages, so weights count as file
// cache and a checkpoint larger than memory can run. Files are not trusted: a
// bad one gives an error that names the file, the field, what was found and what
// was expected.
package weights
