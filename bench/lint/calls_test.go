package lint

import (
	"fmt"
	"go/ast"
	"go/token"
	"go/types"
	"slices"
	"strings"
)

// maxChain is how many of our own functions may call one another in a row, the first one included. A leaf, which calls
// none of ours, is not counted where it is called by its name and the compiler inlines it: it adds no frame to the
// stack.
const maxChain = 3

// place is a node of the call graph: a function of ours, or something nameless that starts a chain (a literal behind
// go, the initialiser of a package-level variable).
type place struct {
	name    string
	pos     token.Position
	calls   []types.Object // functions of ours
	methods []string       // methods called through an interface of ours
	waits   []types.Object // functions of ours that are called in disguise: as goroutines that are waited for at once
	inlined bool           // by the compiler, wherever it is called by its name
}

// graph is the static call graph over our own functions.
type graph struct {
	places  map[types.Object]*place
	roots   map[types.Object]bool // functions that start a chain
	starts  []*place              // nameless starts
	byName  map[string][]types.Object
	callers map[types.Object]int
}

// callee returns the function of ours that an expression in call position names, or nil; through says that it is a
// method of an interface.
func callee(info *types.Info, e ast.Expr) (f *types.Func, through bool) {
	switch x := ast.Unparen(e).(type) {
	case *ast.Ident:
		f, _ = info.Uses[x].(*types.Func)
	case *ast.SelectorExpr:
		f, _ = info.Uses[x.Sel].(*types.Func)
	case *ast.IndexExpr: // an instance of a generic function
		return callee(info, x.X)
	case *ast.IndexListExpr:
		return callee(info, x.X)
	}
	if f == nil || f.Pkg() == nil || !strings.HasPrefix(f.Pkg().Path(), modulePath+"/") {
		return nil, false
	}
	f = f.Origin()
	recv := f.Signature().Recv()
	return f, recv != nil && types.IsInterface(recv.Type())
}

// walk adds what a piece of syntax calls to a place.
func walk(g *graph, p housePackage, n ast.Node, at *place) {
	inCall := map[ast.Expr]bool{} // function names in call position
	waited := awaited(p.info, n)
	ast.Inspect(n, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.GoStmt:
			inCall[ast.Unparen(x.Call.Fun)] = true
			f, _ := callee(p.info, x.Call.Fun)
			if literal, ok := x.Call.Fun.(*ast.FuncLit); ok && waited[x] {
				walk(g, p, literal.Body, at)
			} else if ok {
				start := &place{name: at.name + "'s goroutine", pos: p.fset.Position(x.Pos())}
				g.starts = append(g.starts, start)
				walk(g, p, literal.Body, start)
			} else if f != nil && waited[x] {
				at.waits = append(at.waits, f)
			} else if f != nil {
				g.roots[f] = true
			} else {
				walk(g, p, x.Call.Fun, at)
			}
			for _, arg := range x.Call.Args {
				walk(g, p, arg, at)
			}
			return false
		case *ast.ReturnStmt:
			startLiterals(g, p, at, inCall, x.Results)
		case *ast.CompositeLit:
			startLiterals(g, p, at, inCall, x.Elts)
		case *ast.FuncLit:
			return !inCall[x]
		case *ast.CallExpr:
			if p.info.Types[x.Fun].IsType() {
				startLiterals(g, p, at, inCall, x.Args)
			}
			f, through := callee(p.info, x.Fun)
			if f == nil {
				return true
			}
			inCall[ast.Unparen(x.Fun)] = true
			if through {
				at.methods = append(at.methods, f.Name())
			} else {
				at.calls = append(at.calls, f)
			}
		case *ast.IndexExpr:
			inCall[x.X] = inCall[x]
		case *ast.SelectorExpr:
			if f, _ := callee(p.info, x); f != nil && !inCall[x] {
				g.roots[f] = true
			}
			walk(g, p, x.X, at)
			return false
		case *ast.Ident:
			if f, ok := p.info.Uses[x].(*types.Func); ok && !inCall[x] && f.Pkg() != nil &&
				strings.HasPrefix(f.Pkg().Path(), modulePath+"/") {
				g.roots[f.Origin()] = true
			}
		}
		return true
	})
}

// startLiterals begins a chain at each function literal among some expressions: what is returned, kept in a value or
// made a handler by a conversion runs when the function around it is long over. seen notes them, so that they are not
// walked again.
func startLiterals(g *graph, p housePackage, at *place, seen map[ast.Expr]bool, among []ast.Expr) {
	for _, e := range among {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			e = pair.Value
		}
		if literal, ok := ast.Unparen(e).(*ast.FuncLit); ok {
			seen[literal] = true
			start := &place{name: at.name + "'s literal", pos: p.fset.Position(literal.Pos())}
			g.starts = append(g.starts, start)
			walk(g, p, literal.Body, start)
		}
	}
}

// callGraph returns the call graph over all packages. Goroutines that are waited for at once are calls in it.
func callGraph(packages []housePackage) *graph {
	g := &graph{map[types.Object]*place{}, map[types.Object]bool{}, nil, map[string][]types.Object{},
		map[types.Object]int{}}
	for _, p := range packages {
		for _, file := range p.files {
			for _, decl := range file.Decls {
				f, ok := decl.(*ast.FuncDecl)
				if !ok {
					start := &place{name: "a variable's initialiser", pos: p.fset.Position(decl.Pos())}
					g.starts = append(g.starts, start)
					walk(g, p, decl, start)
					continue
				}
				at := &place{name: p.name + "." + f.Name.Name, pos: p.fset.Position(f.Pos())}
				at.inlined = p.inlined[fmt.Sprintf("%s:%d", at.pos.Filename, at.pos.Line)]
				o := p.info.Defs[f.Name]
				g.places[o] = at
				if f.Recv != nil {
					g.byName[f.Name.Name] = append(g.byName[f.Name.Name], o)
				}
				if f.Body != nil {
					walk(g, p, f.Body, at)
				}
			}
		}
	}
	leaves := map[types.Object]bool{}
	for o, at := range g.places {
		leaves[o] = at.inlined && len(at.calls)+len(at.methods)+len(at.waits) == 0
	}
	for _, at := range g.places {
		at.calls = slices.DeleteFunc(at.calls, func(o types.Object) bool { return leaves[o] })
		for _, name := range at.methods {
			at.calls = append(at.calls, g.byName[name]...)
		}
		at.calls = append(at.calls, at.waits...)
		for _, o := range at.calls {
			g.callers[o]++
		}
	}
	return g
}

// follow walks a chain and notes for each function the longest chain that reaches it; a function that meets itself is a
// breach.
func follow(g *graph, at *place, chain []*place, longest map[*place][]*place, loops map[*place]string) {
	if i := slices.Index(chain, at); i >= 0 {
		names := []string{}
		for _, p := range append(slices.Clone(chain[i:]), at) {
			names = append(names, p.name)
		}
		loops[at] = strings.Join(names, " → ")
		return
	}
	chain = append(slices.Clone(chain), at)
	if len(chain) <= len(longest[at]) {
		return
	}
	longest[at] = chain
	for _, o := range at.calls {
		if next := g.places[o]; next != nil {
			follow(g, next, chain, longest, loops)
		}
	}
}

// checkChains holds how long a chain of our own functions may be, from main, the start of a goroutine, or a function
// that is used as a value. What nothing calls starts a chain too.
func checkChains(packages []housePackage) []breach {
	g := callGraph(packages)
	longest, loops := map[*place][]*place{}, map[*place]string{}
	for o, at := range g.places {
		if g.roots[o] || g.callers[o] == 0 || o.Name() == "main" {
			follow(g, at, nil, longest, loops)
		}
	}
	for _, start := range g.starts {
		follow(g, start, nil, longest, loops)
	}
	for _, at := range g.places { // a loop that nothing outside of it calls
		if longest[at] == nil {
			follow(g, at, nil, longest, loops)
		}
	}
	found := []breach{}
	for at, way := range loops {
		found = append(found, breach{at.pos, "recursion", way})
	}
	for at, chain := range longest {
		if len(chain) > maxChain {
			names := []string{}
			for _, p := range chain {
				names = append(names, p.name)
			}
			found = append(found, breach{at.pos, "chain", strings.Join(names, " → ")})
		}
	}
	return found
}
