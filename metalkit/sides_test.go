package metalkit

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gimbal/inference/device"
	"gimbal/metalkit/internal/driver"
	"gimbal/metalkit/kernels"
)

// member is one of a structure; the offset is in bytes.
type member struct {
	name   string
	kind   reflect.Kind
	count  int // of an array, or 1
	offset int
}

// layout is how a structure lies in memory.
type layout struct {
	members []member
	size    int
}

// memberKinds are the kernels' types of members, each aligned to its own size.
var memberKinds = map[string]struct {
	kind reflect.Kind
	size int
}{
	"uchar": {reflect.Uint8, 1}, "ushort": {reflect.Uint16, 2}, "uint": {reflect.Uint32, 4}, "int": {reflect.Int32, 4},
	"float": {reflect.Float32, 4}, "ulong": {reflect.Uint64, 8}, "long": {reflect.Int64, 8},
}

var memberName = regexp.MustCompile(`^(\w+)(?:\[(\d+)\])?$`)

// layoutOfSource lays out the members of a kernel's structure as Metal does.
func layoutOfSource(members string) (l layout, err error) {
	align := 1
	for declaration := range strings.SplitSeq(strings.TrimRight(members, "\n ;"), ";") {
		kind, names, _ := strings.Cut(strings.TrimSpace(declaration), " ")
		of, ok := memberKinds[kind]
		if !ok {
			return l, fmt.Errorf("members of type %q", kind)
		}
		align = max(align, of.size)
		for _, name := range splitList(names) {
			m := memberName.FindStringSubmatch(name)
			if m == nil {
				return l, fmt.Errorf("a member %q", name)
			}
			count := 1
			if m[2] != "" {
				fmt.Sscan(m[2], &count)
			}
			l.size = ceilDiv(l.size, of.size) * of.size
			l.members = append(l.members, member{plainName(m[1]), of.kind, count, l.size})
			l.size += count * of.size
		}
	}
	l.size = ceilDiv(l.size, align) * align
	return l, nil
}

// plainName is what ld_of, ldOf and LDOf have in common.
func plainName(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func layoutOfType(t reflect.Type) layout {
	l := layout{size: int(t.Size())}
	for f := range t.Fields() {
		m := member{plainName(f.Name), f.Type.Kind(), 1, int(f.Offset)}
		if f.Type.Kind() == reflect.Array {
			m.kind, m.count = f.Type.Elem().Kind(), f.Type.Len()
		}
		l.members = append(l.members, m)
	}
	return l
}

// bufferMistakes compares what the host binds with what the kernels declare.
func bufferMistakes(all map[launch]bool, s source) (mistakes []string) {
	complain := func(format string, args ...any) { mistakes = append(mistakes, fmt.Sprintf(format, args...)) }
	alone := map[string]bool{} // structures that no kernel takes
	for name := range s.structs {
		alone[name] = strings.HasSuffix(name, "Args")
	}
	for l := range all {
		kernel, ok := s.made[l.kernel]
		if !ok {
			complain("%s is launched, and there is no such kernel", l.kernel)
			continue
		}
		buffers := s.functions[kernel.function].buffers()
		if l.operands+1 != len(buffers) || l.operands > driver.MaxBuffers {
			complain("%s has %d buffers, the host binds %d", l.kernel, len(buffers), l.operands+1)
		}
		m := argsParameter.FindStringSubmatch(buffers[0])
		if m == nil {
			complain("%s: buffer 0 is %s", l.kernel, buffers[0])
			continue
		}
		alone[m[1]] = false
		want, err := layoutOfSource(s.structs[m[1]])
		if err != nil {
			complain("%s: %v", m[1], err)
		}
		if got := layoutOfType(l.args); !reflect.DeepEqual(got, want) || got.size > driver.MaxArgs {
			complain("%s: %s is %v, the host has %v", l.kernel, m[1], want, got)
		}
	}
	for name, unused := range alone {
		if unused {
			complain("%s: the host has none", name)
		}
	}
	return mistakes
}

var argsParameter = regexp.MustCompile(`^constant (\w+) &a \[\[buffer\(0\)\]\]$`)

// TestBuffers holds the host's structures of arguments and its operands to what the kernels
// declare.
func TestBuffers(t *testing.T) {
	for _, mistake := range bufferMistakes(launches(t), allSource(t)) {
		t.Error(mistake)
	}
}

// TestBufferMistakes makes mistakes that TestBuffers must find.
func TestBufferMistakes(t *testing.T) {
	all, s := launches(t), allSource(t)
	norm, rope := s.structs["NormArgs"], s.functions["rope"].parameters
	for _, c := range []struct {
		what    string
		members string   // of NormArgs
		params  []string // of rope
		more    string   // one more structure
		want    string
	}{
		{"members in another order", strings.Replace(norm, "rows, cols", "cols, rows", 1), rope, "", "NormArgs"},
		{"a member more", norm + "uint more;", rope, "", "NormArgs"},
		{"a member of another type", strings.Replace(norm, "float", "uint", 1), rope, "", "NormArgs"},
		{"a member of another size", strings.Replace(norm, "float", "ulong", 1), rope, "", "NormArgs"},
		{"a type that is not known", strings.Replace(norm, "float", "float3", 1), rope, "", "float3"},
		{"a buffer less", norm, slices.Delete(slices.Clone(rope), 1, 2), "", "rope has 5 buffers, the host binds 6"},
		{"a structure alone", norm, rope, "LostArgs", "LostArgs"},
	} {
		changed := source{maps.Clone(s.structs), maps.Clone(s.functions), s.made}
		changed.structs["NormArgs"] = c.members
		changed.functions["rope"] = &routine{parameters: c.params}
		if c.more != "" {
			changed.structs[c.more] = "uint n;"
		}
		if found := bufferMistakes(all, changed); !strings.Contains(strings.Join(found, "\n"), c.want) {
			t.Errorf("%s is not found: %v", c.what, found)
		}
	}
}

// TestNames wants every kernel launched by some operation, and every name that the host has
// for one made in the source.
func TestNames(t *testing.T) {
	launched := map[string]bool{}
	for l := range launches(t) {
		launched[l.kernel] = true
	}
	names := append(kernels.Names(kernels.Metal3), kernels.Names(kernels.Metal4)...)
	for _, name := range names {
		if !launched[name] {
			t.Errorf("no operation launches %s", name)
		}
	}
	var host []string
	for _, table := range []map[int]string{moveRaw, transposeRaw, gatherRaw, convPack} {
		for _, name := range table {
			host = append(host, name)
		}
	}
	for _, name := range host {
		if !slices.Contains(names, name) {
			t.Errorf("there is no kernel %s", name)
		}
	}
}

// TestConstants compares the function constants with the structure that gives them.
func TestConstants(t *testing.T) {
	names := map[string]string{"TYPE_A": "A", "TYPE_B": "B", "TYPE_C": "C", "TYPE_Y": "Y", "FUNC": "Func", "FLAGS": "Flags", "ALIGNED": "Aligned"}
	host := reflect.TypeFor[driver.Constants]()
	found := regexp.MustCompile(`(?m)^CONSTANT\((\w+), (\w+), (\d+)\);`).FindAllStringSubmatch(kernels.Source(kernels.Metal3), -1)
	if len(found) != host.NumField() || int(host.Size()) != 4*len(found) {
		t.Fatalf("%d function constants, the host has %v", len(found), host)
	}
	for i, m := range found {
		f := host.Field(i)
		if m[1] != "uint" || f.Type.Kind() != reflect.Uint32 || m[3] != fmt.Sprint(i) || names[m[2]] != f.Name || int(f.Offset) != 4*i {
			t.Errorf("constant %d is %s %s with index %s, the host has %s %v", i, m[1], m[2], m[3], f.Name, f.Type)
		}
	}
}

// TestEnumerations compares every number that has a name in the kernels with the host's.
func TestEnumerations(t *testing.T) {
	want := map[string]uint32{
		"F32": uint32(device.F32), "F16": uint32(device.F16), "BF16": uint32(device.BF16), "F8E4M3": uint32(device.F8E4M3),
		"I8": uint32(device.I8), "U8": uint32(device.U8), "I32": uint32(device.I32), "I64": uint32(device.I64),
		"F8E5M2": uint32(device.F8E5M2), "NF4": typeNF4, "NF4_NESTED": typeNF4Nested,
		"IDENTITY": uint32(device.Identity), "SILU": uint32(device.SiLU), "GELU": uint32(device.GELU), "CLAMP1": uint32(device.Clamp1), "RELU": uint32(device.ReLU),
		"ADD": uint32(device.Add), "MUL": uint32(device.Mul),
		"LINEAR_BIAS": linearBias, "LINEAR_GATE": linearGate, "LINEAR_ADD": linearAdd, "LINEAR_SCALE": linearScale,
		"LINEAR_SHIFT": linearShift, "LINEAR_RAW_X": linearRawX, "LINEAR_RAW_W": linearRawW, "LINEAR_WHOLE": linearWhole, "LINEAR_OCTS": linearOcts,
		"ATTENTION_RAW_Q": attentionRawQ, "ATTENTION_RAW_K": attentionRawK, "ATTENTION_RAW_V": attentionRawV, "ATTENTION_WHOLE": attentionWhole, "ATTENTION_OCTS": attentionOcts,
		"ATTENTION_REL": attentionRel, "ATTENTION_KEY": attentionKey,
		"CONV_BIAS": convBias, "CONV_ADD": convAdd, "CONV_PREV0": convPrev0, "CONV_PREV1": convPrev1,
		"NORM_WEIGHT": normWeight, "NORM_BIAS": normBias, "NORM_SCALE": normScale, "NORM_SHIFT": normShift, "NORM_LAYER": normLayer,
		"ROPE_WEIGHT": ropeWeight,
	}
	for _, f := range device.BlockFormats() {
		want[f.String()] = weightType(device.Weight{Format: f})
	}
	got := map[string]uint32{}
	for _, m := range regexp.MustCompile(`(?m)^enum : uint \{(.*)\};`).FindAllStringSubmatch(kernels.Source(kernels.Metal3)+kernels.Source(kernels.Metal4), -1) {
		var next uint32
		for _, word := range splitList(m[1]) {
			name, value, given := strings.Cut(word, " = ")
			if given {
				if _, err := fmt.Sscan(value, &next); err != nil {
					t.Fatal(word, err)
				}
			}
			got[name] = next
			next++
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the kernels have %v, the host %v", got, want)
	}
}
