package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/golden"
)

// tree is a folder in the making.
type tree struct {
	t   *testing.T
	dir string
}

// checkpointTree returns a copy of the reference checkpoint whose files share the
// originals' contents: they are replaced, never written to.
func checkpointTree(t *testing.T) tree {
	t.Helper()
	c := tree{t, filepath.Join(t.TempDir(), "model")}
	c.addCheckpoint("")
	return c
}

// addCheckpoint puts the reference checkpoint into the folder called name.
func (c tree) addCheckpoint(name string) {
	c.t.Helper()
	from := golden.Checkpoint(c.t)
	c.check(filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		to := filepath.Join(c.dir, name, rel)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(to, 0o755)
		case os.Link(path, to) == nil:
			return nil
		}
		data, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(to, data, 0o644)
		}
		return err
	}))
}

func (c tree) check(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c tree) at(name string) string { return filepath.Join(c.dir, filepath.FromSlash(name)) }

func (c tree) read(name string) []byte {
	c.t.Helper()
	data, err := os.ReadFile(c.at(name))
	c.check(err)
	return data
}

// write puts a file in the place of what was there.
func (c tree) write(name, text string) {
	c.t.Helper()
	c.remove(name)
	c.check(os.MkdirAll(filepath.Dir(c.at(name)), 0o755))
	c.check(os.WriteFile(c.at(name), []byte(text), 0o644))
}

func (c tree) remove(name string) { c.t.Helper(); c.check(os.RemoveAll(c.at(name))) }

func (c tree) rename(from, to string) {
	c.t.Helper()
	c.check(os.MkdirAll(filepath.Dir(c.at(to)), 0o755))
	c.check(os.Rename(c.at(from), c.at(to)))
}

func (c tree) link(target, name string) {
	c.t.Helper()
	c.remove(name)
	c.check(os.MkdirAll(filepath.Dir(c.at(name)), 0o755))
	c.check(os.Symlink(target, c.at(name)))
}

// files lists the files of the tree.
func (c tree) files() (names []string) {
	c.check(filepath.WalkDir(c.dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			rel, _ := filepath.Rel(c.dir, path)
			names = append(names, filepath.ToSlash(rel))
		}
		return err
	}))
	return names
}

// hub makes the tree a repository of Hugging Face's cache: blobs, and links to them.
func (c tree) hub(name, revision string) {
	for i, file := range c.files() {
		blob := fmt.Sprintf("%s/blobs/%064x", name, i)
		c.rename(file, blob)
		link := name + "/snapshots/" + revision + "/" + file
		target, err := filepath.Rel(filepath.Dir(c.at(link)), c.at(blob))
		c.check(err)
		c.link(target, link)
	}
	for _, folder := range []string{high, low, "google"} {
		c.remove(folder)
	}
	c.write(name+"/refs/main", revision)
}

// runCommand does what the program does with its arguments, without a process of its own.
func runCommand(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	code = runMain(t.Context(), args, &out, &errs)
	return out.String(), errs.String(), code
}

// The parts of the reference checkpoint, whose experts are of one file and of two.
const (
	high, low   = "high_noise_model", "low_noise_model"
	highFile    = high + "/diffusion_pytorch_model.safetensors"
	lowIndex    = low + "/diffusion_pytorch_model.safetensors.index.json"
	lowShard1   = low + "/diffusion_pytorch_model-00001-of-00002.safetensors"
	lowShard2   = low + "/diffusion_pytorch_model-00002-of-00002.safetensors"
	textFile    = "models_t5_umt5-xxl-enc-bf16.pth"
	vaeFile     = "Wan2.1_VAE.pth"
	vocabulary  = "google/umt5-xxl/tokenizer.json"
	lfsPointer  = "version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 4242\n"
	webPage     = "\n<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>"
	accessError = `{"error":"Access to this repository is restricted"}`
)

// TestFound makes sure that a model is found in what people's disks make of its folder.
func TestFound(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(tree) string // what is given to the program, in the tree
	}{
		{"what macOS leaves", func(c tree) string {
			for _, file := range c.files() {
				c.write(filepath.Join(filepath.Dir(file), "._"+filepath.Base(file)), "\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X")
				c.write(filepath.Join(filepath.Dir(file), ".DS_Store"), "\x00\x00\x00\x01Bud1")
			}
			c.write("._"+high, "\x00\x05\x16\x07")
			return ""
		}},
		{"copies", func(c tree) string {
			c.write(low+"/Copy of diffusion_pytorch_model.safetensors.index.json", "{}")
			c.write(low+"/diffusion_pytorch_model copy.safetensors", "half a file")
			c.write(high+"/diffusion_pytorch_model (1).safetensors", "half a file")
			c.write("Copy of "+vaeFile, "half a file")
			return ""
		}},
		{"copies of an index by another name", func(c tree) string {
			c.rename(lowIndex, low+"/wan.safetensors.index.json")
			c.write(low+"/wan copy.safetensors.index.json", string(c.read(low+"/wan.safetensors.index.json")))
			return ""
		}},
		{"no index", func(c tree) string { c.remove(lowIndex); return "" }},
		{"capitals", func(c tree) string {
			for _, file := range c.files() {
				c.rename(file, strings.ToUpper(file))
			}
			for _, folder := range []string{high, low, "google"} {
				c.remove(folder)
			}
			return ""
		}},
		{"capital suffixes", func(c tree) string {
			for _, file := range []string{highFile, lowShard1, lowShard2, lowIndex, textFile, vaeFile} {
				base, ext, _ := strings.Cut(file, ".")
				c.rename(file, base+"."+strings.ToUpper(ext))
			}
			return ""
		}},
		{"a snapshot", func(c tree) string { c.hub("models--a--b", "0123abcd"); return "models--a--b/snapshots/0123abcd" }},
		{"a repository of the cache", func(c tree) string { c.hub("models--a--b", "0123abcd"); return "models--a--b" }},
		{"the cache", func(c tree) string { c.hub("hub/models--a--b", "0123abcd"); return "" }},
		{"two snapshots", func(c tree) string {
			c.hub("models--a--b", "0123abcd")
			c.write("models--a--b/snapshots/4567/low_noise_model/config.json", "{}")
			return "models--a--b"
		}},
		{"links to folders", func(c tree) string {
			c.rename(high, "elsewhere/high")
			c.link("elsewhere/high", high)
			return ""
		}},
		{"a folder of folders", func(c tree) string {
			other := tree{c.t, filepath.Join(filepath.Dir(c.dir), "all")}
			other.write("notes/readme.txt", "x")
			c.check(os.Rename(c.dir, other.at("lingbot")))
			return "../all"
		}},
		{"an archive's folder in a folder", func(c tree) string {
			other := tree{c.t, filepath.Join(filepath.Dir(c.dir), "all")}
			other.write("lingbot/.DS_Store", "x")
			c.check(os.Rename(c.dir, other.at("lingbot/lingbot")))
			return "../all"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := checkpointTree(t)
			path := model.at(c.change(model))
			out, errs, code := runCommand(t, "inspect", path)
			if code != 0 || !strings.Contains(out, "whole: every tensor") {
				t.Errorf("inspect %s: exit code %d\n%s%s", path, code, out, errs)
			}
			args := []string{"plan", "--ckpt_dir", path, "--frame_num", "5", "--image", filepath.Join(golden.Dir(t), "image.png")}
			if out, errs, code := runCommand(t, args...); code != 0 || strings.Contains(out, "note:") {
				t.Errorf("plan: exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestNamed makes sure that what is no model, or half of one, is told for what it is, in a
// line, and that nothing is made with it.
func TestNamed(t *testing.T) {
	write := func(name, text string) func(tree) string {
		return func(c tree) string { c.write(name, text); return "" }
	}
	// zeros clears a part of a file, in kB.
	zeros := func(name string, from, to int) func(tree) string {
		return func(c tree) string {
			data := c.read(name)
			clear(data[from<<10 : min(to<<10, len(data))])
			c.write(name, string(data))
			return ""
		}
	}
	link := func(target, name string) func(tree) string {
		return func(c tree) string { c.link(target, name); return "" }
	}
	for _, c := range []struct {
		name   string
		change func(tree) string
		says   []string
	}{
		{"pointer as weights", write(highFile, lfsPointer), []string{highFile, "Git LFS pointer", "git lfs pull"}},
		{"pointer as shard", write(lowShard2, lfsPointer), []string{lowShard2, "Git LFS pointer"}},
		{"pointer as text encoder", write(textFile, lfsPointer), []string{textFile, "Git LFS pointer"}},
		{"pointer as VAE", write(vaeFile, lfsPointer), []string{vaeFile, "Git LFS pointer"}},
		{"pointer as vocabulary", write(vocabulary, lfsPointer), []string{vocabulary, "Git LFS pointer"}},
		{"pointer as index", write(lowIndex, lfsPointer), []string{lowIndex, "Git LFS pointer"}},
		{"page as weights", write(highFile, webPage), []string{highFile, "a web page", "log-in"}},
		{"page as VAE", write(vaeFile, webPage), []string{vaeFile, "a web page"}},
		{"page as configuration", write(high+"/config.json", webPage), []string{high + "/config.json", "a web page"}},
		{"page as vocabulary", write(vocabulary, webPage), []string{vocabulary, "a web page"}},
		{"error as weights", write(highFile, accessError), []string{highFile, "Access to this repository is restricted"}},
		{"error as configuration", write(high+"/config.json", accessError), []string{high + "/config.json", "none called model_type"}},
		{"link's text as weights", write(highFile, "../../blobs/0123abcd"), []string{highFile, "the text of a link to ../../blobs/0123abcd"}},
		{"alias", write(highFile, "book\x00\x00\x00\x00mark\x00\x00\x00\x00"), []string{highFile, "a Finder alias"}},
		{"alias of an expert", write(high, "book\x00\x00\x00\x00mark\x00\x00\x00\x00"), []string{high, "a Finder alias"}},
		{"zeros", write(highFile, strings.Repeat("\x00", 1<<20)), []string{highFile, "only zeros", "download"}},
		{"archive", write(textFile, "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03"), []string{textFile, "gzip"}},
		{"nothing", write(lowShard1, ""), []string{lowShard1, "0 bytes"}},
		{"part of a file not there yet", zeros(highFile, 1000, 1100), []string{highFile, "bytes of zeros", "download complete"}},
		{"the end of a shard not there yet", zeros(lowShard1, 500, 1000), []string{lowShard1, "zeros"}},
		{"part of the VAE not there yet", zeros(vaeFile, 400, 410), []string{vaeFile, "bytes of zeros"}},
		{"no number", func(c tree) string {
			data := c.read(highFile)
			copy(data[len(data)-4:], "\xff\xff\xff\xff")
			c.write(highFile, string(data))
			return ""
		}, []string{highFile, "NaN"}},
		{"an unfinished download", write(highFile+".aria2", "x"), []string{high, "not finished", ".aria2"}},
		{"an unfinished shard", write(low+"/other.safetensors.part", "x"), []string{low, "not finished", ".part"}},
		{"an unfinished VAE", write(vaeFile+".incomplete", "x"), []string{vaeFile, "not finished", ".incomplete"}},
		{"dangling expert", link("/nowhere/high", high), []string{high, "a link to /nowhere/high, which is not there"}},
		{"dangling weights", link("../../blobs/0123", highFile), []string{highFile, "/blobs/0123, which is not there"}},
		{"dangling shard", link("../blobs/0123", lowShard1), []string{lowShard1, "blobs/0123, which is not there"}},
		{"dangling index", link("../blobs/0123", lowIndex), []string{lowIndex, "blobs/0123, which is not there"}},
		{"dangling VAE", link("blobs/0123", vaeFile), []string{vaeFile, "blobs/0123, which is not there"}},
		{"dangling vocabulary", link("blobs/0123", vocabulary), []string{vocabulary, "blobs/0123, which is not there"}},
		{"dangling configuration", link("blobs/0123", low+"/config.json"), []string{low + "/config.json", "blobs/0123, which is not there"}},
		{"dangling folder of the vocabulary", link("/nowhere/google", "google"), []string{"google", "a link to /nowhere/google, which is not there"}},
		{"text encoder as VAE", func(c tree) string { c.write(vaeFile, string(c.read(textFile))); return "" }, []string{vaeFile, "another part: text encoder", "interchanged"}},
		{"endless link", link(high, high), []string{high, "leads nowhere"}},
		{"dangling model", func(c tree) string { c.link("/nowhere/model", "../gone"); return "../gone" }, []string{"/nowhere/model, which is not there"}},
		{"lost shard", func(c tree) string { c.remove(lowShard1); return "" }, []string{filepath.Base(lowShard1) + ", which is missing"}},
		{"different indexes", func(c tree) string {
			c.rename(lowIndex, low+"/a.safetensors.index.json")
			c.write(low+"/b.safetensors.index.json", `{"weight_map":{"a":"b.safetensors"}}`)
			return ""
		}, []string{"a.safetensors.index.json, b.safetensors.index.json"}},
		{"two models", func(c tree) string { c.addCheckpoint("../all/a"); c.addCheckpoint("../all/b"); return "../all" },
			[]string{"2 of them", "all/a", "all/b", "one of these"}},
		{"an expert", func(tree) string { return high }, []string{"one part of a model"}},
		{"a file", func(tree) string { return lowIndex }, []string{"a file", "the folder of the model"}},
		{"an empty folder", func(c tree) string { c.check(os.Mkdir(c.at("x"), 0o755)); return "x" }, []string{"nothing in it", high}},
		{"another folder", func(tree) string { return "google/umt5-xxl" }, []string{"one with ", "tokenizer.json", high}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			model := checkpointTree(t)
			path := model.at(c.change(model))
			video := filepath.Join(t.TempDir(), "v.mp4")
			for _, args := range [][]string{
				{"inspect", path},
				{"generate", "--ckpt_dir", path, "--image", filepath.Join(golden.Dir(t), "image.png"), "--prompt", "x", "--save_file", video},
			} {
				out, errs, code := runCommand(t, args...)
				if code != 1 || strings.Count(errs, "\n")-strings.Count(errs, "opened ") != 1 {
					t.Errorf("%s: exit code %d\n%s%s", args[0], code, out, errs)
				}
				for _, want := range c.says {
					if !strings.Contains(errs, want) {
						t.Errorf("%s does not say %q:\n%s", args[0], want, errs)
					}
				}
			}
			if left, err := filepath.Glob(filepath.Join(filepath.Dir(video), "*")); err != nil || len(left) > 0 {
				t.Errorf("there is %v, %v", left, err)
			}
		})
	}
}

// TestOneExpert makes sure that every command says so when one expert does what two should.
func TestOneExpert(t *testing.T) {
	for _, c := range []struct{ there, missing string }{{low, high}, {high, low}} {
		model := checkpointTree(t)
		model.remove(c.missing)
		want := fmt.Sprintf("one expert does every step: %s, as there is no %s", c.there, c.missing)
		args := []string{"--ckpt_dir", model.dir, "--image", filepath.Join(golden.Dir(t), "image.png"), "--prompt", "x", "--frame_num", "1", "--max_area", "1024", "--sample_steps", "1", "--save_file", filepath.Join(t.TempDir(), "v.mp4")}
		for _, args := range [][]string{{"inspect", model.dir}, append([]string{"plan"}, args...), append([]string{"generate"}, args...)} {
			out, errs, code := runCommand(t, args...)
			if code != 0 || !strings.Contains(out+errs, want) || strings.Contains(out, "whole:") {
				t.Errorf("%s without %s: exit code %d\n%s%s", args[0], c.missing, code, out, errs)
			}
		}
		out, _, _ := runCommand(t, append([]string{"plan", "--boundary", map[string]string{low: "1", high: "0"}[c.there]}, args...)...)
		if strings.Contains(out, "note:") {
			t.Errorf("a plan for %s alone as it should be: %s", c.there, out)
		}
	}
}

// TestTwins makes sure that it is said when both experts are the same, as where one was fetched twice.
func TestTwins(t *testing.T) {
	model := checkpointTree(t)
	model.remove(low)
	model.check(os.CopyFS(model.at(low), os.DirFS(model.at(high))))
	video := filepath.Join(t.TempDir(), "v.mp4")
	for _, args := range [][]string{
		{"inspect", model.dir},
		{"plan", "--ckpt_dir", model.dir, "--frame_num", "5", "--image", filepath.Join(golden.Dir(t), "image.png")},
		{"generate", "--ckpt_dir", model.dir, "--image", filepath.Join(golden.Dir(t), "image.png"), "--prompt", "x", "--frame_num", "5", "--sample_steps", "1", "--max_area", "1536", "--save_file", video},
	} {
		if out, errs, code := gimbal(t, args...); code != 0 || !strings.Contains(out+errs, "hold the same weights") {
			t.Errorf("%s: exit code %d\n%s%s", args[0], code, out, errs)
		}
	}
}

// TestInspectFull makes sure that a model's files are compared with what the hub says of them,
// and read whole where it says nothing.
func TestInspectFull(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	model := checkpointTree(t)
	metadata := func(hash string) {
		model.write(".cache/huggingface/download/"+highFile+".metadata", "0123\n"+hash+"\n1700000000\n")
	}
	metadata(fmt.Sprintf("%x", sha256.Sum256(model.read(highFile))))
	out, errs, code := runCommand(t, "inspect", model.dir, "--full")
	if code != 0 || !strings.Contains(out, "every hash that is known is right") || !strings.Contains(errs, "read ") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
	metadata(strings.Repeat("0", 64))
	if out, _, code := runCommand(t, "inspect", model.dir); code != 0 {
		t.Errorf("without --full: exit code %d\n%s", code, out)
	}
	out, errs, code = runCommand(t, "inspect", "--full", model.dir)
	if code != 1 || !strings.Contains(errs, highFile+": SHA-256: found") || strings.Contains(out, "is right") {
		t.Errorf("another hash: exit code %d\n%s%s", code, out, errs)
	}
}

// TestLostWeights takes weights away while they are in use: the run is kept, and goes on to
// the same video once they are back.
func TestLostWeights(t *testing.T) {
	c := golden.Cases(t, "e2e_")[0]
	var scalars e2e
	c.Scalars(t, &scalars)
	scalars.Steps = 40
	args := func(ckpt, video string) []string {
		args := scalars.args(t, video)
		args[slices.Index(args, "--ckpt_dir")+1] = ckpt
		return args
	}
	whole := filepath.Join(t.TempDir(), "v.mp4")
	if out, errs, code := gimbal(t, args(golden.Checkpoint(t), whole)...); code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, out, errs)
	}
	want, err := os.ReadFile(whole)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{highFile, lowShard1} {
		model := checkpointTree(t)
		weights := model.read(file)
		model.write(file, string(weights)) // a file of its own
		video := filepath.Join(t.TempDir(), "v.mp4")
		cmd := exec.Command(program, args(model.dir, video)...)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.StdoutPipe()
		model.check(err)
		model.check(cmd.Start())
		for s := bufio.NewScanner(out); s.Scan() && !strings.Contains(s.Text(), `"event":"step"`); {
		}
		model.check(os.Truncate(model.at(file), 100))
		io.Copy(io.Discard, out)
		cmd.Wait()
		run := strings.TrimSuffix(video, ".mp4") + ".run"
		if code := cmd.ProcessState.ExitCode(); code != 1 || strings.Count(errs.String(), "\n") != 1 || !strings.Contains(errs.String(), filepath.Base(file)+" could not be read") ||
			!strings.Contains(errs.String(), "--resume "+run) {
			t.Errorf("%s: exit code %d\n%s", file, code, errs.String())
		}
		model.check(os.WriteFile(model.at(file), weights, 0o644))
		if out, errs, code := gimbal(t, "generate", "--json", "--resume", run); code != 0 {
			t.Fatalf("%s: resuming: exit code %d\n%s%s", file, code, out, errs)
		}
		if got, err := os.ReadFile(video); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: the resumed video differs from the unbroken one, %v", file, err)
		}
	}
}
