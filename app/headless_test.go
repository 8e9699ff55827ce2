//go:build headless

package main

func init() { buildFlags = []string{"-tags", "headless"} }
