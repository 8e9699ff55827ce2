package umt5

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/cpu"
	"gimbal/inference/device"
	"gimbal/inference/golden"
	"gimbal/inference/tokenizer"
	"gimbal/inference/weights"
)

func openDevice(tb testing.TB) device.Device {
	tb.Helper()
	dev, err := cpu.Open(cpu.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { dev.Close() })
	return dev
}

// openStore opens the text encoder's weights in the golden folder.
func openStore(tb testing.TB) *weights.Store {
	tb.Helper()
	layout, err := weights.OpenLayout(golden.Checkpoint(tb))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { layout.Close() })
	return layout.Text
}

// realIDs returns the ids of a case without the padding behind the end token.
func realIDs(t *testing.T, c golden.Case, tokens int) []int32 {
	t.Helper()
	return idsOf(t, c, "ids", tokens)
}

func idsOf(t *testing.T, c golden.Case, name string, tokens int) []int32 {
	t.Helper()
	stored := c.Tensor(t, name)
	ids := make([]int32, 0, tokens)
	for i := range tokens {
		switch stored.DType {
		case device.I64:
			ids = append(ids, int32(binary.LittleEndian.Uint64(stored.Data[8*i:])))
		case device.I32:
			ids = append(ids, int32(binary.LittleEndian.Uint32(stored.Data[4*i:])))
		default:
			t.Fatalf("%s: ids are %v", c.Name, stored.DType)
		}
	}
	return ids
}

func TestGolden(t *testing.T) {
	dev := openDevice(t)
	enc, err := Load(t.Context(), dev, openStore(t))
	if err != nil {
		t.Fatal(err)
	}
	defer enc.Close()
	checked := 0
	tok, err := tokenizer.Open(filepath.Join(golden.Checkpoint(t), "google", "umt5-xxl"))
	if err != nil {
		t.Fatal(err)
	}
	var texts []struct{ Text, Cleaned string }
	data, err := os.ReadFile(filepath.Join(golden.Dir(t), "cases", "tokenizer.json"))
	if err == nil {
		err = json.Unmarshal(data, &texts)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range golden.Cases(t, "t5_") {
		want, shape := c.F32(t, "context")
		if shape[len(shape)-1] != enc.Dim() {
			t.Fatalf("%s: context %v, Dim %d", c.Name, shape, enc.Dim())
		}
		ids := realIDs(t, c, len(want)/enc.Dim())
		got, err := enc.Encode(t.Context(), ids)
		if err != nil {
			t.Fatal(err)
		}
		golden.Check(t, c.Name, got, want, 2e-5)

		var scalars struct {
			Text int `json:"text_index"`
		}
		c.Scalars(t, &scalars)
		text := texts[scalars.Text]
		if !slices.Equal(tok.Tokenize(tokenizer.Clean(text.Text)), tok.Tokenize(text.Cleaned)) {
			continue // ftfy, which the cases were made without, changes this one
		}
		if fromText := tok.Encode(text.Text); !slices.Equal(fromText, ids) {
			t.Errorf("%s: ids of the text %v, want %v", c.Name, fromText, ids)
		}
		checked++
	}
	if checked == 0 {
		t.Error("no case's ids were compared with those of its text")
	}
}

// TestFormats encodes with text encoders of other containers and formats.
func TestFormats(t *testing.T) {
	dev := openDevice(t)
	for _, c := range golden.FormatCases(t, "t5_") {
		var scalars struct{ File string }
		c.Scalars(t, &scalars)
		path, ok := golden.FormatFile(t, scalars.File)
		if !ok {
			continue
		}
		store, err := weights.OpenKind(path, weights.KindText)
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		enc, err := Load(t.Context(), dev, store)
		if err != nil {
			t.Fatal(err)
		}
		defer enc.Close()
		for _, name := range c.Names() {
			base, ok := strings.CutSuffix(name, ".context")
			if !ok {
				continue
			}
			want, _ := c.F32(t, name)
			ids := idsOf(t, c, base+".ids", len(want)/enc.Dim())
			got, err := enc.Encode(t.Context(), ids)
			if err != nil {
				t.Fatal(err)
			}
			golden.Check(t, c.Name+" "+name, got, want, 2e-5)
		}
	}
}
