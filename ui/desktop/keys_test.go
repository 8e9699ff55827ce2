package desktop

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/zalando/go-keyring"
)

// TestKeys makes sure that keys are kept by the keychain and, without one, in a file that is
// nobody else's.
func TestKeys(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keys.json")
	check := func(server, want string) {
		t.Helper()
		if got, err := NewKeys(file).Key(server); err != nil || got != want {
			t.Errorf("the key of %s is %q, %v; want %q", server, got, err, want)
		}
	}
	keyring.MockInit()
	if err := NewKeys(file).SetKey("http://a", "one"); err != nil {
		t.Fatal(err)
	}
	check("http://a", "one")
	check("http://b", "")
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a file beside the keychain: %v", err)
	}
	keyring.MockInitWithError(errors.New("no keychain"))
	for server, key := range map[string]string{"http://b": "two", "http://c": "three"} {
		if err := NewKeys(file).SetKey(server, key); err != nil {
			t.Fatal(err)
		}
	}
	check("http://b", "two")
	check("http://c", "three")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	k := NewKeys(file)
	if err := k.SetKey("http://b", "other"); err == nil {
		t.Error("a damaged file is replaced")
	}
	if got, err := k.Key("http://b"); err != nil || got != "other" {
		t.Errorf("in this session it is %q, %v", got, err)
	}
}
