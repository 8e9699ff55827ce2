package weights

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Limits on a pickle. A tensor takes about 40 operations and 200 bytes, so they
// allow some 25,000 tensors and hold memory under a few hundred megabytes.
const (
	maxPickle    = 16 << 20
	maxPickleOps = 1 << 20
)

// The values of a pickle are nil, bool, int64, string, pyTuple, *pyDict, pyGlobal,
// storage and pyTensor.
type (
	pyTuple  []any
	pyDict   struct{ keys, values []any }
	pyGlobal struct{ module, name string }
)

// unpickler runs the part of Python's pickle language (PEP 307, 3154) that
// torch.save uses for tensors in dictionaries. Nothing is executed or imported:
// the few globals that may be named are data, and reduce knows each of them.
// Every operation takes at least a byte and makes at most one value, so memory
// is bounded by the pickle's size; cycles are possible but never followed.
type unpickler struct {
	data  []byte
	pos   int
	stack []any
	marks []int // stack heights
	memo  map[int64]any
}

var errPickleEnd = errors.New("it ends within an operation")

// unpickle returns the value that a pickle builds.
func unpickle(data []byte) (any, error) {
	if len(data) > maxPickle {
		return nil, fmt.Errorf("%d bytes, more than %d", len(data), maxPickle)
	}
	u := &unpickler{data: data, memo: make(map[int64]any)}
	for range maxPickleOps {
		at := u.pos
		op, err := u.byte()
		if err != nil {
			return nil, err
		}
		if op == '.' { // STOP
			return u.top()
		}
		if err := u.run(op); err != nil {
			return nil, fmt.Errorf("operation %q at byte %d: %w", op, at, err)
		}
	}
	return nil, fmt.Errorf("more than %d operations", maxPickleOps)
}

// run executes one operation; the names are those of Python's pickletools.
func (u *unpickler) run(op byte) error {
	switch op {
	case 0x80: // PROTO
		version, err := u.byte()
		if err == nil && version > 5 {
			err = fmt.Errorf("protocol %d, expected at most 5", version)
		}
		return err
	case 0x95: // FRAME
		_, err := u.bytes(8)
		return err
	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
		return nil
	case '0': // POP
		_, err := u.popN(1)
		return err
	case 'N', 0x88, 0x89, 'K', 'M', 'J', 0x8a, 'X', 0x8c: // literals
		return u.literal(op)
	case ')', 't', 0x85, 0x86, 0x87, '}', 's', 'u': // containers
		return u.container(op)
	case 'q', 'r', 0x94, 'h', 'j': // the memo
		return u.remember(op)
	case 'c', 0x93, 'Q', 'R', 'b': // objects
		return u.object(op)
	}
	return errors.New("not one that torch.save uses for tensors")
}

func (u *unpickler) literal(op byte) error {
	var v any
	var err error
	switch op {
	case 'N': // NONE
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		v = op == 0x88
	case 'K': // BININT1
		v, err = u.int(1, false)
	case 'M': // BININT2
		v, err = u.int(2, false)
	case 'J': // BININT
		v, err = u.int(4, true)
	case 0x8a: // LONG1
		var size byte
		if size, err = u.byte(); err != nil {
			return err
		}
		if size > 8 {
			return fmt.Errorf("a number of %d bytes, expected at most 8", size)
		}
		v, err = u.int(int(size), true)
	case 'X': // BINUNICODE
		v, err = u.text(4)
	case 0x8c: // SHORT_BINUNICODE
		v, err = u.text(1)
	}
	u.push(v)
	return err
}

func (u *unpickler) container(op byte) error {
	var items []any
	var err error
	switch op {
	case ')': // EMPTY_TUPLE
		u.push(pyTuple{})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		items, err = u.popN(int(op - 0x84))
		u.push(pyTuple(items))
	case 't': // TUPLE
		items, err = u.popMark()
		u.push(pyTuple(items))
	case '}': // EMPTY_DICT
		u.push(&pyDict{})
	case 's': // SETITEM
		if items, err = u.popN(2); err == nil {
			err = u.setItems(items)
		}
	case 'u': // SETITEMS
		if items, err = u.popMark(); err == nil {
			err = u.setItems(items)
		}
	}
	return err
}

// setItems puts keys and values, in turn, into the dictionary on the stack.
func (u *unpickler) setItems(items []any) error {
	dict, err := u.dict()
	if err != nil {
		return err
	}
	if len(items)%2 != 0 {
		return errors.New("a key without a value")
	}
	for pair := range slices.Chunk(items, 2) {
		dict.keys = append(dict.keys, pair[0])
		dict.values = append(dict.values, pair[1])
	}
	return nil
}

func (u *unpickler) remember(op byte) error {
	id := int64(len(u.memo)) // MEMOIZE
	var err error
	switch op {
	case 'q', 'h': // BINPUT, BINGET
		id, err = u.int(1, false)
	case 'r', 'j': // LONG_BINPUT, LONG_BINGET
		id, err = u.int(4, false)
	}
	if err != nil {
		return err
	}
	if op == 'h' || op == 'j' {
		v, ok := u.memo[id]
		if !ok {
			return fmt.Errorf("nothing is remembered as %d", id)
		}
		u.push(v)
		return nil
	}
	u.memo[id], err = u.top()
	return err
}

func (u *unpickler) object(op byte) error {
	switch op {
	case 'c': // GLOBAL
		module, err := u.line()
		if err != nil {
			return err
		}
		name, err := u.line()
		if err != nil {
			return err
		}
		return u.global(module, name)
	case 0x93: // STACK_GLOBAL
		pair, err := u.popN(2)
		if err != nil {
			return err
		}
		module, ok1 := pair[0].(string)
		name, ok2 := pair[1].(string)
		if !ok1 || !ok2 {
			return errors.New("a global whose name is no string")
		}
		return u.global(module, name)
	case 'Q': // BINPERSID
		id, err := u.popN(1)
		if err != nil {
			return err
		}
		s, err := persistentStorage(id[0])
		u.push(s)
		return err
	case 'R': // REDUCE
		pair, err := u.popN(2)
		if err != nil {
			return err
		}
		v, err := reduce(pair[0], pair[1])
		u.push(v)
		return err
	}
	// BUILD gives an OrderedDict its attributes (torch's _metadata): not needed.
	if _, err := u.popN(1); err != nil {
		return err
	}
	_, err := u.dict()
	return err
}

func (u *unpickler) global(module, name string) error {
	g := pyGlobal{module, name}
	if !allowed(g) {
		return fmt.Errorf("the global %.80q, expected those of tensors only (in Python, this file could run code)", module+"."+name)
	}
	u.push(g)
	return nil
}

// floor is the stack height below which the operations after a MARK may not reach.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) popN(n int) ([]any, error) {
	at := len(u.stack) - n
	if at < u.floor() {
		return nil, errors.New("too few values on the stack")
	}
	items := slices.Clone(u.stack[at:])
	u.stack = u.stack[:at]
	return items, nil
}

func (u *unpickler) popMark() ([]any, error) {
	if len(u.marks) == 0 {
		return nil, errors.New("no mark on the stack")
	}
	items, err := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items, err
}

// top returns the last value of the stack.
func (u *unpickler) top() (any, error) {
	if len(u.stack) <= u.floor() {
		return nil, errors.New("too few values on the stack")
	}
	return u.stack[len(u.stack)-1], nil
}

// dict returns the last value of the stack, which must be a dictionary.
func (u *unpickler) dict() (*pyDict, error) {
	last, err := u.top()
	if err != nil {
		return nil, err
	}
	dict, ok := last.(*pyDict)
	if !ok {
		return nil, fmt.Errorf("%s where a dictionary belongs", kind(last))
	}
	return dict, nil
}

func (u *unpickler) byte() (byte, error) {
	b, err := u.bytes(1)
	if err != nil {
		return 0, err
	}
	return b[0], nil
}

// int reads a little-endian number of at most 8 bytes, in two's complement if signed.
func (u *unpickler) int(size int, signed bool) (int64, error) {
	b, err := u.bytes(int64(size))
	var n uint64
	for i := range b {
		n |= uint64(b[i]) << (8 * i)
	}
	if shift := 64 - 8*size; signed {
		return int64(n<<shift) >> shift, err
	}
	return int64(n), err
}

// text reads a string after its length, a number of size bytes.
func (u *unpickler) text(size int) (string, error) {
	n, err := u.int(size, false)
	if err != nil {
		return "", err
	}
	b, err := u.bytes(n)
	return string(b), err
}

func (u *unpickler) bytes(n int64) ([]byte, error) {
	if n > int64(len(u.data)-u.pos) {
		return nil, errPickleEnd
	}
	b := u.data[u.pos : u.pos+int(n)]
	u.pos += int(n)
	return b, nil
}

// line reads text up to a newline.
func (u *unpickler) line() (string, error) {
	n := bytes.IndexByte(u.data[u.pos:], '\n')
	if n < 0 {
		return "", errPickleEnd
	}
	text := string(u.data[u.pos : u.pos+n])
	u.pos += n + 1
	return text, nil
}
