package lint

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The words that look like names of ours and are none.
var foreignWords = map[string]bool{"LogData": true, "PacificA": true, "HdrHistogram": true, "OpenAPI": true, "RocksDB": true,
	"KiB": true, "MiB": true, "GiB": true, "TiB": true, "SipHash": true, "GitHub": true, "McKenney": true}

// A word in mixed case is a name: of a comment any, of a page what stands between backquotes.
var (
	mixedCase = regexp.MustCompile(`\b(?:[a-z]+[A-Z]\w*|[A-Z][a-z0-9]+[A-Z]\w*)\b`)
	quoted    = regexp.MustCompile("`([^`\n]+)`")
)

// sourceFile is a file of Go, parsed with its comments.
type sourceFile struct {
	path string
	file *ast.File
}

// sources parses all files of Go in the repository, tests among them, and returns them with every name that occurs in
// their code or strings.
func sources(t *testing.T, fset *token.FileSet) ([]sourceFile, map[string]bool) {
	t.Helper()
	files, names := []sourceFile{}, map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") {
			return err
		}
		file, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		files = append(files, sourceFile{path, file})
		ast.Inspect(file, func(n ast.Node) bool {
			switch x := n.(type) {
			case *ast.Ident:
				names[x.Name] = true
			case *ast.BasicLit:
				for _, word := range mixedCase.FindAllString(x.Value, -1) {
					names[word] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, names
}

// Comments and pages name what there is: who renames something renames it there, too.
func TestNamesInCommentsAndPagesExist(t *testing.T) {
	fset := token.NewFileSet()
	files, names := sources(t, fset)
	for _, f := range files {
		for _, group := range f.file.Comments {
			for _, word := range mixedCase.FindAllString(group.Text(), -1) {
				if !names[word] && !foreignWords[word] {
					t.Errorf("%s: a comment names %s, which is not there", fset.Position(group.Pos()), word)
				}
			}
		}
	}
	pages, _ := filepath.Glob(filepath.Join(root, "*.md"))
	more, _ := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	if len(pages) == 0 || len(more) == 0 {
		t.Fatal("no pages were found")
	}
	for _, page := range append(pages, more...) {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range quoted.FindAllStringSubmatch(string(text), -1) {
			for _, word := range mixedCase.FindAllString(code[1], -1) {
				if !names[word] && !foreignWords[word] {
					t.Errorf("%s names %s, which is not in the sources", page, word)
				}
			}
		}
	}
}

// A function's or a type's comment begins with its name.
func TestDocCommentsBeginWithTheName(t *testing.T) {
	fset := token.NewFileSet()
	files, names := sources(t, fset)
	for _, f := range files {
		if strings.HasSuffix(f.path, "_test.go") {
			continue
		}
		for _, decl := range f.file.Decls {
			name, doc := "", (*ast.CommentGroup)(nil)
			switch d := decl.(type) {
			case *ast.FuncDecl:
				name, doc = d.Name.Name, d.Doc
			case *ast.GenDecl:
				if spec, one := d.Specs[0].(*ast.TypeSpec); one && len(d.Specs) == 1 {
					name, doc = spec.Name.Name, d.Doc
				}
			}
			words := strings.Fields(doc.Text())
			if name == "" || len(words) == 0 {
				continue
			}
			first := strings.TrimSuffix(strings.Trim(words[0], ",:"), "'s")
			if first != name && (names[first] && first == strings.ToLower(first) && len(first) > 3 || mixedCase.MatchString(first)) {
				t.Errorf("%s: the comment of %s begins with %s", fset.Position(decl.Pos()), name, words[0])
			}
		}
	}
}
