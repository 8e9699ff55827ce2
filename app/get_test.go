package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gimbal/inference/golden"
)

// hubOf serves a folder as a hub does its repository, slowly if asked to.
func hubOf(t *testing.T, dir, repo string, slow *atomic.Bool) *httptest.Server {
	const commit = "0123456789abcdef0123456789abcdef01234567"
	type entry struct {
		Type string         `json:"type"`
		Path string         `json:"path"`
		Size int64          `json:"size"`
		OID  string         `json:"oid"`
		LFS  map[string]any `json:"lfs"`
	}
	var list []entry
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		sum := sha256.Sum256(data)
		list = append(list, entry{"file", filepath.ToSlash(name), int64(len(data)), commit, map[string]any{"oid": hex.EncodeToString(sum[:]), "size": len(data)}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path := r.URL.Path; {
		case path == "/api/models/"+repo+"/revision/main":
			fmt.Fprintf(w, `{"sha": %q, "cardData": {"license": "apache-2.0"}}`, commit)
		case path == "/api/models/"+repo+"/tree/"+commit:
			json.NewEncoder(w).Encode(list)
		case strings.HasPrefix(path, "/"+repo+"/resolve/"+commit+"/"):
			if slow.Load() {
				w = slowly{w}
			}
			http.ServeFile(w, r, filepath.Join(dir, strings.TrimPrefix(path, "/"+repo+"/resolve/"+commit+"/")))
		default:
			http.Error(w, "Repository not found", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(server.Close)
	return server
}

// slowly writes a few kB at a time.
type slowly struct{ http.ResponseWriter }

func (s slowly) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var some int
		some, err = s.ResponseWriter.Write(p[n:min(n+8<<10, len(p))])
		n += some
		s.ResponseWriter.(http.Flusher).Flush()
		time.Sleep(10 * time.Millisecond)
	}
	return n, err
}

// TestGet fetches a model, is killed on the way, and goes on.
func TestGet(t *testing.T) {
	const repo = "robbyant/lingbot-world-base-cam"
	var slow atomic.Bool
	slow.Store(true)
	server := hubOf(t, golden.Checkpoint(t), repo, &slow)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := filepath.Join(t.TempDir(), "model")

	cmd := exec.Command(program, "get", "--dir", dir, "lingbot-world-base-cam")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for {
		parts, _ := filepath.Glob(filepath.Join(dir, "*", "*.part"))
		if len(parts) > 0 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	time.Sleep(200 * time.Millisecond)
	cmd.Process.Kill()
	cmd.Wait()
	if _, errs, code := gimbal(t, "inspect", dir); code != 1 {
		t.Errorf("what was half fetched: exit code %d\n%s", code, errs)
	}
	slow.Store(false)
	if out, errs, code := gimbal(t, "get", "--dir", dir, "lingbot-world-base-cam"); code != 0 || !strings.Contains(out, "complete") {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	if out, errs, code := gimbal(t, "inspect", "--full", dir); code != 0 || !strings.Contains(out, "every hash that is known is right") {
		t.Errorf("inspect --full: exit code %d\n%s%s", code, out, errs)
	}

	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--list", repo}, 0, "low_noise_model/diffusion_pytorch_model"},
		{[]string{"nobody/nothing"}, 1, "HF_TOKEN"},
		{[]string{"lingbot-world-v2-14b-causal-fast"}, 2, "CC BY-NC-SA 4.0"},
		{[]string{"something"}, 2, "lingbot-world-base-cam"},
	} {
		out, errs, code := gimbal(t, append([]string{"get"}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("get %v: exit code %d, want %d and %q\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
}
