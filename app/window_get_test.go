//go:build !headless

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gimbal/inference/golden"
	"gimbal/inference/hub/hubtest"
)

// TestWindowGet downloads a model in the real window: what there is is listed, a licence is shown and
// accepted, the program is killed on the way, started again, paused and goes on, and the model is
// the form's in the end.
func TestWindowGet(t *testing.T) {
	const small, model = "lingbot-world-v2-1.3b-causal-fast", "lingbot-world-base-cam"
	h := hubOf(t, golden.Checkpoint(t), "robbyant/"+model)
	h.Repos["robbyant/"+small] = hubtest.Repo{"transformers/model.safetensors": hubtest.Random(5_000_000), "LICENSE": []byte(strings.Repeat("Attribution, no commercial use, share alike. ", 40))}
	h.Repos["robbyant/lingbot-world-v2-14b-causal-fast"] = hubtest.Repo{"Wan2.1_VAE.pth": hubtest.Random(1_000_000)}
	// Of a file of three requests two come, and nothing else, until the program is killed.
	h.Repos["robbyant/"+model]["about.dat"] = make([]byte, 192<<20)
	hang := func(ranges ...string) hubtest.Fault {
		return func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			if strings.HasSuffix(r.URL.Path, "about.dat") && slices.Contains(ranges, r.Header.Get("Range")) {
				return false
			}
			<-r.Context().Done()
			return true
		}
	}
	h.Slow(16 << 20)
	p := newSession(t)
	p.env = append(p.env, "HF_ENDPOINT="+h.URL)
	folder := filepath.Join(p.home, ".local/share/Gimbal/models", model)

	p.start()
	p.wait(30*time.Second, "the demo model's settings in the form", func() bool { return p.inputs().Job.Frames > 0 })
	p.where("get.open")
	p.settle()
	p.shot("get-01-first")
	p.click("get.open")
	p.where("get." + small)
	p.settle()
	p.shot("get-02-offers")
	p.click("get." + small)
	p.where("get.accept")
	p.settle()
	p.shot("get-03-licence")
	p.click("get.accept")
	p.settle()
	p.shot("get-04-accepted")
	p.click("get." + model)
	p.settle()
	p.shot("get-05-chosen")
	h.Answer(hang("bytes=0-67108863", "bytes=67108864-134217727"))
	p.click("get.begin")
	p.where("get.pause")
	p.wait(60*time.Second, "some of it", func() bool { return h.Served() > 80<<20 })
	p.shot("get-06-running")
	p.wait(60*time.Second, "two requests on disk", func() bool {
		text, _ := os.ReadFile(filepath.Join(folder, ".cache/huggingface/download/about.dat.chunks"))
		return strings.Count(string(text), "\n") == 3
	})

	p.cmd.Process.Signal(syscall.SIGKILL)
	<-p.ended
	if p.stored().Settings.Download.Model != model {
		t.Errorf("after a kill the settings hold %+v", p.stored().Settings)
	}
	before := h.Served()
	h.Answer(hang())
	p.start()
	p.where("get.pause") // the page is there by itself, and says so
	p.settle()
	time.Sleep(time.Second)
	p.shot("get-07-restarted")
	p.click("get.pause")
	p.wait(30*time.Second, "a pause", func() bool { return p.stored().Settings.Download.Paused })
	p.settle()
	p.shot("get-08-paused")
	h.Answer(nil)
	h.Slow(0)
	time.Sleep(time.Second)
	if h.Served() > before {
		t.Errorf("%d bytes came during a pause", h.Served()-before)
	}
	p.click("get.pause") // goes on
	p.wait(60*time.Second, "the model in the form", func() bool { return p.stored().Settings.ModelFolder == folder })
	p.settle()
	p.shot("get-09-done")
	if kept := p.stored(); kept.Inputs.Demo || kept.Settings.Download.Model != "" {
		t.Errorf("the form holds %+v, %+v", kept.Inputs, kept.Settings)
	}
	p.click("get.close")
	p.where("stage")
	p.settle()
	p.shot("get-10-closed")
	if got, want := h.Served(), total(h.Repos["robbyant/"+model])+1800; got > want { // a licence was shown
		t.Errorf("%d bytes came, want %d: something came twice", got, want)
	}
	if notes := h.Noted(); len(notes) > 0 {
		t.Error(notes)
	}
	p.window.Close()
	p.end()
	if out, errs, code := gimbal(t, "inspect", "--full", folder); code != 0 || !strings.Contains(out, "every hash that is known is right") {
		t.Errorf("inspect --full: exit code %d\n%s%s", code, out, errs)
	}
}

func total(r hubtest.Repo) (sum int64) {
	for _, data := range r {
		sum += int64(len(data))
	}
	return sum
}
