package lint

import (
	"cmp"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// judge holds all rules but that of the lengths of lines over some packages and returns the breaches in order of their
// place.
func judge(packages []housePackage) []breach {
	found := checkChains(packages)
	for _, p := range packages {
		found = slices.Concat(found, checkImports(p), checkSizes(p), checkTargets(p), checkState(p), checkNesting(p))
	}
	slices.SortFunc(found, func(a, b breach) int {
		return cmp.Or(strings.Compare(a.pos.Filename, b.pos.Filename), cmp.Compare(a.pos.Line, b.pos.Line),
			strings.Compare(a.what, b.what))
	})
	return found
}

func TestHouseRules(t *testing.T) {
	fset := token.NewFileSet()
	house := newHouse(t, fset)
	packages := []housePackage{}
	inlined := inlinedPlaces(t)
	for _, path := range ourPackages {
		p := loadPackage(t, house, fset, strings.TrimPrefix(path, "./"))
		p.inlined = inlined
		packages = append(packages, p)
		for _, b := range checkLines(p) {
			t.Error(b)
		}
	}
	for _, b := range judge(packages) {
		t.Error(b)
	}
}

// lines returns source of a function with so many lines.
func lines(head string, n int) string { return head + " {" + strings.Repeat("\n", n-1) + "}\n" }

func TestTheHouseRulesAreFound(t *testing.T) {
	cases := []struct{ name, pkg, source, want string }{
		{"clean", "node", `func a() int { x := 1; x++; return x }; func main() { println(a()) }`, ""},
		{"pointer receiver", "node", `type t int; func (x *t) a() {}`, "receiver: a has a pointer receiver"},
		{"receiver assigned", "node", `type t struct{ n int }; func (x t) a() { x.n = 1 }`,
			"receiver: a method changes its receiver x"},
		{"receiver's map assigned", "node", `type t map[int]int; func (x t) a() { x[1]++ }`,
			"receiver: a method changes its receiver x"},
		{"reader method", "node", `type t struct{ n int }; func (x t) a() int { return x.n }`, ""},
		{"variable assigned", "node", `var v int; func a() { v = 1 }`, "package variable: v: assigned"},
		{"variable counted", "node", `var v int; func a() { v++ }`, "package variable: v: assigned"},
		{"element assigned", "node", `var v = map[string]int{}; func a() { v["x"] = 1 }`, "package variable: v: assigned"},
		{"field assigned", "node", `var v struct{ n int }; func a() { (v).n = 1 }`, "package variable: v: assigned"},
		{"variable ranged", "node", `var v int; func a() { for v = range 3 { } }`, "package variable: v: assigned"},
		{"address taken", "node", `var v int; func a() *int { return &v }`, "package variable: v: its address is taken"},
		{"address taken by a method", "node", `import "bytes"; var v bytes.Buffer; func a() { v.Reset() }`,
			"package variable: v: its address is taken by Reset"},
		{"map cleared", "node", `var v = map[int]int{}; func a() { delete(v, 1) }`, "package variable: v: given to delete"},
		{"another's variable", "node", `import "os"; func a() { os.Args = nil }`, "package variable: Args: assigned"},
		{"shadowed variable", "node", `var v int; func a() int { v := 2; v++; return v }; var _ = v`, ""},
		{"table that is read", "node", `var v = []int{1, 2}; func a() int { return v[1] }`, ""},
		{"init", "node", `func init() {}`, "init: no func init is allowed"},
		{"sync", "gateway", `import "sync"; func a(m *sync.Mutex) { m.Lock() }`, "import: gateway must not import sync"},
		{"atomic", "node", `import "sync/atomic"; func a(m *atomic.Int64) { m.Add(1) }`,
			"import: node must not import sync/atomic"},
		{"clock in the core", "shard", `import "time"; const a = time.Second`, "import: shard must not import time"},
		{"chance in the core", "shard", `import "math/rand"; func a() int { return rand.Int() }`,
			"import: shard must not import math/rand"},
		{"clock in the shell", "node", `import "time"; const a = time.Second`, ""},
		{"sync beside the processes", "wire/proc", `import "sync"; func a(m *sync.Mutex) { m.Lock() }`,
			"import: wire/proc must not import sync"},
		{"what processes share is alone", "wire/proc", `import _ "tandem/other"`,
			"import of ours: wire/proc must not import tandem/other"},
		{"who dials knows no program", "wire/peer", `import _ "tandem/other"`,
			"import of ours: wire/peer must not import tandem/other"},
		{"wire is alone", "wire", `import _ "tandem/other"`, "import of ours: wire must not import tandem/other"},
		{"a cluster knows no load", "bench/cluster", `import _ "tandem/other"`,
			"import of ours: bench/cluster must not import tandem/other"},
		{"node knows no gateway", "node", `import _ "tandem/other"`,
			"import of ours: node must not import tandem/other"},
		{"RocksDB outside of node/store", "node", `import _ "github.com/linxGnu/grocksdb"`,
			"import: node must not import github.com/linxGnu/grocksdb"},
		{"long file", "node", strings.Repeat("\n", 400), "file size: 401 lines, at most 400 are allowed"},
		{"four at once", "node", `func a() { x, y, z, u := 1, 2, 3, 4; println(x, y, z, u) }`,
			"targets: 4 variables are assigned at once, at most 3 are allowed"},
		{"three at once", "node", `func a() { x, y, z := 1, 2, 3; println(x, y, z) }`, ""},
		{"long function", "node", lines("func a()", 61), "function size: a has 61 lines, at most 60 are allowed"},
		{"full function", "node", lines("func a()", 60), ""},
		{"four deep", "node", `func main() { a() }; func a() { b() }; func b() { c() }; func c() {}`,
			"chain: node.main → node.a → node.b → node.c"},
		{"three deep", "node", `func main() { a() }; func a() { b() }; func b() {}`, ""},
		{"deep in a literal", "node",
			`func main() { f := func() { a() }; f() }; func a() { b() }; func b() { c() }; func c() {}`,
			"chain: node.main → node.a → node.b → node.c"},
		{"a returned literal starts anew", "node",
			`func main() { a() }; func a() { b()() }; func b() func() { return func() { c() } }; func c() { d() }; func d() {}`, ""},
		{"a returned literal goes too deep", "node",
			`func main() { a() }; func a() func() { return func() { b() } }; func b() { c() }; func c() { d() }; func d() {}`, "chain: node.a's literal → node.b → node.c → node.d"},
		{"a handler literal", "node",
			`type h func(); func main() { a() }; func a() { b() }; func b() { var x h = h(func() { c() }); x() }; func c() {}`, ""},
		{"a literal in a table", "node",
			`func main() { a() }; func a() { b() }; func b() { x := []func(){func() { c() }}; x[0]() }; func c() {}`,
			""},
		{"a literal passed on belongs to its function", "node",
			`func main() { a() }; func a() { b(func() { c() }) }; func b(func()) {}; func c() { d() }; func d() {}`,
			"chain: node.main → node.a → node.c → node.d"},
		{"deferred", "node", `func main() { defer a() }; func a() { b() }; func b() { c() }; func c() {}`,
			"chain: node.main → node.a → node.b → node.c"},
		{"by a method", "node",
			`type t int; func (t) m() { b() }; func main() { a(1) }; func a(x t) { x.m() }; func b() {}`,
			"chain: node.main → node.a → node.m → node.b"},
		{"by an interface", "node",
			`type t int; func (t) m() { b() }; type i interface{ m() }; func main() { a(t(1)) }; func a(x i) { x.m() }; func b() {}`, "chain: node.main → node.a → node.m → node.b"},
		{"generic", "node", `func main() { a() }; func a() { b[int](1) }; func b[T any](T) { c() }; func c() {}`,
			"chain: node.main → node.a → node.b → node.c"},
		{"a goroutine starts anew", "node",
			`func main() { a() }; func a() { b() }; func b() { go c() }; func c() { d() }; func d() {}`, ""},
		{"a goroutine goes too deep", "node",
			`func main() { go func() { a() }() }; func a() { b() }; func b() { c() }; func c() {}`,
			"chain: node.main's goroutine → node.a → node.b → node.c"},
		{"arguments of a goroutine", "node",
			`func main() { a() }; func a() { b() }; func b() { go c(d()) }; func c(int) {}; func d() int { return 1 }`,
			"chain: node.main → node.a → node.b → node.d"},
		{"a value starts anew", "node",
			`func main() { a() }; func a() { b() }; func b() { f := c; f() }; func c() { d() }; func d() {}`, ""},
		{"a value goes too deep", "node",
			`var table = []func(){a}; func a() { b() }; func b() { c() }; func c() { d() }; func d() {}; func main() { table[0]() }`, "chain: node.a → node.b → node.c → node.d"},
		{"shadowed function", "node",
			`func main() { a() }; func a() { b() }; func b() { c := func() {}; c() }; func c() { b() }`, ""},
		{"a goroutine that is waited for at once is a call", "node", `func main() { a() }; func a() { c := make(chan int); go b(c); <-c }; func b(c chan int) { d(); c <- 1 }; func d() {}`,
			"chain: node.main → node.a → node.b → node.d"},
		{"its result is used", "node", `func main() { println(a()) }; func a() int { c := make(chan int); go b(c); return 1 + <-c }; func b(c chan int) { d(); c <- 1 }; func d() {}`,
			"chain: node.main → node.a → node.b → node.d"},
		{"quiet statements between", "node", `func main() { a() }; func a() { c := make(chan int); go b(c); x := 1; x++; if y := <-c; y > x { } }; func b(c chan int) { d(); c <- 1 }; func d() {}`,
			"chain: node.main → node.a → node.b → node.d"},
		{"in a branch", "node", `func main() { a() }; func a() { c := make(chan int, 1); if cap(c) > 1 { go b(c) } else { c <- 0 }; <-c }; func b(c chan int) { d(); c <- 1 }; func d() {}`,
			"chain: node.main → node.a → node.b → node.d"},
		{"a literal that is waited for at once", "node", `func main() { a() }; func a() { c := make(chan int); go func() { b(); close(c) }(); for range c { } }; func b() { d() }; func d() {}`,
			"chain: node.main → node.a → node.b → node.d"},
		{"a leaf that is waited for is counted", "node",
			"func main() { a() }; func a() { b() }; func b() { c := make(chan int, 1); go e(c); <-c }\nfunc e(c chan int) { c <- 1 }",
			"chain: node.main → node.a → node.b → node.e"},
		{"two at the same time", "node",
			`func main() { a() }; func a() { c, e := make(chan int), make(chan int); go b(c); go b(e); <-c; <-e }; func b(c chan int) { d(); c <- 1 }; func d() {}`, ""},
		{"two at the same time, to one channel", "node",
			`func main() { a() }; func a() { c := make(chan int); go b(c); go b(c); <-c; <-c }; func b(c chan int) { d(); c <- 1 }; func d() {}`, ""},
		{"something else meanwhile", "node",
			`func main() { a() }; func a() { c := make(chan int); go b(c); d(); <-c }; func b(c chan int) { d(); c <- 1 }; func d() {}`, ""},
		{"a wait that can end otherwise", "node",
			`func main() { a() }; func a() { c := make(chan int); go b(c); select { case <-c: case <-make(chan int): } }; func b(c chan int) { d(); c <- 1 }; func d() {}`, ""},
		{"another channel", "node",
			`func main() { a() }; func a() { c, e := make(chan int), make(chan int, 1); e <- 1; go b(c); <-e }; func b(c chan int) { d(); c <- 1 }; func d() {}`, ""},
		{"recursion", "node", `func main() { a() }; func a() { b() }; func b() { a() }`,
			"recursion: node.a → node.b → node.a"},
		{"an inlined leaf", "node", "func main() { a() }; func a() { b() }; func b() { c() }\nfunc c() {}", ""},
		{"inlined, but no leaf", "node", "func main() { a() }; func a() { b() }; func d() {}\nfunc b() { d() }",
			"chain: node.main → node.a → node.b → node.d"},
		{"an inlined leaf, called by an interface", "node",
			"type i interface{ m() }; type t int; func main() { a() }; func a() { b(t(1)) }; func b(x i) { x.m() }\nfunc (t) m() {}", "chain: node.main → node.a → node.b → node.m"},
		{"four nested", "node", `func a(x int) int { return x }; var v = 0; func b() int { return a(a(a(a(v)))) }`,
			"nesting: 4 calls are nested, at most 3 are allowed"},
		{"three nested, conversions", "node",
			`func a(x int) int { return x }; func b(s []int) int { return a(int(a(len(append(s, a(1)))))) }`, ""},
		{"nested by chaining", "node",
			`type t int; func (x t) m() t { return x }; func b(x t) t { return x.m().m().m().m() }`,
			"nesting: 4 calls are nested, at most 3 are allowed"},
	}
	fset := token.NewFileSet()
	house := newHouse(t, fset)
	other, err := parser.ParseFile(fset, "other.go", "package other", 0)
	if err != nil {
		t.Fatal(err)
	}
	typed(t, house, fset, "other", []*ast.File{other})
	inlined := map[string]bool{"snippet.go:3": true} // the second line of a source
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			file, err := parser.ParseFile(fset, "snippet.go", "package main\n"+c.source, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			p := typed(t, house, fset, c.pkg, []*ast.File{file})
			p.inlined = inlined
			for _, b := range judge([]housePackage{p}) {
				got = append(got, b.rule+": "+b.what)
			}
			if strings.Join(got, "\n") != c.want {
				t.Errorf("found %q, expected %q", got, c.want)
			}
		})
	}
}

func TestLongLinesAreFound(t *testing.T) {
	for source, want := range map[string]int{
		"var v int // " + strings.Repeat("x", 108) + "\n":                               1,
		"var v int // " + strings.Repeat("x", 107) + "\n":                               0,
		"var v int // " + strings.Repeat("→", 107):                                      0,
		"// " + strings.Repeat("x", 118) + "\nvar v int\n":                              1,
		`var v = "` + strings.Repeat("x", 38) + `" // ` + strings.Repeat("x", 80):       0,
		`var v = "` + strings.Repeat("x", 37) + `" // ` + strings.Repeat("x", 80):       1,
		"var v = `\n" + strings.Repeat("x", 121) + "\n`\n":                              0,
		"func a() {\n\tprintln()\n} // " + strings.Repeat("x", 120) + "\n\nvar v int\n": 1,
	} {
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, "snippet.go", "package main\n"+source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := checkLines(housePackage{fset: fset, files: []*ast.File{file}}); len(got) != want {
			t.Errorf("%.40q: found %v, expected %d", source, got, want)
		}
	}
}

func TestTheChainCrossesPackages(t *testing.T) {
	fset := token.NewFileSet()
	house := newHouse(t, fset)
	packages := []housePackage{}
	for _, s := range [][2]string{
		{"shard", `package shard; func Deep() { inner() }; func inner() {}`},
		{"node", `package main; import "tandem/shard"; func main() { a() }; func a() { shard.Deep() }`},
	} {
		file, err := parser.ParseFile(fset, s[0]+".go", s[1], 0)
		if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, typed(t, house, fset, s[0], []*ast.File{file}))
	}
	got := judge(packages)
	if len(got) != 1 || got[0].String() != "shard.go:1: chain: node.main → node.a → shard.Deep → shard.inner" {
		t.Errorf("found %v", got)
	}
}
