package weights

import (
	"bytes"
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
	err   error // the first; what is read after it has no meaning
}

// unpickle returns the value that a pickle builds.
func unpickle(data []byte) (any, error) {
	if len(data) > maxPickle {
		return nil, fmt.Errorf("%d bytes, more than %d", len(data), maxPickle)
	}
	u := &unpickler{data: data, memo: make(map[int64]any)}
	for range maxPickleOps {
		at := u.pos
		op := u.byte()
		if u.err != nil {
			return nil, u.err
		}
		if op == '.' { // STOP
			v := u.top()
			return v, u.err
		}
		if u.run(op); u.err != nil {
			return nil, fmt.Errorf("operation %q at byte %d: %w", op, at, u.err)
		}
	}
	return nil, fmt.Errorf("more than %d operations", maxPickleOps)
}

// run executes one operation; the names are those of Python's pickletools.
func (u *unpickler) run(op byte) {
	switch op {
	case 0x80: // PROTO
		if version := u.byte(); version > 5 {
			u.fail("protocol %d, expected at most 5", version)
		}
	case 0x95: // FRAME
		u.bytes(8)
	case '(': // MARK
		u.marks = append(u.marks, len(u.stack))
	case '0': // POP
		u.pop()
	case ')': // EMPTY_TUPLE
		u.push(pyTuple{})
	case 0x85, 0x86, 0x87: // TUPLE1, TUPLE2, TUPLE3
		u.push(pyTuple(u.popN(int(op - 0x84))))
	case 't': // TUPLE
		u.push(pyTuple(u.popMark()))
	case '}': // EMPTY_DICT
		u.push(&pyDict{})
	case 's': // SETITEM
		u.setItems(u.popN(2))
	case 'u': // SETITEMS
		u.setItems(u.popMark())
	case 'q': // BINPUT
		u.put(u.int(1, false))
	case 'r': // LONG_BINPUT
		u.put(u.int(4, false))
	case 0x94: // MEMOIZE
		u.put(int64(len(u.memo)))
	case 'h': // BINGET
		u.get(u.int(1, false))
	case 'j': // LONG_BINGET
		u.get(u.int(4, false))
	case 'c': // GLOBAL
		module := u.line()
		u.global(module, u.line())
	case 0x93: // STACK_GLOBAL
		name, module := u.pop(), u.pop()
		u.global(module, name)
	case 'Q': // BINPERSID
		u.pushOr(persistentStorage(u.pop()))
	case 'R': // REDUCE
		arguments, function := u.pop(), u.pop()
		u.pushOr(reduce(function, arguments))
	case 'b': // BUILD gives an OrderedDict its attributes (torch's _metadata): not needed.
		u.pop()
		u.dict()
	default:
		u.push(u.literal(op))
	}
}

func (u *unpickler) literal(op byte) any {
	switch op {
	case 'N': // NONE
		return nil
	case 0x88, 0x89: // NEWTRUE, NEWFALSE
		return op == 0x88
	case 'K': // BININT1
		return u.int(1, false)
	case 'M': // BININT2
		return u.int(2, false)
	case 'J': // BININT
		return u.int(4, true)
	case 0x8a: // LONG1
		size := u.byte()
		if size > 8 {
			u.fail("a number of %d bytes, expected at most 8", size)
		}
		return u.int(int(min(size, 8)), true)
	case 'X': // BINUNICODE
		return u.text(4)
	case 0x8c: // SHORT_BINUNICODE
		return u.text(1)
	}
	u.fail("not one that torch.save uses for tensors")
	return nil
}

// setItems puts keys and values, in turn, into the dictionary on the stack.
func (u *unpickler) setItems(items []any) {
	dict := u.dict()
	if len(items)%2 != 0 {
		u.fail("a key without a value")
	}
	for i := 0; i < len(items) && u.err == nil; i += 2 {
		dict.keys = append(dict.keys, items[i])
		dict.values = append(dict.values, items[i+1])
	}
}

func (u *unpickler) put(id int64) {
	if v := u.top(); u.err == nil {
		u.memo[id] = v
	}
}

func (u *unpickler) get(id int64) {
	v, ok := u.memo[id]
	if !ok {
		u.fail("nothing is remembered as %d", id)
	}
	u.push(v)
}

func (u *unpickler) global(module, name any) {
	g, ok := pyGlobal{}, false
	if g.module, ok = module.(string); ok {
		g.name, ok = name.(string)
	}
	switch {
	case !ok:
		u.fail("a global whose name is no string")
	case !allowed(g):
		u.fail("the global %.80q, expected those of tensors only (in Python, this file could run code)", g.module+"."+g.name)
	}
	u.push(g)
}

func (u *unpickler) fail(format string, args ...any) {
	if u.err == nil {
		u.err = fmt.Errorf(format, args...)
	}
}

// floor is the stack height below which the operations after a MARK may not reach.
func (u *unpickler) floor() int {
	if len(u.marks) == 0 {
		return 0
	}
	return u.marks[len(u.marks)-1]
}

func (u *unpickler) push(v any) { u.stack = append(u.stack, v) }

func (u *unpickler) pushOr(v any, err error) {
	if err != nil {
		u.fail("%w", err)
	}
	u.push(v)
}

// popN takes the last n values from the stack.
func (u *unpickler) popN(n int) []any {
	at := len(u.stack) - n
	if at < u.floor() {
		u.fail("too few values on the stack")
		return nil
	}
	items := slices.Clone(u.stack[at:])
	u.stack = u.stack[:at]
	return items
}

func (u *unpickler) pop() any {
	if last := u.popN(1); last != nil {
		return last[0]
	}
	return nil
}

func (u *unpickler) popMark() []any {
	if len(u.marks) == 0 {
		u.fail("no mark on the stack")
		return nil
	}
	items := u.popN(len(u.stack) - u.floor())
	u.marks = u.marks[:len(u.marks)-1]
	return items
}

// top returns the last value of the stack.
func (u *unpickler) top() any {
	if len(u.stack) <= u.floor() {
		u.fail("too few values on the stack")
		return nil
	}
	return u.stack[len(u.stack)-1]
}

// dict returns the last value of the stack, which must be a dictionary.
func (u *unpickler) dict() *pyDict {
	last := u.top()
	dict, ok := last.(*pyDict)
	if !ok {
		u.fail("%s where a dictionary belongs", kind(last))
	}
	return dict
}

func (u *unpickler) byte() byte {
	if b := u.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

// int reads a little-endian number of at most 8 bytes, in two's complement if signed.
func (u *unpickler) int(size int, signed bool) int64 {
	var n uint64
	for i, b := range u.bytes(int64(size)) {
		n |= uint64(b) << (8 * i)
	}
	if shift := 64 - 8*size; signed {
		return int64(n<<shift) >> shift
	}
	return int64(n)
}

// text reads a string after its length, a number of size bytes.
func (u *unpickler) text(size int) string { return string(u.bytes(u.int(size, false))) }

func (u *unpickler) bytes(n int64) []byte {
	if n > int64(len(u.data)-u.pos) {
		u.fail("it ends within an operation")
		return nil
	}
	b := u.data[u.pos : u.pos+int(n)]
	u.pos += int(n)
	return b
}

// line reads text up to a newline.
func (u *unpickler) line() string {
	n := bytes.IndexByte(u.data[u.pos:], '\n')
	if n < 0 {
		u.fail("it ends within an operation")
		return ""
	}
	text := string(u.data[u.pos : u.pos+n])
	u.pos += n + 1
	return text
}
