package main

import (
	"go/ast"
	"go/types"
	"strings"

	"golang.org/x/tools/go/analysis"
	"golang.org/x/tools/go/analysis/passes/inspect"
	"golang.org/x/tools/go/ast/inspector"
)

var noPanic = rule("nopanic",
	"panic takes the whole program down for one bad input: return an error instead",
	func(pass *analysis.Pass, node ast.Node) bool {
		call, isCall := node.(*ast.CallExpr)
		if !isCall {
			return false
		}
		name, isName := call.Fun.(*ast.Ident)
		if !isName {
			return false
		}
		builtin, isBuiltin := pass.TypesInfo.Uses[name].(*types.Builtin)
		return isBuiltin && builtin.Name() == "panic"
	})

var noPrint = rule("noprint",
	"a library does not write to the terminal: return the text, log it, or take an io.Writer",
	func(pass *analysis.Pass, node ast.Node) bool {
		call, isCall := node.(*ast.CallExpr)
		if !isCall || pass.Pkg.Name() == "main" {
			return false
		}
		function := callee(pass, call)
		return strings.HasPrefix(function, "fmt.Print") || strings.HasPrefix(function, "log.")
	})

var noInit = rule("noinit",
	"init hides work behind an import: call a constructor",
	func(_ *analysis.Pass, node ast.Node) bool {
		function, isFunction := node.(*ast.FuncDecl)
		return isFunction && function.Recv == nil && function.Name.Name == "init"
	})

var noSleep = rule("nosleep",
	"time.Sleep can't be cancelled: wait on a timer and ctx.Done()",
	func(pass *analysis.Pass, node ast.Node) bool {
		call, isCall := node.(*ast.CallExpr)
		return isCall && callee(pass, call) == "time.Sleep"
	})

// rule makes an analyzer that reports message at every node that violates says yes to, in production code only:
// generated files and tests are left out.
func rule(name, message string, violates func(*analysis.Pass, ast.Node) bool) *analysis.Analyzer {
	return &analysis.Analyzer{
		Name:     name,
		Doc:      message,
		Requires: []*analysis.Analyzer{inspect.Analyzer},
		Run: func(pass *analysis.Pass) (any, error) {
			exempt := exemptFiles(pass)
			nodes := []ast.Node{(*ast.CallExpr)(nil), (*ast.FuncDecl)(nil)}
			pass.ResultOf[inspect.Analyzer].(*inspector.Inspector).Preorder(nodes, func(node ast.Node) {
				if !exempt[pass.Fset.Position(node.Pos()).Filename] && violates(pass, node) {
					pass.Reportf(node.Pos(), "%s: %s", name, message)
				}
			})
			return nil, nil
		},
	}
}

func exemptFiles(pass *analysis.Pass) map[string]bool {
	exempt := make(map[string]bool)
	for _, file := range pass.Files {
		name := pass.Fset.Position(file.Pos()).Filename
		exempt[name] = strings.HasSuffix(name, "_test.go") || ast.IsGenerated(file)
	}
	return exempt
}

// callee returns "pkg.Func" for a call of a package-level function, or "".
func callee(pass *analysis.Pass, call *ast.CallExpr) string {
	selector, isSelector := call.Fun.(*ast.SelectorExpr)
	if !isSelector {
		return ""
	}
	function, isFunction := pass.TypesInfo.Uses[selector.Sel].(*types.Func)
	if !isFunction || function.Pkg() == nil || function.Signature().Recv() != nil {
		return ""
	}
	return function.Pkg().Name() + "." + function.Name()
}
