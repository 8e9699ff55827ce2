package weights_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/weights"
)

var nf4 = weights.Quant{Format: weights.NF4}

// expert writes an expert of some layers of dim x dim random weights in bf16 to
// folder dir and opens it.
func expert(tb testing.TB, dir string, layers, dim int) *weights.Store {
	tb.Helper()
	random := rand.New(rand.NewPCG(5, 6))
	var sources []weights.Source
	for i := range layers {
		data := make([]byte, 2*dim*dim)
		for j := range dim * dim {
			bits := math.Float32bits(float32(random.NormFloat64()))
			data[2*j], data[2*j+1] = byte(bits>>16), byte(bits>>24)
		}
		name := fmt.Sprintf("blocks.%d.self_attn.q.weight", i)
		sources = append(sources, weights.Tensor{Name: name, DType: device.BF16, Shape: []int{dim, dim}, Data: data}.Source())
	}
	path := filepath.Join(dir, "expert.safetensors")
	if err := weights.WriteSafetensors(path, sources, nil); err != nil {
		tb.Fatal(err)
	}
	return openFile(tb, path)
}

func openFile(tb testing.TB, path string) *weights.Store {
	tb.Helper()
	s, err := weights.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// TestCache makes sure that weights are quantised once for each source and kind,
// and that a file which is not what its name says is not used.
func TestCache(t *testing.T) {
	dir := t.TempDir()
	source := expert(t, t.TempDir(), 3, 64)
	made := func(source *weights.Store, o weights.Quant) (path string, made bool) {
		var last int64
		store, err := weights.OpenQuantised(t.Context(), dir, "expert", source, o, func(done, total int64) {
			if done <= last || done > total || total == 0 {
				t.Errorf("progress %d after %d of %d", done, last, total)
			}
			last, made = done, true
		})
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		return store.Path(), made
	}
	seen := map[string]bool{}
	kinds := []weights.Quant{nf4, {Format: weights.NF4, Nested: true}, {Format: weights.INT8}}
	for _, o := range kinds {
		if weights.HasQuantised(dir, "expert", source, o) {
			t.Errorf("%v: there before it was made", o)
		}
		path, first := made(source, o)
		if again, second := made(source, o); again != path || !first || second || seen[path] {
			t.Errorf("%v: %s, made %v, then %s, made %v", o, path, first, again, second)
		}
		seen[path] = true
		if filepath.Dir(path) != filepath.Join(dir, weights.CacheDir) {
			t.Errorf("%v: cached in %s", o, path)
		}
	}
	for _, o := range kinds {
		if !weights.HasQuantised(dir, "expert", source, o) || weights.HasQuantised(dir, "another", source, o) {
			t.Errorf("%v: not there when it was made, or there for another expert", o)
		}
	}
	other := expert(t, t.TempDir(), 4, 64)
	if weights.HasQuantised(dir, "expert", other, nf4) {
		t.Error("what was made of another source is there for this one")
	}
	another, err := os.ReadFile(slices.Sorted(maps.Keys(seen))[0])
	if err != nil {
		t.Fatal(err)
	}
	path, again := made(other, nf4)
	if !again || seen[path] {
		t.Errorf("weights of another source are used: %s", path)
	}
	for name, damage := range map[string]func(){
		"other file": func() {
			os.WriteFile(path, another, 0o644)
		},
		"cut file":   func() { os.Truncate(path, 100) },
		"empty file": func() { os.Truncate(path, 0) },
	} {
		damage()
		if _, again := made(other, nf4); !again {
			t.Errorf("%s is used", name)
		}
	}
}

// TestCacheElsewhere makes sure that the user's cache folder serves a checkpoint
// that cannot be written to.
func TestCacheElsewhere(t *testing.T) {
	dir, user := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", user)
	t.Setenv("HOME", user)
	if err := os.WriteFile(filepath.Join(dir, weights.CacheDir), nil, 0o644); err != nil { // no folder can be made there
		t.Fatal(err)
	}
	source := expert(t, t.TempDir(), 1, 64)
	first := open(t, dir, source, nf4)
	if rel, err := filepath.Rel(user, first.Path()); err != nil || !filepath.IsLocal(rel) {
		t.Errorf("cached in %s", first.Path())
	}
	_, err := weights.OpenQuantised(t.Context(), dir, "expert", source, nf4, func(int64, int64) { t.Error("made again") })
	if err != nil {
		t.Error(err)
	}
	if err := os.WriteFile(filepath.Join(user, "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_CACHE_HOME", filepath.Join(user, "file"))
	t.Setenv("HOME", filepath.Join(user, "file"))
	_, err = weights.OpenQuantised(t.Context(), dir, "expert", source, nf4, func(int64, int64) {})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), user) {
		t.Errorf("error %v, want one that names both folders", err)
	}
}

// TestEvict makes sure that what was derived of weights that are gone is removed, and
// nothing else.
func TestEvict(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, weights.CacheDir)
	source, other := expert(t, t.TempDir(), 2, 64), expert(t, t.TempDir(), 3, 64)
	open := func(source *weights.Store, q weights.Quant) string {
		return filepath.Base(open(t, dir, source, q).Path())
	}
	write := func(name string, metadata map[string]string) {
		t.Helper()
		tensors := []weights.Source{floatTensor("x", []float32{1}, 1).Source()}
		if err := weights.WriteTemporary(filepath.Join(folder, name), tensors, metadata); err != nil {
			t.Fatal(err)
		}
	}
	stale := []string{open(source, nf4), open(source, weights.Quant{Format: weights.INT8}), "expert-nf4-v0-abc.safetensors", ".half.safetensors123"}
	write(stale[2], map[string]string{"gimbal.source": "abc", "gimbal.quant": "nf4", "gimbal.version": "0"})
	write(stale[3], nil)
	kept := []string{
		"another-nf4-v1-abc.safetensors", "expert-nf4-v1-abd.safetensors", "expert-nf4-v1-abc.safetensors.txt", "expert-mine.safetensors",
		"expert-nf4-v9-abc.safetensors", "expert-linked.safetensors", "lock",
	}
	write(kept[0], map[string]string{"gimbal.source": "abc", "gimbal.quant": "nf4", "gimbal.version": "1"})
	write(kept[1], map[string]string{"gimbal.source": "abc", "gimbal.quant": "nf4", "gimbal.version": "1"})
	write(kept[2], map[string]string{"gimbal.source": "abc", "gimbal.quant": "nf4", "gimbal.version": "1"})
	write(kept[3], nil)
	fingerprint, err := other.Fingerprint()
	if err != nil {
		t.Fatal(err)
	}
	kept[4] = fmt.Sprintf("expert-nf4-v9-%.16s.safetensors", fingerprint) // a later version's
	write(kept[4], map[string]string{"gimbal.source": fingerprint, "gimbal.quant": "nf4", "gimbal.version": "9"})
	if err := os.Symlink(filepath.Join(folder, stale[0]), filepath.Join(folder, kept[5])); err != nil {
		t.Fatal(err)
	}
	kept = append(kept, open(other, nf4), open(other, weights.Quant{Format: weights.NF4, Nested: true}))
	for _, name := range stale {
		if _, err := os.Lstat(filepath.Join(folder, name)); err == nil {
			t.Errorf("%s is there still", name)
		}
	}
	for _, name := range kept {
		if _, err := os.Lstat(filepath.Join(folder, name)); err != nil {
			t.Errorf("%s is gone", name)
		}
	}
}

// TestEvictElsewhere makes sure that the user's cache folder and one that is linked keep
// what other checkpoints may use.
func TestEvictElsewhere(t *testing.T) {
	user, shared := t.TempDir(), t.TempDir()
	t.Setenv("XDG_CACHE_HOME", user)
	t.Setenv("HOME", user)
	source, other := expert(t, t.TempDir(), 2, 64), expert(t, t.TempDir(), 3, 64)
	for name, prepare := range map[string]func(dir string) error{
		"the user's": func(dir string) error { return os.WriteFile(dir, nil, 0o644) },
		"a linked":   func(dir string) error { return os.Symlink(shared, dir) },
	} {
		dir := t.TempDir()
		if err := prepare(filepath.Join(dir, weights.CacheDir)); err != nil {
			t.Fatal(err)
		}
		first, second := open(t, dir, source, nf4), open(t, dir, other, nf4)
		for _, s := range []*weights.Store{first, second} {
			if _, err := os.Stat(s.Path()); err != nil {
				t.Errorf("%s folder lost a file: %v", name, err)
			}
		}
	}
}

// TestParseQuant makes sure that a name stands for what it names.
func TestParseQuant(t *testing.T) {
	for _, q := range []weights.Quant{{Format: weights.AsStored}, nf4, {Format: weights.NF4, Nested: true}, {Format: weights.INT8}} {
		if got, err := weights.ParseQuant(q.String()); err != nil || got != q {
			t.Errorf("%v reads as %v, %v", q, got, err)
		}
	}
	for _, text := range []string{"fp4", "int8-double", "none-double", "-double", "dense"} {
		if q, err := weights.ParseQuant(text); err == nil {
			t.Errorf("%q reads as %v", text, q)
		}
	}
}

// TestFetched makes sure that quantised weights which a checkpoint brings are used.
func TestFetched(t *testing.T) {
	dir := t.TempDir()
	e := expertOf(t, golden.Cases(t, "dit_")[0])
	made := open(t, t.TempDir(), e.Store, nf4)
	never := func(int64, int64) { t.Error("quantised again") }
	if store, err := weights.OpenQuantised(t.Context(), dir, "expert", made, nf4, never); err != nil || store != made {
		t.Errorf("of a source that is quantised: %v, %v", store, err)
	}
	folder := filepath.Join(dir, "expert_bnb_nf4")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(made.Path())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "model.safetensors"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	store, err := weights.OpenQuantised(t.Context(), dir, "expert", e.Store, nf4, never)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if filepath.Dir(store.Path()) != folder {
		t.Errorf("%s is used", store.Path())
	}
}

// TestBadWeights makes sure that what cannot be quantised gives an error that names it.
func TestBadWeights(t *testing.T) {
	inf := floatTensor("blocks.0.ffn.0.weight", make([]float32, 64*128), 64, 128)
	copy(inf.Data[4*777:], device.Bytes([]float32{float32(math.Inf(-1))}))
	source := copyOf(t, expert(t, t.TempDir(), 1, 64), func(x weights.Tensor) []weights.Tensor { return []weights.Tensor{x, inf} })
	for _, kind := range []weights.Format{weights.NF4, weights.INT8} {
		dir := t.TempDir()
		_, err := weights.OpenQuantised(t.Context(), dir, "expert", source, weights.Quant{Format: kind}, func(int64, int64) {})
		if err == nil || !strings.Contains(err.Error(), inf.Name) {
			t.Errorf("%s: error %v", kind, err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, weights.CacheDir, "*safetensors*")); len(left) > 0 {
			t.Errorf("%s: left %v", kind, left)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	_, err := weights.OpenQuantised(ctx, t.TempDir(), "expert", expert(t, t.TempDir(), 4, 64), nf4, func(int64, int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestMain is also the program that TestKill kills: it quantises one expert and
// writes a byte to its output for every layer that is done.
func TestMain(m *testing.M) {
	dir := os.Getenv("GIMBAL_QUANTISE")
	if dir == "" {
		os.Exit(m.Run())
	}
	o := weights.Quant{Format: weights.Format(os.Getenv("GIMBAL_QUANTISE_KIND"))}
	source, err := weights.Open(filepath.Join(dir, "expert.safetensors"))
	if err == nil {
		_, err = weights.OpenQuantised(context.Background(), dir, "expert", source, o, func(int64, int64) { os.Stdout.Write([]byte{'.'}) })
	}
	if err != nil {
		panic(err)
	}
	os.Exit(0)
}

// TestKill kills the making of cached files 50 times, at every stage; each time, any
// file there that loads, under whatever name, is whole and of its kind, and the next
// call makes what is missing without leftovers.
func TestKill(t *testing.T) {
	const layers = 8
	dir := t.TempDir()
	source := expert(t, dir, layers, 256)
	folder := filepath.Join(dir, weights.CacheDir)
	kinds := []weights.Quant{nf4, {Format: weights.INT8}}
	paths, want := map[weights.Format]string{}, map[weights.Format][]byte{}
	for _, o := range kinds {
		paths[o.Format] = open(t, dir, source, o).Path()
		want[o.Format] = sum(t, paths[o.Format])
	}
	random := rand.New(rand.NewPCG(7, 8))
	missing, cut := 0, 0
	for i := range 50 {
		o := kinds[i%len(kinds)]
		if err := os.Remove(paths[o.Format]); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		killAfter(t, dir, o.Format, i%(layers+1), time.Duration(random.IntN(2000))*time.Microsecond)
		if _, err := os.Stat(paths[o.Format]); err != nil {
			missing++
		}
		cut += checkLoadable(t, folder, want)
		if i%5 != 0 { // the next process finds what the killed one left
			continue
		}
		open(t, dir, source, o)
		if got := sum(t, paths[o.Format]); !bytes.Equal(got, want[o.Format]) {
			t.Fatalf("%s: the file made after a kill differs", o)
		}
		if left, _ := filepath.Glob(filepath.Join(folder, ".*")); len(left) > 0 {
			t.Errorf("left over: %v", left)
		}
	}
	t.Logf("50 kills: %d before the file was there, %d while it was written", missing, cut)
	if missing < 10 {
		t.Errorf("only %d of 50 kills came before the end", missing)
	}
}

// checkLoadable makes sure that every file of a folder of cached ones which loads is
// whole, and returns how many do not load.
func checkLoadable(t *testing.T, folder string, want map[weights.Format][]byte) (cut int) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.safetensors*"))
	hidden, err2 := filepath.Glob(filepath.Join(folder, ".*"))
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	for _, path := range append(files, hidden...) {
		store, err := weights.Open(path)
		if err != nil {
			if !slices.Contains(hidden, path) {
				t.Errorf("%s is there and does not load: %v", path, err)
			}
			cut++
			continue
		}
		kind := weights.Format(store.Quantised())
		store.Close()
		if !bytes.Equal(sum(t, path), want[kind]) {
			t.Fatalf("%s loads as %q and is another file", path, kind)
		}
	}
	return cut
}

// killAfter starts the program above and kills it a while after so many layers.
func killAfter(t *testing.T, dir string, kind weights.Format, layers int, while time.Duration) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "GIMBAL_QUANTISE="+dir, "GIMBAL_QUANTISE_KIND="+string(kind))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, layers)); err != nil {
		t.Errorf("the program ended early: %v", err)
	}
	time.Sleep(while)
	cmd.Process.Kill()
	cmd.Wait()
}

func sum(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hash := sha256.Sum256(data)
	return hash[:]
}

// TestStream makes sure that an expert is quantised layer by layer: all memory
// taken on the way, given back or not, is much less than the expert.
func TestStream(t *testing.T) {
	source := expert(t, t.TempDir(), 24, 1024)
	for _, kind := range []weights.Format{weights.NF4, weights.INT8} {
		dir := t.TempDir()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		open(t, dir, source, weights.Quant{Format: kind})
		runtime.ReadMemStats(&after)
		if took := int64(after.TotalAlloc - before.TotalAlloc); took > source.Bytes()/4 {
			t.Errorf("%s: %d bytes taken for an expert of %d", kind, took, source.Bytes())
		}
	}
}

// BenchmarkExpert quantises an expert from file to file.
func BenchmarkExpert(b *testing.B) {
	source := expert(b, b.TempDir(), 12, 4096)
	for _, o := range []weights.Quant{nf4, {Format: weights.NF4, Nested: true}, {Format: weights.INT8}} {
		b.Run(o.String(), func(b *testing.B) {
			b.SetBytes(source.Bytes())
			for b.Loop() {
				open(b, b.TempDir(), source, o)
			}
		})
	}
}
