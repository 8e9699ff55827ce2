// Package hub fetches models from Hugging Face's hub (https://huggingface.co/docs/hub/api), or a
// mirror of it: in parallel ranged requests that any end of the program interrupts without a loss,
// with the hash of every file compared with the hub's, and from the cache of Hugging Face's own
// programs where that has a file already.
//
// Client.List says what a repository holds, and Client.Get brings it to a folder. Models has the
// names of the family.
package hub
