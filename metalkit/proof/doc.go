// Command proof runs LingBot-World's own sizes through package metalkit on an NVIDIA
// GPU, and writes what PyTorch needs to do the same.
//
// A stage (stages in main.go) makes its weights and inputs, runs, and adds rows to
// rows.jsonl in the working folder; torch/proof.py does the same with PyTorch and
// compares, torch/report.py makes tables and pictures of the rows. proof.sh runs all of
// it on a machine without Go, from the folder that `make gpu-proof` fills. Without the
// build tag cuda the device is the software driver, for tiny sizes: proof_test.go runs
// every stage so.
package main
