package metalkit

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// calculator works out constant expressions of the kernels, of whole numbers.
type calculator struct {
	*testing.T
	routines map[string]*routine
	types    map[string]string // what stands for a template's type
	values   map[string]int
	words    []string // not read yet
}

// typeSizes are in bytes.
var typeSizes = map[string]int{"uchar": 1, "ushort": 2, "half": 2, "bfloat": 2, "uint": 4, "float": 4, "ulong": 8}

var expressionWord = regexp.MustCompile(`[A-Za-z_]\w*|\d+|[<>=!]=|&&|\|\||[^\s]`)

// calculatorFor returns a calculator where the parameters of r's template have values.
func calculatorFor(t *testing.T, s source, r *routine, arguments []string) *calculator {
	t.Helper()
	if len(arguments) != len(r.templates) {
		t.Fatalf("%v for a template of %v", arguments, r.templates)
	}
	c := &calculator{T: t, routines: s.functions, types: map[string]string{}, values: map[string]int{"false": 0, "true": 1}}
	for i, name := range r.templates {
		if r.types[i] == "typename" {
			c.types[name] = arguments[i]
		} else {
			c.values[name] = c.evaluate(arguments[i])
		}
	}
	return c
}

func (c *calculator) evaluate(expression string) int {
	c.Helper()
	c.words = expressionWord.FindAllString(expression, -1)
	v := c.choice()
	if len(c.words) > 0 {
		c.Fatalf("%s: %v is not understood", expression, c.words)
	}
	return v
}

// declare gives values to constants: a = 1, b = 2 * a.
func (c *calculator) declare(list string) {
	c.Helper()
	c.words = expressionWord.FindAllString(list, -1)
	for {
		name := c.next()
		c.expect("=")
		c.values[name] = c.choice()
		if !c.accept(",") {
			break
		}
	}
	if len(c.words) > 0 {
		c.Fatalf("%s: %v is not understood", list, c.words)
	}
}

func (c *calculator) next() string {
	c.Helper()
	if len(c.words) == 0 {
		c.Fatal("an expression ends too early")
	}
	word := c.words[0]
	c.words = c.words[1:]
	return word
}

func (c *calculator) accept(word string) bool {
	if len(c.words) == 0 || c.words[0] != word {
		return false
	}
	c.words = c.words[1:]
	return true
}

func (c *calculator) expect(word string) {
	c.Helper()
	if got := c.next(); got != word {
		c.Fatalf("%q where %q should be", got, word)
	}
}

func (c *calculator) choice() int {
	condition := c.operation(0)
	if !c.accept("?") {
		return condition
	}
	yes := c.choice()
	c.expect(":")
	no := c.choice()
	if condition != 0 {
		return yes
	}
	return no
}

// operators bind the tighter the further down they are.
var operators = [][]string{{"||"}, {"&&"}, {"==", "!="}, {"<", ">", "<=", ">="}, {"+", "-"}, {"*", "/", "%"}}

func (c *calculator) operation(level int) int {
	if level == len(operators) {
		return c.operand()
	}
	left := c.operation(level + 1)
	for len(c.words) > 0 && slices.Contains(operators[level], c.words[0]) {
		word := c.next()
		left = c.apply(word, left, c.operation(level+1))
	}
	return left
}

func (c *calculator) apply(operator string, a, b int) int {
	c.Helper()
	truth := map[bool]int{true: 1}
	switch operator {
	case "||":
		return truth[a != 0 || b != 0]
	case "&&":
		return truth[a != 0 && b != 0]
	case "==":
		return truth[a == b]
	case "!=":
		return truth[a != b]
	case "<":
		return truth[a < b]
	case ">":
		return truth[a > b]
	case "<=":
		return truth[a <= b]
	case ">=":
		return truth[a >= b]
	case "+":
		return a + b
	case "-":
		if a < b {
			c.Fatalf("%d - %d is below zero", a, b)
		}
		return a - b
	case "*":
		return a * b
	}
	if b == 0 {
		c.Fatalf("%d %s 0", a, operator)
	}
	if operator == "/" {
		return a / b
	}
	return a % b
}

func (c *calculator) operand() int {
	c.Helper()
	if c.accept("(") {
		v := c.choice()
		c.expect(")")
		return v
	}
	word := c.next()
	if n, err := strconv.Atoi(word); err == nil {
		return n
	}
	if word == "sizeof" {
		c.expect("(")
		size := c.sizeOf(c.next())
		c.expect(")")
		return size
	}
	if r, ok := c.routines[word]; ok {
		return c.call(r)
	}
	v, ok := c.values[word]
	if !ok {
		c.Fatalf("%s is not known", word)
	}
	return v
}

// resolve returns the type that name stands for.
func (c *calculator) resolve(name string) string {
	if t, ok := c.types[name]; ok {
		return t
	}
	return name
}

func (c *calculator) sizeOf(name string) int {
	c.Helper()
	size, ok := typeSizes[c.resolve(name)]
	if !ok {
		c.Fatalf("a type %s", name)
	}
	return size
}

// call works out a constexpr function, whose name has been read.
func (c *calculator) call(r *routine) int {
	c.Helper()
	var arguments []string
	if len(r.templates) > 0 {
		for c.expect("<"); ; c.expect(",") {
			arguments = append(arguments, c.resolve(c.next()))
			if c.accept(">") {
				break
			}
		}
	}
	inner := calculatorFor(c.T, source{functions: c.routines}, r, arguments)
	c.expect("(")
	for i, p := range r.parameters {
		if i > 0 {
			c.expect(",")
		}
		_, name, _ := strings.Cut(p, " ")
		inner.values[name] = c.choice()
	}
	c.expect(")")
	for statement := range strings.SplitSeq(r.body, ";") {
		what, rest, _ := strings.Cut(strings.TrimSpace(statement), " ")
		switch what {
		case "uint":
			inner.declare(rest)
		case "return":
			return inner.evaluate(rest)
		default:
			c.Fatalf("%q is not understood", statement)
		}
	}
	c.Fatal("a function returns nothing")
	return 0
}

func TestCalculator(t *testing.T) {
	s := parseSource(`
template <typename T> constexpr uint padded(uint n) { return n + 16 / sizeof(T); }

template <typename T> constexpr uint larger(uint n, uint m) {
    uint a = padded<T>(n) * 2, b = m;
    return a > b ? a : b;
}

template <typename T, int rows, bool twice>
kernel void f(constant FArgs &a [[buffer(0)]]) {
    if (rows) {
    }
    SHARED(T, memory, rows);
}
`)
	c := calculatorFor(t, s, s.functions["f"], []string{"half", "3 + 4", "true"})
	c.declare("n = rows * 2, m = n - 4")
	for expression, want := range map[string]int{
		"rows": 7, "m": 10, "2 + 3 * 4 % 5": 4, "(2 + 3) * 4 / 6": 3, "twice ? 1 : 2": 1, "rows < 7 ? 1 : rows == 7 ? 2 : 3": 2,
		"sizeof(T) * rows": 14, "padded<T>(rows)": 15, "padded<float>(rows) + 1": 12, "larger<T>(1, 2)": 18, "larger<T>(1, padded<T>(30))": 38,
		"m >= 10 && rows != 7 || false": 0,
	} {
		if got := c.evaluate(expression); got != want {
			t.Errorf("%s is %d, want %d", expression, got, want)
		}
	}
	if body := s.functions["f"].body; !strings.Contains(body, "SHARED") {
		t.Errorf("a kernel's body ends too early: %s", body)
	}
}
