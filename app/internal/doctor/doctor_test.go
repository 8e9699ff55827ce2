package doctor

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// parts are those of the tests' examinations.
var parts = []Part{
	{Name: "first", About: "what is right", Limit: time.Minute, Run: func(_ context.Context, s *Session) Verdict {
		s.Printf("a file: %s\n", filepath.Join(os.Getenv("HOME"), "secret"))
		return Verdict{Status: OK, Text: "in " + os.Getenv("HOME"), Findings: []string{"nothing"}}
	}},
	{Name: "crash", About: "what crashes", Limit: time.Minute, Env: []string{"PLANTED=crash"}, Run: func(_ context.Context, s *Session) Verdict {
		s.Doing("operation %d", 7)
		if os.Getenv("PLANTED") == "crash" {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
		select {}
	}},
	{Name: "hang", About: "what hangs", Limit: 100 * time.Millisecond, Run: func(ctx context.Context, s *Session) Verdict {
		s.Doing("wait")
		<-ctx.Done()
		return Verdict{Status: Failed, Text: ctx.Err().Error()}
	}},
	{Name: "last", About: "what comes last", Limit: time.Minute, Run: func(context.Context, *Session) Verdict {
		return Verdict{Status: Skipped, Text: "there is no need"}
	}},
}

// waits is a part that goes on until its examination ends.
var waits = Part{Name: "waits", About: "what waits", Limit: time.Minute, Run: func(_ context.Context, s *Session) Verdict {
	s.Doing("wait for the end")
	time.Sleep(time.Minute)
	return Verdict{Status: OK}
}}

func TestMain(m *testing.M) {
	if ran, err := RunPart(context.Background(), append(parts, waits), os.Stdout); ran {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func options(t *testing.T, out io.Writer, parts ...Part) Options {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return Options{Dir: filepath.Join(t.TempDir(), "found"), Program: "Test 1", Parts: parts, Command: []string{program}, Out: out}
}

func TestRun(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", filepath.Join(home, "jane.doe"))
	var out bytes.Buffer
	o := options(t, &out, parts...)
	x, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]struct {
		status Status
		text   string
	}{
		"first": {OK, "in ~"}, "crash": {Stopped, "signal: killed, at: operation 7"}, "hang": {Failed, "deadline"}, "last": {Skipped, "no need"},
	} {
		if v := x.Verdicts[part]; v.Status != want.status || !strings.Contains(v.Text, want.text) {
			t.Errorf("%s: %+v, want %v and %q", part, v, want.status, want.text)
		}
	}
	if !x.Wrong() || !x.Finished {
		t.Errorf("%+v", x)
	}
	all := unzip(t, Bundle(o.Dir))
	for _, want := range []string{"STOPPED  the process ended", "a file: ~/secret", "last         skipped  there is no need"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in the bundle:\n%s", want, all)
		}
	}
	if strings.Contains(all, "jane") {
		t.Errorf("the user's name is in the bundle:\n%s", all)
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "finished") {
		t.Errorf("a finished examination: %v", err)
	}
}

func unzip(t *testing.T, path string) string {
	t.Helper()
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	var all strings.Builder
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(&all, f.Name)
		if _, err := io.Copy(&all, r); err != nil {
			t.Fatal(err)
		}
		r.Close()
	}
	return all.String()
}

// TestResume goes on after an examination that died with the machine, which says what it was doing,
// and does a part again during which the user stopped it.
func TestResume(t *testing.T) {
	var out bytes.Buffer
	o := options(t, &out, parts[0], waits, parts[3])
	if err := os.MkdirAll(o.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	x := Examination{Program: o.Program, Started: time.Now(), Running: "waits", Verdicts: map[string]Verdict{"first": {Status: OK}}}
	if err := errors.Join(x.save(o.Dir), os.WriteFile(filepath.Join(o.Dir, "waits.txt"), []byte("> one\nx\n> two\ny\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	x, err := Run(t.Context(), o)
	if err != nil || x.Verdicts["waits"].Status != Stopped || !strings.HasSuffix(x.Verdicts["waits"].Text, "at: two") || x.Verdicts["last"].Status != Skipped {
		t.Errorf("%+v, %v", x, err)
	}
	if !strings.Contains(out.String(), "Going on with") || strings.Contains(out.String(), "what is right") {
		t.Errorf("it does not go on where it stopped:\n%s", out.String())
	}

	o = options(t, io.Discard, waits)
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(300*time.Millisecond, cancel)
	began := time.Now()
	if _, err := Run(ctx, o); !errors.Is(err, context.Canceled) || time.Since(began) > 10*time.Second {
		t.Errorf("cancelled: %v after %v", err, time.Since(began))
	}
	if x, found, err := Find(o.Dir); !found || err != nil || x.Running != "" || len(x.Verdicts) != 0 || x.Finished {
		t.Errorf("a part that the user stopped: %+v, %v", x, err)
	}
	o.Program = "Test 2"
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "Test 1") {
		t.Errorf("another program: %v", err)
	}
}

// TestLock has two examinations in one folder.
func TestLock(t *testing.T) {
	o := options(t, io.Discard, parts[3])
	unlock, err := lock(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "under way") {
		t.Errorf("a second one: %v", err)
	}
	unlock()
	if _, err := Run(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestDamagedJournal(t *testing.T) {
	o := options(t, io.Discard, parts[3])
	if err := errors.Join(os.MkdirAll(o.Dir, 0o755), os.WriteFile(filepath.Join(o.Dir, journal), []byte("{"), 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), o.Dir) {
		t.Errorf("%v, want the folder", err)
	}
}

func TestScrub(t *testing.T) {
	home := filepath.Join(t.TempDir(), "Users", "mary.major")
	if err := os.MkdirAll(home, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("HOME", home)
	s := NewScrubber()
	host, _ := os.Hostname()
	for in, want := range map[string]string{
		home + "/models/a.safetensors":    "~/models/a.safetensors",
		"open " + home + ": no":           "open ~: no",
		home + "2/x":                      home + "2/x", // another folder
		"/Users/jim/x and /home/kate y":   "~/x and ~ y",
		"for Mary.Major, who":             "for NAME, who",
		os.TempDir() + "/gimbal-1/v.mp4":  "TMP/gimbal-1/v.mp4",
		"/opt/homebrew/lib at 12 TFLOP/s": "/opt/homebrew/lib at 12 TFLOP/s",
	} {
		if strings.HasPrefix(home, os.TempDir()) && strings.HasPrefix(in, home+"2") {
			want = "TMP" + strings.TrimPrefix(want, os.TempDir())
		}
		if got := s.Scrub(in); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
	if len(host) >= shortest && host != "localhost" && strings.Contains(s.Scrub("on "+host+" now"), host) {
		t.Error("the machine's name stays")
	}
}

// TestPartEndsWithItsExamination has the process of a part end when that which started it is gone.
func TestPartEndsWithItsExamination(t *testing.T) {
	var out bytes.Buffer
	o := options(t, &out, waits)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, o)
		done <- err
	}()
	time.AfterFunc(200*time.Millisecond, cancel)
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the part goes on")
	}
}
