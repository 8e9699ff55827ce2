package desktop

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"os"
	"sync"

	"github.com/google/renameio/v2"
	"github.com/zalando/go-keyring"
)

// Keys keeps the keys of servers: in the system's keychain or, where there is none, in a file
// that only this user can read.
type Keys struct {
	file string
	mu   sync.Mutex
	now  map[string]string // of this session, whatever can be kept
}

// NewKeys returns the keys that are kept; file is for those that no keychain takes.
func NewKeys(file string) *Keys { return &Keys{file: file, now: map[string]string{}} }

// keychain is what the keys are called in the system's.
const keychain = "io.github.gimbal.server"

// Key returns a server's key; "" for none.
func (k *Keys) Key(server string) (string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if key, ok := k.now[server]; ok {
		return key, nil
	}
	key, err := keyring.Get(keychain, server)
	if err != nil { // there is no keychain, or it does not have it
		all, errFile := k.read()
		if errFile != nil {
			return "", errors.Join(err, errFile)
		}
		key = all[server]
	}
	k.now[server] = key
	return key, nil
}

// SetKey keeps a server's key. With an error it is known in this session only.
func (k *Keys) SetKey(server, key string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now[server] = key
	if keyring.Set(keychain, server, key) == nil {
		return nil
	}
	all, err := k.read()
	if err != nil {
		return err
	}
	all = maps.Clone(all)
	all[server] = key
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return err
	}
	return renameio.WriteFile(k.file, text, 0o600)
}

func (k *Keys) read() (map[string]string, error) {
	all := map[string]string{}
	text, err := os.ReadFile(k.file)
	if errors.Is(err, fs.ErrNotExist) {
		return all, nil
	}
	if err != nil {
		return nil, err
	}
	return all, json.Unmarshal(text, &all)
}
