package apple

import "os"

// watchdogVariable has the GPU's driver of macOS 26 be patient with work that keeps the
// screen waiting, which it else stops (github.com/ggml-org/llama.cpp/pull/22216). It is
// read when the process makes its first device, a window's included, and known from
// reports only: Apple documents nothing of it.
const watchdogVariable = "AGX_RELAX_CDM_CTXSTORE_TIMEOUT"

// relaxWatchdog sets the variable, unless the user has.
func relaxWatchdog() error {
	if _, set := os.LookupEnv(watchdogVariable); set {
		return nil
	}
	return os.Setenv(watchdogVariable, "1")
}
