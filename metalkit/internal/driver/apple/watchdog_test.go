package apple

import (
	"os"
	"testing"
)

func TestRelaxWatchdog(t *testing.T) {
	for _, c := range []struct{ user, want string }{{"", "1"}, {"0", "0"}, {"1", "1"}} {
		t.Setenv(watchdogVariable, c.user) // restores it
		if c.user == "" {
			os.Unsetenv(watchdogVariable)
		}
		if err := relaxWatchdog(); err != nil || os.Getenv(watchdogVariable) != c.want {
			t.Errorf("the user has %q: %q, %v", c.user, os.Getenv(watchdogVariable), err)
		}
	}
}
