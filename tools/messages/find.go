package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// functions has the functions that take texts, and how many of their last arguments are texts; 0 is the first one.
var functions = map[string]int{"T": 0, "Tf": 0, "newMessage": 0, "plural": 2}

// find returns the texts of all packages below a folder, in order. They are the literals in calls of functions.
func find(folder string) ([]string, error) {
	found := map[string]bool{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "browsertest"):
			return fs.SkipDir
		case entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go"):
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(node ast.Node) bool {
			if call, ok := node.(*ast.CallExpr); ok {
				for _, text := range textsOf(call) {
					found[text] = true
				}
			}
			return true
		})
		return nil
	})
	return slices.Sorted(maps.Keys(found)), err
}

// textsOf returns the literals that a call passes as texts.
func textsOf(call *ast.CallExpr) (texts []string) {
	name := ""
	switch f := call.Fun.(type) {
	case *ast.Ident:
		name = f.Name
	case *ast.SelectorExpr:
		name = f.Sel.Name
	}
	last, found := functions[name]
	if !found || len(call.Args) == 0 || len(call.Args) < last {
		return nil
	}
	args := call.Args[:1]
	if last > 0 {
		args = call.Args[len(call.Args)-last:]
	}
	for _, arg := range args {
		if literal, ok := arg.(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil && text != "" {
				texts = append(texts, text)
			}
		}
	}
	return texts
}
