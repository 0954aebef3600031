// Command apilist writes the exported names of each public package to a file in api/, one name
// per line, so that a diff shows every change of the API:
//
//	cd tools && go run ./apilist -root ..          # write
//	cd tools && go run ./apilist -root .. -check   # compare
package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packages lists the folders of the public packages. most limits the number of exported names of a
// package, not counting constants, methods and fields, to keep the API small enough to learn; 0
// means no limit. When a package reaches the limit, move names to another package or raise the
// limit with a reason.
var packages = []struct {
	folder string
	most   int
}{
	{".", 76},
	{"fault", 0},
	{"secret", 0},
	{"mirror", 60}, // one interface for each thing that a remote can do
	{"tracker", 68}, // one type for each thing that pages list; eight are of the calls of external APIs
	{"admin", 0},
	{"admin/component", 0},
	{"admin/policy", 0},
	{"migrations", 0},
	{"nawasynctest", 0},
	{"remote", 0},
}

func main() {
	root := flag.String("root", ".", "the root of the repository")
	check := flag.Bool("check", false, "compare with the files in api/ instead of writing them")
	flag.Parse()
	if err := run(*root, *check); err != nil {
		fmt.Fprintln(os.Stderr, "apilist:", err)
		os.Exit(1)
	}
}

func run(root string, check bool) error {
	for _, p := range packages {
		lines, err := list(filepath.Join(root, p.folder))
		if err != nil {
			return err
		}
		if n := countNames(lines); p.most > 0 && n > p.most {
			return fmt.Errorf("%s has %d exported names without constants, methods and fields; the limit is %d", p.folder, n, p.most)
		}
		name := strings.ReplaceAll(p.folder, "/", "_")
		if name == "." {
			name = "nawasync"
		}
		path := filepath.Join(root, "api", name+".txt")
		text := strings.Join(lines, "\n") + "\n"
		if !check {
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				return err
			}
			continue
		}
		written, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if string(written) != text {
			return fmt.Errorf("%s does not match the exported names of package %s; run “make generate” and review the diff", path, p.folder)
		}
	}
	return nil
}

// countNames counts the lines that are not constants, methods or fields.
func countNames(lines []string) (n int) {
	for _, line := range lines {
		if !strings.HasPrefix(line, "const ") && !strings.HasPrefix(line, "method ") && !strings.HasPrefix(line, "field ") {
			n++
		}
	}
	return n
}

// list returns the exported names of the package in a folder, sorted.
func list(folder string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil {
		return nil, err
	}
	fset := token.NewFileSet()
	var decls []ast.Decl
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		decls = append(decls, parsed.Decls...)
	}
	promoted := embedders(fset, decls)
	var lines []string
	for _, decl := range decls {
		lines = append(lines, declared(fset, decl, promoted)...)
	}
	slices.Sort(lines)
	return lines, nil
}

// embedders returns the exported structs that embed an unexported type of the package, and so have
// its methods. The key is the name of the unexported type.
func embedders(fset *token.FileSet, decls []ast.Decl) map[string]string {
	embedder := map[string]string{}
	for _, decl := range decls {
		general, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range general.Specs {
			s, ok := spec.(*ast.TypeSpec)
			if !ok || !s.Name.IsExported() {
				continue
			}
			if t, ok := s.Type.(*ast.StructType); ok {
				for _, field := range t.Fields.List {
					if name := show(fset, field.Type); len(field.Names) == 0 && !ast.IsExported(strings.TrimLeft(name, "*")) {
						embedder[strings.TrimLeft(name, "*")] = s.Name.Name
					}
				}
			}
		}
	}
	return embedder
}

// declared returns the lines of a declaration. promoted is the result of embedders.
func declared(fset *token.FileSet, decl ast.Decl, promoted map[string]string) (lines []string) {
	switch d := decl.(type) {
	case *ast.FuncDecl:
		if !d.Name.IsExported() {
			return nil
		}
		signature := strings.TrimPrefix(show(fset, d.Type), "func")
		if d.Recv == nil {
			return []string{"func " + d.Name.Name + signature}
		}
		receiver := show(fset, d.Recv.List[0].Type)
		if embedder := promoted[strings.TrimLeft(receiver, "*")]; embedder != "" {
			receiver = embedder
		}
		if !ast.IsExported(strings.TrimLeft(receiver, "*")) {
			return nil
		}
		return []string{"method (" + receiver + ") " + d.Name.Name + signature}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch s := spec.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					lines = append(lines, typed(fset, s)...)
				}
			case *ast.ValueSpec:
				for _, name := range s.Names {
					if name.IsExported() {
						lines = append(lines, d.Tok.String()+" "+name.Name)
					}
				}
			}
		}
	}
	return lines
}

// typed returns the lines of a type: the type and its exported members.
func typed(fset *token.FileSet, s *ast.TypeSpec) (lines []string) {
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[" + strings.Trim(show(fset, &ast.FuncType{Params: s.TypeParams}), "func()") + "]"
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		lines = append(lines, "type "+name+" struct")
		for _, field := range t.Fields.List {
			for _, fieldName := range field.Names {
				if fieldName.IsExported() {
					lines = append(lines, "field "+s.Name.Name+"."+fieldName.Name+" "+show(fset, field.Type))
				}
			}
			if embedded := show(fset, field.Type); len(field.Names) == 0 {
				lines = append(lines, "field "+s.Name.Name+" embeds "+embedded)
			}
		}
	case *ast.InterfaceType:
		lines = append(lines, "type "+name+" interface")
		for _, method := range t.Methods.List {
			for _, methodName := range method.Names {
				lines = append(lines, "method ("+s.Name.Name+") "+methodName.Name+strings.TrimPrefix(show(fset, method.Type), "func"))
			}
			if len(method.Names) == 0 {
				lines = append(lines, "method ("+s.Name.Name+") embeds "+show(fset, method.Type))
			}
		}
	default:
		equals := ""
		if s.Assign.IsValid() {
			equals = "= "
		}
		lines = append(lines, "type "+name+" "+equals+show(fset, s.Type))
	}
	return lines
}

// show prints a node on one line.
func show(fset *token.FileSet, node ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, fset, node); err != nil {
		return err.Error()
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
