package weights

import (
	"testing"
)

// readAll reads every tensor; the point is that nothing panics.
func readAll(c contents, file *mapping) {
	s := newStore("fuzz", []*mapping{{path: "fuzz"}}, c, "")
	for _, name := range s.Names() {
		t, err := s.Tensor(name)
		if err == nil && len(t.Data) <= len(file.data) {
			t.Float32s()
		} else if err == nil {
			panic("a tensor larger than its file")
		}
	}
}

func FuzzSafetensors(f *testing.F) {
	f.Add(safetensors(`{"a":{"dtype":"F16","shape":[2,3],"data_offsets":[0,12]},"__metadata__":{"k":"v"}}`, 12))
	f.Add(safetensors(`{"a":{"dtype":"F8_E4M3","shape":[],"data_offsets":[0,1]},"b":{"dtype":"?","shape":[9,0],"data_offsets":[1,1]}}`, 1))
	f.Add(safetensors(`{"a":{"dtype":"I64","shape":[4611686018427387904,4],"data_offsets":[0,9223372036854775807]}}`, 0))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &mapping{path: "fuzz", data: data}
		if c, err := parseSafetensors(file); err == nil {
			readAll(c, file)
		}
	})
}

func FuzzTorch(f *testing.F) {
	root := pairs{"a", view("BFloat16Storage", "0", 1, tuple(2, 2), tuple(1, 2))}
	f.Add(torchFile(member{"x/data.pkl", pickle(root)}, member{"x/byteorder", []byte("little")}, twelve))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &mapping{path: "fuzz", data: data}
		if c, err := parseTorch(file); err == nil {
			readAll(c, file)
		}
	})
}

func FuzzPickle(f *testing.F) {
	tensor := view("HalfStorage", "0", 1, tuple(2, 2), tuple(1, 2))
	f.Add(pickle(pairs{"state_dict", orderedAs(pairs{"a", tensor, "p", call{rebuildParameter, tuple(tensor, true, nil)}})}))
	f.Add(pickle(pairs{"a", raw("q\x05h\x05N\x85r\x01\x00\x00\x00j\x01\x00\x00\x000\x94\x95........M\xff\xffJ\xff\xff\xff\xff\x8c\x01b")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := &mapping{path: "fuzz", data: torchFile(member{"x/data.pkl", data}, twelve)}
		if c, err := parseTorch(file); err == nil {
			readAll(c, file)
		}
	})
}

func FuzzParts(f *testing.F) {
	f.Add([]byte(`{"high_noise": "a", "tokenizer": "/b"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, err := parseParts("/models/model.json", text); err == nil && len(p.Paths()) == 0 {
			t.Error("no parts and no error")
		}
	})
}
