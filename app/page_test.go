package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browsers are what Chromium is called.
var browsers = []string{"chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"}

// browser is a page in a headless Chromium.
type browser struct {
	t      *testing.T
	ctx    context.Context
	shots  string // folder for screenshots; "" for none
	mu     sync.Mutex
	errors []string // exceptions, and what the content's policy refuses
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range browsers {
		if found, err := exec.LookPath(name); err == nil && path == "" {
			path = found
		}
	}
	if path == "" {
		if os.Getenv("CI") != "" {
			t.Fatalf("there is none of %q", browsers)
		}
		t.Skipf("there is none of %q", browsers)
	}
	allocated, stop := chromedp.NewExecAllocator(context.Background(), chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.UserDataDir(t.TempDir()))
	t.Cleanup(stop)
	ctx, end := chromedp.NewContext(allocated)
	t.Cleanup(end)
	b := &browser{t: t, ctx: ctx, shots: os.Getenv("GIMBAL_SCREENSHOTS")}
	thrown, said := chromedp.Events(ctx, runtime.ExceptionThrown), chromedp.Events(ctx, log.EntryAdded)
	go func() {
		for e, err := range thrown {
			if err != nil {
				return // the end
			}
			b.wrong(exceptionText(e.ExceptionDetails))
		}
	}()
	go func() {
		for e, err := range said {
			if err != nil {
				return
			}
			if e.Entry.Source == log.EntrySourceSecurity || e.Entry.Source == log.EntrySourceViolation {
				b.wrong(e.Entry.Text)
			}
		}
	}()
	return b
}

// wrong notes an error of the page.
func (b *browser) wrong(text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.errors = append(b.errors, text)
}

// do acts on the page; what waits for something waits for half a minute.
func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		b.shot("page-failed")
		b.t.Fatalf("%s: %v", what, err)
	}
}

func exceptionText(e *runtime.ExceptionDetails) string {
	if e.Exception != nil && e.Exception.Description != "" {
		return e.Exception.Description
	}
	return e.Text
}

// click clicks on a part of the page that an expression names.
func click(b *browser, expression string) {
	b.t.Helper()
	ask[bool](b, "("+expression+".click(), true)")
}

// ask returns the value of a JavaScript expression.
func ask[T any](b *browser, expression string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.shot("page-failed")
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// wait waits until a JavaScript expression is true.
func (b *browser) wait(what, expression string) {
	b.t.Helper()
	for end := time.Now().Add(90 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if ask[bool](b, "!!("+expression+")") {
			return
		}
	}
	b.shot("page-failed")
	b.t.Fatalf("waited for %s in vain", what)
}

// shot takes a picture of the whole page, and keeps it on request.
func (b *browser) shot(name string) {
	b.t.Helper()
	if b.shots == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.MkdirAll(b.shots, 0o755)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(b.shots, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Error(err)
	}
}

// dropFile drops a file on a part of the page, as a person does.
func (b *browser) dropFile(selector, path string) {
	b.t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		b.t.Fatal(err)
	}
	ok := ask[bool](b, fmt.Sprintf(`(() => {
		const data = new DataTransfer();
		data.items.add(new File([Uint8Array.from(atob(%q), c => c.charCodeAt(0))], %q, {type: "image/png"}));
		return !document.querySelector(%q).dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
	})()`, base64.StdEncoding.EncodeToString(data), filepath.Base(path), selector))
	if !ok {
		b.t.Errorf("%s does not take what is dropped", selector)
	}
}

// first is the newest video on the page.
const first = `document.querySelector("#videos li")`

// TestPage uses the page of a real server in a real browser: as a person with a key, who drops
// a picture, chooses a camera path, asks for videos, cancels one, watches another, and loses the
// server for a while.
func TestPage(t *testing.T) {
	demo := serviceHome(t)
	const key = "a-key-for-the-page-001"
	users, store := filepath.Join(t.TempDir(), "users"), t.TempDir()
	if err := os.WriteFile(users, []byte("ada "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t)
	server, lines := startProcess(t, 1, "serve", "--listen", "127.0.0.1:0", "--store", store, "--api_keys", users, "--lease", "3s")
	url := strings.TrimPrefix(lines[0], "listening on ")
	b.do("the page", chromedp.EmulateViewport(1200, 800), chromedp.Navigate(url))

	enter := func(key string) {
		t.Helper()
		b.wait("the question for a key", `document.querySelector("#login").open`)
		b.do("a key", chromedp.SetValue("#key", key), chromedp.Click("#login button"))
	}
	enter("not-the-key-0123456")
	b.wait("what is wrong", `document.querySelector("#login").open && document.querySelector("#wrong").textContent.includes("not known")`)
	enter(key)
	b.wait("a model", `document.querySelector("#model").value === "demo"`)
	b.wait("a plan", `document.querySelector("#plan").textContent.includes("17 frames")`)
	b.do("an empty form", chromedp.Click("#form button"))
	b.wait("what is missing", `/prompt/.test(document.querySelector("#error").textContent) && /image/.test(document.querySelector("#error").textContent)`)

	b.dropFile("#drop", filepath.Join(demo.Pictures, "desert.png"))
	b.wait("the picture", `document.querySelector("#picture").naturalWidth > 0`)
	b.wait("its plan", `document.querySelector("#plan").textContent.includes("208×128")`)
	b.do("a form", chromedp.SetValue("#camera", "left"), chromedp.SendKeys("#prompt", "a desert at dusk"))
	b.shot("30-page-form")
	b.do("a video", chromedp.Click("#form button"))
	b.wait("a preview", first+`?.querySelector("img").naturalWidth > 0 && !`+first+`.querySelector("img").hidden`)
	b.wait("one frame of it at a time", `Math.abs(`+first+`.querySelector("img").clientWidth / `+first+`.querySelector(".stage").clientWidth - 5) < 0.1`)
	b.shot("31-page-preview")
	b.do("another video", chromedp.Click("#form button"))
	b.wait("that it waits", `document.querySelectorAll("#videos li").length === 2 && /^waits/.test(`+first+`.querySelector(".status").textContent)`)
	click(b, first+`.querySelector("button")`)
	b.wait("its end", first+`.dataset.status === "cancelled"`)
	click(b, first+`.querySelector("button")`)
	b.wait("the other one only", `document.querySelectorAll("#videos li").length === 1`)

	server.kill()
	b.wait("that the server is away", `document.querySelector("#state").textContent.includes("away")`)
	startProcess(t, 1, "serve", "--listen", strings.TrimPrefix(url, "http://"), "--store", store, "--api_keys", users, "--lease", "3s")
	b.wait("that it is back", `document.querySelector("#state").textContent === ""`)
	b.wait("the video", first+`.dataset.status === "done" && `+first+`.querySelector("video").readyState >= 2`)
	size := ask[string](b, `(v => v.videoWidth + "x" + v.videoHeight + " " + v.duration.toFixed(2))(`+first+`.querySelector("video"))`)
	if !strings.HasSuffix(size, " 1.06") { // 17 frames, 16 a second
		t.Errorf("the video is %s", size)
	}
	b.shot("32-page-video")
	b.do("a phone", chromedp.EmulateViewport(390, 844, chromedp.EmulateMobile, chromedp.EmulateTouch), chromedp.Reload())
	b.wait("the video again", first+`?.querySelector("video").readyState >= 2`)
	if ask[bool](b, `document.documentElement.scrollWidth > innerWidth`) {
		t.Error("the page is wider than a phone")
	}
	b.shot("33-page-phone")
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.errors) > 0 {
		t.Errorf("the page's errors: %q", b.errors)
	}
}
