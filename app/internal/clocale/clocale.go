// Package clocale keeps Fyne from complaining, at every start of the program, of the
// locale C.UTF-8, which servers and containers have: Fyne knows C alone. It has to come
// before Fyne's package lang is initialised. It does, as Go initialises packages in the
// order of their paths where imports leave a choice, and lang imports packages of
// golang.org.
package clocale

import (
	"os"
	"strings"
)

func init() {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if strings.HasPrefix(os.Getenv(name), "C.") {
			os.Setenv(name, "C")
		}
	}
}
