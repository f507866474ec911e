package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// The limits of size and of nesting.
const (
	maxFileLines     = 400
	maxFunctionLines = 60
	maxNestedCalls   = 3
	maxTargets       = 3
	maxLine          = 120
	// a text of so many bytes may make its line longer: it is not cut where nobody would look for its other half
	longText = 40
)

// bannedImports are the packages that a package of ours must not import, by path or by the path's beginning before a
// slash.
var bannedImports = map[string][]string{
	"wire":          {"sync", rocksDB},
	"wire/proc":     {"sync", rocksDB},
	"wire/peer":     {"sync", rocksDB, raftCore},
	"shard":         {"sync", rocksDB, "time", "net", "os", "math/rand", raftCore},
	"shard/replica": {"sync", rocksDB, "time", "net", "os", "math/rand", raftCore},
	"shard/lease":   {"sync", rocksDB, "time", "net", "os", "math/rand", raftCore},
	"shard/views":   {"sync", rocksDB, "time", "net", "os", "math/rand"},
	"node/store":    {"sync", "net"},
	"node/wal":      {"sync", rocksDB, "time", "net", "os", "math/rand", raftCore},
	"node":          {"sync", rocksDB},
	"gateway":       {"sync", rocksDB, raftCore},
	"bench/cluster": {"sync", rocksDB},
	"bench":         {"sync", rocksDB},
}

// The libraries that one package knows only.
const (
	rocksDB  = "github.com/linxGnu/grocksdb"
	raftCore = "go.etcd.io/raft"
)

// allowedImports are the packages of ours that a package of ours may import.
var allowedImports = map[string][]string{
	"shard/replica": {"shard"},
	"shard/lease":   {"shard"},
	"shard/views":   {"shard"},
	"node/store":    {"shard", "shard/replica", "shard/views", "node/wal"},
	"wire/peer":     {"wire", "wire/proc", "shard"},
	"node": {"wire", "wire/proc", "wire/peer", "shard", "shard/replica", "shard/lease", "shard/views", "node/store",
		"node/wal"},
	"gateway":       {"wire", "wire/proc", "wire/peer", "shard"},
	"bench/cluster": {"shard", "node/wal"},
	"bench":         {"wire", "wire/proc", "shard", "bench/cluster"},
}

// checkImports holds who may import what.
func checkImports(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		for _, spec := range file.Imports {
			path, _ := strconv.Unquote(spec.Path.Value) // the parser has seen that it is a string
			for _, banned := range bannedImports[p.name] {
				if path == banned || strings.HasPrefix(path, banned+"/") {
					found = append(found, breach{p.fset.Position(spec.Pos()), "import", p.name + " must not import " + path})
				}
			}
			other, ours := strings.CutPrefix(path, modulePath+"/")
			if ours && !slices.Contains(allowedImports[p.name], other) {
				found = append(found, breach{p.fset.Position(spec.Pos()), "import of ours",
					p.name + " must not import " + path})
			}
		}
	}
	return found
}

// checkSizes holds the lengths of files and functions.
func checkSizes(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		if n := p.fset.File(file.Pos()).LineCount(); n > maxFileLines {
			found = append(found, breach{p.fset.Position(file.Pos()), "file size",
				fmt.Sprintf("%d lines, at most %d are allowed", n, maxFileLines)})
		}
		ast.Inspect(file, func(n ast.Node) bool {
			name := "a function literal"
			switch f := n.(type) {
			case *ast.FuncDecl:
				name = f.Name.Name
			case *ast.FuncLit:
			default:
				return true
			}
			if lines := p.fset.Position(n.End()).Line - p.fset.Position(n.Pos()).Line + 1; lines > maxFunctionLines {
				found = append(found, breach{p.fset.Position(n.Pos()), "function size",
					fmt.Sprintf("%s has %d lines, at most %d are allowed", name, lines, maxFunctionLines)})
			}
			return true
		})
	}
	return found
}

// checkLines holds the lengths of lines, trailing comments included.
func checkLines(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		texts, wide, f := map[int]bool{}, map[int]int{}, p.fset.File(file.Pos())
		ast.Inspect(file, func(n ast.Node) bool {
			if text, ok := n.(*ast.BasicLit); ok && text.Kind == token.STRING && len(text.Value) >= longText {
				for line := f.Line(text.Pos()); line <= f.Line(text.End()); line++ {
					texts[line] = true
				}
			}
			return true
		})
		for _, group := range file.Comments {
			for _, c := range group.List { // characters of several bytes count as one
				wide[f.Line(c.Pos())] = len(c.Text) - utf8.RuneCountInString(c.Text)
			}
		}
		for line, start := range f.Lines() {
			end := f.Size()
			if line+1 < f.LineCount() {
				end = f.Lines()[line+1]
			}
			if n := end - start - 1 - wide[line+1]; n > maxLine && !texts[line+1] {
				found = append(found, breach{p.fset.Position(f.LineStart(line + 1)), "line size",
					fmt.Sprintf("%d columns, at most %d are allowed", n, maxLine)})
			}
		}
	}
	return found
}

// checkTargets holds how many variables one assignment of as many values may set: beyond that nobody sees which gets
// which.
func checkTargets(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			if a, ok := n.(*ast.AssignStmt); ok && len(a.Lhs) == len(a.Rhs) && len(a.Lhs) > maxTargets {
				found = append(found, breach{p.fset.Position(a.Pos()), "targets",
					fmt.Sprintf("%d variables are assigned at once, at most %d are allowed", len(a.Lhs), maxTargets)})
			}
			return true
		})
	}
	return found
}

// rootOf returns the variable that an expression is a part of, and nil if it is a part of none.
func rootOf(info *types.Info, e ast.Expr) types.Object {
	for {
		switch x := e.(type) {
		case *ast.Ident:
			if o := info.Uses[x]; o != nil {
				return o
			}
			return info.Defs[x]
		case *ast.SelectorExpr:
			if id, ok := x.X.(*ast.Ident); ok {
				if _, isPackage := info.Uses[id].(*types.PkgName); isPackage {
					return info.Uses[x.Sel]
				}
			}
			e = x.X
		case *ast.ParenExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.SliceExpr:
			e = x.X
		case *ast.StarExpr:
			e = x.X
		default:
			return nil
		}
	}
}

// change is an expression that something is done to which may change it.
type change struct {
	what string
	expr ast.Expr
}

// changes returns what a syntax node by itself may change.
func changes(info *types.Info, n ast.Node) []change {
	switch x := n.(type) {
	case *ast.AssignStmt:
		all := []change{}
		for _, e := range x.Lhs {
			all = append(all, change{"assigned", e})
		}
		return all
	case *ast.IncDecStmt:
		return []change{{"assigned", x.X}}
	case *ast.RangeStmt:
		return []change{{"assigned", x.Key}, {"assigned", x.Value}}
	case *ast.UnaryExpr:
		if x.Op == token.AND {
			return []change{{"its address is taken", x.X}}
		}
	case *ast.CallExpr:
		id, ok := x.Fun.(*ast.Ident)
		if _, builtin := info.Uses[id].(*types.Builtin); ok && builtin &&
			slices.Contains([]string{"delete", "clear", "copy"}, id.Name) {
			return []change{{"given to " + id.Name, x.Args[0]}}
		}
	case *ast.SelectorExpr: // a method with a pointer receiver takes the address of a variable silently
		s := info.Selections[x]
		if s == nil || s.Kind() != types.MethodVal {
			return nil
		}
		f, _ := s.Obj().(*types.Func)
		_, toPointer := f.Signature().Recv().Type().(*types.Pointer)
		if _, fromPointer := s.Recv().Underlying().(*types.Pointer); toPointer && !fromPointer {
			return []change{{"its address is taken by " + x.Sel.Name, x.X}}
		}
	}
	return nil
}

// checkState holds that state lives in local variables: no methods that change their receiver, no init, no
// package-level variable that changes.
func checkState(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		var receiver types.Object
		ast.Inspect(file, func(n ast.Node) bool {
			if f, ok := n.(*ast.FuncDecl); ok {
				receiver = nil
				if f.Recv == nil && f.Name.Name == "init" {
					found = append(found, breach{p.fset.Position(f.Pos()), "init", "no func init is allowed"})
				}
				if f.Recv != nil && len(f.Recv.List[0].Names) > 0 {
					receiver = p.info.Defs[f.Recv.List[0].Names[0]]
				}
				if f.Recv != nil {
					if _, pointer := f.Recv.List[0].Type.(*ast.StarExpr); pointer {
						found = append(found, breach{p.fset.Position(f.Pos()), "receiver", f.Name.Name + " has a pointer receiver"})
					}
				}
			}
			for _, c := range changes(p.info, n) {
				if c.expr == nil {
					continue
				}
				o, _ := rootOf(p.info, c.expr).(*types.Var)
				if o == nil {
					continue
				}
				if o == receiver && c.what == "assigned" {
					found = append(found, breach{p.fset.Position(n.Pos()), "receiver", "a method changes its receiver " + o.Name()})
				}
				if o.Pkg() != nil && o.Parent() == o.Pkg().Scope() {
					found = append(found, breach{p.fset.Position(n.Pos()), "package variable", o.Name() + ": " + c.what})
				}
			}
			return true
		})
	}
	return found
}

// nestedCalls returns how many calls an expression nests. Conversions and builtins do not count; a function literal
// starts anew.
func nestedCalls(info *types.Info, n ast.Node) int {
	deepest := 0
	ast.Inspect(n, func(inner ast.Node) bool {
		if _, literal := inner.(*ast.FuncLit); literal {
			return false
		}
		if inner == nil || inner == n {
			return true
		}
		deepest = max(deepest, nestedCalls(info, inner))
		return false
	})
	if call, ok := n.(*ast.CallExpr); ok {
		if kind := info.Types[call.Fun]; !kind.IsType() && !kind.IsBuiltin() {
			deepest++
		}
	}
	return deepest
}

// checkNesting holds how many calls one expression may nest.
func checkNesting(p housePackage) []breach {
	found := []breach{}
	for _, file := range p.files {
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			depth := nestedCalls(p.info, call)
			if depth > maxNestedCalls {
				found = append(found, breach{p.fset.Position(call.Pos()), "nesting",
					fmt.Sprintf("%d calls are nested, at most %d are allowed", depth, maxNestedCalls)})
			}
			return depth <= maxNestedCalls // one report an expression
		})
	}
	return found
}
