package lint

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The rules are checked on typed syntax: identifiers are resolved by go/types, so that shadowing, methods and function
// values are told apart exactly.

// modulePath is the path that our own packages are imported by.
const modulePath = "tandem"

// root is the root of the repository, seen from this package's folder.
const root = "../.."

// ourPackages are our packages in the order in which they may depend on each other, as go's commands name them.
var ourPackages = []string{"./wire", "./wire/proc", "./shard", "./shard/replica", "./shard/lease", "./shard/views",
	"./wire/peer", "./node/wal", "./node/store", "./node", "./gateway", "./bench/cluster", "./bench", "./bench/lint"}

// housePackage is one of our packages, parsed and typed.
type housePackage struct {
	name  string
	fset  *token.FileSet
	files []*ast.File
	info  *types.Info
	types *types.Package
	// inlined has the places, as file:line, of the functions that the compiler inlines
	inlined map[string]bool
}

// breach is a violation of a rule.
type breach struct {
	pos  token.Position
	rule string
	what string
}

func (b breach) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", b.pos.Filename, b.pos.Line, b.rule, b.what)
}

// houseImporter gives our own packages as they were typed from source, so that their functions are the same objects
// everywhere, and all others from their export data.
type houseImporter struct {
	ours   map[string]*types.Package
	others types.Importer
}

func (h houseImporter) Import(path string) (*types.Package, error) {
	if p := h.ours[path]; p != nil {
		return p, nil
	}
	return h.others.Import(path)
}

// newHouse returns an importer of everything that our packages depend on, and of a few that the tests of the checker
// use.
func newHouse(t *testing.T, fset *token.FileSet) houseImporter {
	t.Helper()
	args := []string{"list", "-e", "-export", "-deps", "-f", "{{.ImportPath}}={{.Export}}"}
	args = slices.Concat(args, ourPackages, []string{"sync", "sync/atomic", "time", "math/rand", "os", "errors", "fmt",
		"bytes"})
	list := exec.Command("go", args...)
	list.Dir = root
	var complaints bytes.Buffer
	list.Stderr = &complaints
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, complaints.String())
	}
	exports := map[string]string{}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), "=")
		exports[path] = file
	}
	open := func(path string) (io.ReadCloser, error) {
		if exports[path] == "" {
			return nil, fmt.Errorf("no export data of %s", path)
		}
		return os.Open(exports[path])
	}
	return houseImporter{map[string]*types.Package{}, importer.ForCompiler(fset, "gc", open)}
}

// typed types the files of a package and makes it known to the importer. Complaints of the type checker end the test: a
// package that does not compile cannot be judged.
func typed(t *testing.T, h houseImporter, fset *token.FileSet, name string, files []*ast.File) housePackage {
	t.Helper()
	info := &types.Info{Types: map[ast.Expr]types.TypeAndValue{}, Defs: map[*ast.Ident]types.Object{},
		Uses:       map[*ast.Ident]types.Object{},
		Selections: map[*ast.SelectorExpr]*types.Selection{}}
	complaints := []string{}
	config := types.Config{Importer: h, FakeImportC: true, Error: func(err error) {
		complaints = append(complaints,
			err.Error())
	}}
	pkg, _ := config.Check(modulePath+"/"+name, fset, files, info)
	if len(complaints) > 0 {
		t.Fatalf("package %s does not type-check:\n%s", name, strings.Join(complaints, "\n"))
	}
	h.ours[modulePath+"/"+name] = pkg
	return housePackage{name, fset, files, info, pkg, nil}
}

// inlinedPlaces has the places, as file:line, of those of our functions that the compiler inlines.
func inlinedPlaces(t *testing.T) map[string]bool {
	t.Helper()
	build := exec.Command("go", append([]string{"build", "-gcflags=" + modulePath + "/...=-m"}, ourPackages...)...)
	build.Dir = root
	out, err := build.CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	places := map[string]bool{}
	for line := range strings.Lines(string(out)) {
		if f := strings.SplitN(line, ":", 4); len(f) == 4 && strings.HasPrefix(f[3], " can inline ") {
			places[f[0]+":"+f[1]] = true
		}
	}
	if len(places) == 0 {
		t.Fatalf("the compiler names nothing that it inlines:\n%s", out)
	}
	return places
}

// loadPackage parses and types the non-test files of one of our packages.
func loadPackage(t *testing.T, h houseImporter, fset *token.FileSet, name string) housePackage {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(name), "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	paths = slices.DeleteFunc(paths, func(path string) bool {
		fits, err := build.Default.MatchFile(filepath.Dir(path), filepath.Base(path))
		return err != nil || !fits || strings.HasSuffix(path, "_test.go")
	})
	files := []*ast.File{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(fset, filepath.Join(name, filepath.Base(path)), text, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		t.Fatalf("package %s has no files", name)
	}
	return typed(t, h, fset, name, files)
}
