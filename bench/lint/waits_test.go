package lint

import (
	"go/ast"
	"go/token"
	"go/types"
)

// awaited returns the goroutines of a body that are started only to be waited for at once, which is a call in disguise:
// the goroutine is given a channel, and what the starter does next is to receive from that channel. Statements between
// that call nothing and touch no channel change nothing. A select that waits for something else, too, is no such wait,
// nor is a receive after other goroutines were started: those run at the same time.
func awaited(info *types.Info, body ast.Node) map[*ast.GoStmt]bool {
	found := map[*ast.GoStmt]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		others := 0 // goroutines that the statements before have started, and that run at the same time
		for i, s := range statements(n) {
			starts, rest := lastStarts(s), statements(n)[i+1:]
			if isQuiet(s) {
				continue
			}
			alone := others == 0
			if others = len(starts); !alone {
				continue
			}
			for len(rest) > 0 && isQuiet(rest[0]) {
				rest = rest[1:]
			}
			if len(rest) == 0 {
				break
			}
			from := received(info, rest[0])
			for _, start := range starts {
				for o := range mentioned(info, start.Call) {
					found[start] = found[start] || from[o]
				}
			}
		}
		return true
	})
	return found
}

// statements returns the statements that a node lists.
func statements(n ast.Node) []ast.Stmt {
	switch x := n.(type) {
	case *ast.BlockStmt:
		return x.List
	case *ast.CaseClause:
		return x.Body
	case *ast.CommClause:
		return x.Body
	}
	return nil
}

// isQuiet says that a statement calls nothing and neither sends nor receives.
func isQuiet(s ast.Stmt) bool {
	switch s.(type) {
	case *ast.AssignStmt, *ast.DeclStmt, *ast.IncDecStmt, *ast.EmptyStmt:
	default:
		return false
	}
	quiet := true
	ast.Inspect(s, func(n ast.Node) bool {
		switch x := n.(type) {
		case *ast.CallExpr:
			quiet = false
		case *ast.UnaryExpr:
			quiet = quiet && x.Op != token.ARROW
		}
		return quiet
	})
	return quiet
}

// lastStarts returns the goroutines with whose start a statement ends, in whichever of its branches.
func lastStarts(s ast.Stmt) []*ast.GoStmt {
	switch x := s.(type) {
	case *ast.GoStmt:
		return []*ast.GoStmt{x}
	case *ast.IfStmt:
		starts := lastStarts(x.Body)
		if x.Else != nil {
			starts = append(starts, lastStarts(x.Else)...)
		}
		return starts
	case *ast.SwitchStmt:
		return lastOfEach(x.Body)
	case *ast.TypeSwitchStmt:
		return lastOfEach(x.Body)
	case *ast.BlockStmt, *ast.CaseClause:
		if list := statements(x); len(list) > 0 {
			return lastStarts(list[len(list)-1])
		}
	}
	return nil
}

// lastOfEach is lastStarts of all clauses of a switch.
func lastOfEach(body *ast.BlockStmt) []*ast.GoStmt {
	starts := []*ast.GoStmt{}
	for _, clause := range body.List {
		starts = append(starts, lastStarts(clause)...)
	}
	return starts
}

// received returns the channels that a statement receives from before anything else may happen: not in what it does
// only sometimes or later, and not where a select has other choices.
func received(info *types.Info, s ast.Stmt) map[types.Object]bool {
	from := map[types.Object]bool{}
	note := func(n ast.Node) {
		if n == nil {
			return
		}
		ast.Inspect(n, func(n ast.Node) bool {
			if u, ok := n.(*ast.UnaryExpr); ok && u.Op == token.ARROW {
				from[rootOf(info, u.X)] = true
			}
			_, literal := n.(*ast.FuncLit)
			return !literal
		})
	}
	switch x := s.(type) {
	case *ast.IfStmt:
		note(x.Init)
		note(x.Cond)
	case *ast.SwitchStmt:
		note(x.Init)
		note(x.Tag)
	case *ast.SelectStmt:
		if len(x.Body.List) == 1 {
			note(x.Body.List[0].(*ast.CommClause).Comm)
		}
	case *ast.ForStmt:
		note(x.Init)
	case *ast.RangeStmt:
		note(x.X)
		if _, ok := info.TypeOf(x.X).Underlying().(*types.Chan); ok {
			from[rootOf(info, x.X)] = true
		}
	case *ast.AssignStmt, *ast.ExprStmt, *ast.ReturnStmt, *ast.DeclStmt, *ast.SendStmt:
		note(x)
	}
	delete(from, nil)
	return from
}

// mentioned returns the channels that the call of a goroutine is given, or that its literal uses.
func mentioned(info *types.Info, call *ast.CallExpr) map[types.Object]bool {
	channels := map[types.Object]bool{}
	ast.Inspect(call, func(n ast.Node) bool {
		e, ok := n.(ast.Expr)
		if !ok || info.TypeOf(e) == nil {
			return true
		}
		if _, ok := info.TypeOf(e).Underlying().(*types.Chan); ok {
			if o := rootOf(info, e); o != nil {
				channels[o] = true
			}
		}
		return true
	})
	return channels
}
