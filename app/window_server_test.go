//go:build !headless

package main

import (
	"encoding/json"
	"image"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gimbal/ui/studio"
)

// TestWindowServer has the real window ask a real server for videos: it is chosen in the
// settings, shows previews, goes away and comes back, a run is cancelled there and goes on,
// another is made beside it, and both are followed again after the window was closed.
func TestWindowServer(t *testing.T) {
	serviceHome(t)
	const key = "a-key-for-the-window-1"
	users, store := filepath.Join(t.TempDir(), "users"), t.TempDir()
	if err := os.WriteFile(users, []byte("ada "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	server, lines := startProcess(t, 1, "serve", "--listen", "127.0.0.1:0", "--store", store, "--api_keys", users, "--lease", "3s")
	url := strings.TrimPrefix(lines[0], "listening on ")
	address := strings.TrimPrefix(url, "http://")

	p := newSession(t)
	picture := p.picture(t, "desert.png")
	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.connect(address, key)
	p.drop(picture)
	p.fill("prompt", "a desert with a tree at dusk")
	p.fill("frame_num", "5")
	p.fill("max_area", "9216")
	p.fill("sample_steps", "25")
	p.wait(30*time.Second, "the settings in the form", func() bool { return p.inputs().Job.Steps == 25 })
	p.click("generate")
	p.awaitPreview()
	p.shot("21-server-preview")
	server.kill()
	time.Sleep(3 * time.Second) // the window says so
	p.shot("22-server-away")
	startProcess(t, 1, "serve", "--listen", address, "--store", store, "--api_keys", users, "--lease", "3s", "--workers", "2")
	p.wait(120*time.Second, "the video", func() bool { return p.states() == "done" })
	p.where("player.screen")
	time.Sleep(300 * time.Millisecond) // drawn ten times a second
	p.shot("23-server-video")
	if run := p.runs()[0]; run.Settings.Server != url || run.Settings.Checkpoint != "demo" || run.Frames != 5 {
		t.Errorf("the run is %+v", run)
	}

	p.fill("sample_steps", "150") // longer than what follows takes, on a quiet machine
	p.wait(30*time.Second, "the steps in the form", func() bool { return p.inputs().Job.Steps == 150 })
	p.click("generate")
	p.wait(60*time.Second, "another run", func() bool { return p.states() == "done running" && p.statuses(url, key) == "running done" })
	p.awaitPreview()
	p.click("cancel")
	p.wait(30*time.Second, "its end", func() bool { return p.states() == "done cancelled" && p.statuses(url, key) == "cancelled done" })
	p.Press("ctrl+r")
	p.wait(60*time.Second, "it to go on", func() bool { return p.states() == "done running" })
	p.awaitPreview()
	p.click("generate")
	p.wait(60*time.Second, "both made at once", func() bool { return p.statuses(url, key) == "running running done" })
	p.click("queue")
	p.where("queue.show.1")
	time.Sleep(300 * time.Millisecond) // drawn ten times a second; what runs never rests
	p.shot("24-server-two")
	p.click("queue.show.1")
	time.Sleep(300 * time.Millisecond)
	p.awaitPreview()
	p.window.Close()
	time.Sleep(3 * time.Second) // the question comes up
	p.shot("24-server-quit")
	p.Press("tab")
	p.Press("tab")
	p.Press("space")
	p.end()
	p.start()
	p.wait(300*time.Second, "the videos that the server went on with", func() bool { return p.states() == "done done done" })
	p.where("player.screen")
	time.Sleep(300 * time.Millisecond) // drawn ten times a second
	p.shot("25-server-restarted")
	p.window.Close()
	p.end()
	if strings.Contains(readAll(t, filepath.Join(p.home, ".local/share/Gimbal/settings.json")), key) {
		t.Error("the key is among the settings")
	}
}

// awaitPreview waits for the preview of a run, which takes its time on a busy machine.
func (p *session) awaitPreview() {
	p.t.Helper()
	p.wait(time.Minute, "the preview", func() bool {
		_, ok := p.rectangle("preview")
		return ok
	})
}

// connect chooses a server in the settings.
func (p *session) connect(address, key string) {
	p.t.Helper()
	p.click("settings")
	at := p.where("server.there")
	p.settle()
	p.Click(image.Pt(at.Min.X+3*at.Dx()/4, at.Min.Y+at.Dy()/2))
	p.where("server.address")
	p.settle()
	p.click("server.address")
	p.Type(address)
	p.click("server.key")
	p.Type(key)
	p.Press("enter") // as the button
	p.wait(30*time.Second, "the server's model", func() bool {
		var kept struct{ Settings studio.Settings }
		text, err := os.ReadFile(filepath.Join(p.home, ".local/share/Gimbal/settings.json"))
		return err == nil && json.Unmarshal(text, &kept) == nil && kept.Settings.ServerModel == "demo"
	})
	p.settle()
	p.shot("20-server-settings")
	p.click("settings.close")
	p.settle()
}

// statuses are those of the videos on a server, the newest first.
func (p *session) statuses(url, key string) string {
	p.t.Helper()
	r, err := http.NewRequest(http.MethodGet, url+"/v1/videos", nil)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	var list struct{ Data []videoOf }
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil {
		return err.Error()
	}
	var words []string
	for _, v := range list.Data {
		words = append(words, v.Status)
	}
	return strings.Join(words, " ")
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
