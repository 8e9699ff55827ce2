package weights

import (
	"errors"
	"fmt"
)

// storage is torch's reference to the bytes of a zip member.
type storage struct {
	dtype string // as safetensors names it; empty for bytes of no type
	key   string
}

// pyTensor is a view of a storage; offset and strides count elements.
type pyTensor struct {
	storage        storage
	dtype          string
	offset         int
	shape, strides []int
}

// The globals that a pickle may name: a dictionary, the functions that rebuild
// tensors, and torch's types by their safetensors names.
var (
	orderedDict      = pyGlobal{"collections", "OrderedDict"}
	rebuildTensor    = pyGlobal{"torch._utils", "_rebuild_tensor_v2"}
	rebuildNewType   = pyGlobal{"torch._utils", "_rebuild_tensor_v3"} // the types with no storage class of their own
	rebuildParameter = pyGlobal{"torch._utils", "_rebuild_parameter"}

	storageTypes = map[pyGlobal]string{
		{"torch", "FloatStorage"}: "F32", {"torch", "HalfStorage"}: "F16", {"torch", "BFloat16Storage"}: "BF16",
		{"torch", "DoubleStorage"}: "F64", {"torch", "CharStorage"}: "I8", {"torch", "ByteStorage"}: "U8",
		{"torch", "ShortStorage"}: "I16", {"torch", "IntStorage"}: "I32", {"torch", "LongStorage"}: "I64",
		{"torch", "BoolStorage"}: "BOOL", {"torch", "UntypedStorage"}: "", {"torch.storage", "UntypedStorage"}: "",
	}
	newTypes = map[pyGlobal]string{
		{"torch", "float8_e4m3fn"}: "F8_E4M3", {"torch", "float8_e5m2"}: "F8_E5M2",
		{"torch", "uint16"}: "U16", {"torch", "uint32"}: "U32", {"torch", "uint64"}: "U64",
	}
)

func allowed(g pyGlobal) bool {
	switch g {
	case orderedDict, rebuildTensor, rebuildNewType, rebuildParameter:
		return true
	}
	_, isStorage := storageTypes[g]
	_, isType := newTypes[g]
	return isStorage || isType
}

// persistentStorage reads torch's ("storage", type, key, location, elements).
func persistentStorage(id any) (storage, error) {
	t, _ := id.(pyTuple)
	if len(t) != 5 || t[0] != "storage" {
		return storage{}, errors.New(`a persistent id other than ("storage", type, key, location, elements)`)
	}
	g, _ := t[1].(pyGlobal)
	dtype, ok1 := storageTypes[g]
	key, ok2 := t[2].(string)
	if !ok1 || !ok2 {
		return storage{}, fmt.Errorf("a storage of %s and %s, expected a type and a key", kind(t[1]), kind(t[2]))
	}
	return storage{dtype, key}, nil
}

// reduce applies one of the allowed functions.
func reduce(function, arguments any) (any, error) {
	args, ok := arguments.(pyTuple)
	if !ok {
		return nil, errors.New("arguments that are no tuple")
	}
	switch function {
	case orderedDict:
		if len(args) == 0 {
			return &pyDict{}, nil
		}
	case rebuildTensor:
		if len(args) == 6 || len(args) == 7 {
			return tensorView(args)
		}
	case rebuildNewType:
		if len(args) != 7 && len(args) != 8 {
			break
		}
		g, _ := args[6].(pyGlobal)
		dtype, ok := newTypes[g]
		if !ok {
			return nil, fmt.Errorf("%s where a tensor's type belongs", kind(args[6]))
		}
		t, err := tensorView(args)
		t.dtype = dtype
		return t, err
	case rebuildParameter:
		if len(args) != 3 {
			break
		}
		if t, ok := args[0].(pyTensor); ok {
			return t, nil
		}
	}
	return nil, fmt.Errorf("a call of %s with %s", kind(function), plural(len(args), "argument"))
}

// tensorView reads (storage, offset, shape, strides, ...).
func tensorView(args pyTuple) (pyTensor, error) {
	s, ok := args[0].(storage)
	offset, err1 := sizes(pyTuple{args[1]})
	shape, err2 := sizes(args[2])
	strides, err3 := sizes(args[3])
	if err := errors.Join(err1, err2, err3); err != nil {
		return pyTensor{}, err
	}
	if !ok || len(shape) != len(strides) {
		return pyTensor{}, fmt.Errorf("a tensor of %s with shape %v and strides %v", kind(args[0]), shape, strides)
	}
	return pyTensor{storage: s, dtype: s.dtype, offset: offset[0], shape: shape, strides: strides}, nil
}

// maxRank limits the dimensions of a tensor: the tuple of its sizes may be
// remembered, and named by every tensor.
const maxRank = 64

func sizes(v any) ([]int, error) {
	t, ok := v.(pyTuple)
	if !ok || len(t) > maxRank {
		return nil, fmt.Errorf("%s of %d where a tuple of at most %d sizes belongs", kind(v), len(t), maxRank)
	}
	list := make([]int, len(t))
	for i := range t {
		n, ok := t[i].(int64)
		if !ok || n < 0 {
			return nil, fmt.Errorf("%s where a size of at least 0 belongs", kind(t[i]))
		}
		list[i] = int(n)
	}
	return list, nil
}

// kind says what a pickled value is, for an error.
func kind(v any) string {
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		return "a bool"
	case int64:
		return fmt.Sprintf("the number %d", v)
	case string:
		return fmt.Sprintf("the string %.40q", v)
	case pyTuple:
		return "a tuple"
	case *pyDict:
		return "a dictionary"
	case pyGlobal:
		return v.module + "." + v.name
	case storage:
		return "a storage"
	case pyTensor:
		return "a tensor"
	}
	return "something unknown"
}

// stateDict returns the tensors of a pickled dictionary by name. Values that are
// no tensors are left out.
func stateDict(root any) (map[string]pyTensor, error) {
	dict, ok := root.(*pyDict)
	if !ok {
		return nil, errors.New(kind(root))
	}
	for i, key := range dict.keys {
		inner, ok := dict.values[i].(*pyDict)
		if ok && (key == "state_dict" || key == "model") {
			dict = inner
			break
		}
	}
	tensors := make(map[string]pyTensor)
	for i, key := range dict.keys {
		t, ok := dict.values[i].(pyTensor)
		if !ok {
			continue
		}
		name, ok := key.(string)
		if !ok {
			return nil, fmt.Errorf("a tensor whose name is %s", kind(key))
		}
		if _, twice := tensors[name]; twice {
			return nil, fmt.Errorf("a second tensor %.80q", name)
		}
		tensors[name] = t
	}
	if len(tensors) == 0 {
		return nil, errors.New("a dictionary without tensors")
	}
	return tensors, nil
}
