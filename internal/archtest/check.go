package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Check reads every Go file of the module at root, whatever platform it is
// for, and returns what breaks a rule as sorted lines: file, what, and rule.
func Check(root string) ([]string, error) {
	c := &checker{root: root, packages: map[string]*pkg{}, levels: map[string]int{}}
	for _, l := range Levels() {
		c.levels[l.Package] = l.Number
	}
	if err := filepath.WalkDir(root, c.visit); err != nil {
		return nil, fmt.Errorf("read the module: %w", err)
	}
	for dir, p := range c.packages {
		if _, known := c.levels[dir]; !known {
			c.fail(dir, "package has no level: add it to the table in internal/archtest/rules.go")
		}
		if p.production && !p.documented {
			c.fail(dir, "package has no doc comment")
		}
	}
	if share := 100 * c.documented / max(c.exported, 1); c.exported > 0 && share < minDocumented {
		c.fail("module", fmt.Sprintf("%d%% of %d exported symbols are documented, want %d%%; without: %s",
			share, c.exported, minDocumented, strings.Join(c.undocumented, ", ")))
	}
	slices.Sort(c.failures)
	return c.failures, nil
}

// pkg is what is known of one folder's package.
type pkg struct {
	documented bool
	production bool // has a file that is no test
}

type checker struct {
	root     string
	levels   map[string]int
	packages map[string]*pkg

	exported, documented int
	undocumented         []string
	failures             []string
}

func (c *checker) fail(where, text string) {
	c.failures = append(c.failures, where+": "+text)
}

// visit is called for every file and folder.
func (c *checker) visit(name string, d fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if d.IsDir() {
		_, modErr := os.Stat(filepath.Join(name, "go.mod"))
		if name != c.root && (modErr == nil || d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_")) {
			return fs.SkipDir
		}
		return nil
	}
	if filepath.Ext(name) != ".go" {
		return nil
	}
	rel, err := filepath.Rel(c.root, name)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	return c.file(filepath.ToSlash(rel), data)
}

// file checks one file.
func (c *checker) file(rel string, data []byte) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, rel, data, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	dir, test := path.Dir(rel), strings.HasSuffix(rel, "_test.go")
	p := c.packages[dir]
	if p == nil {
		p = &pkg{}
		c.packages[dir] = p
	}
	if lines := bytes.Count(data, []byte("\n")); lines > maxLines && !ast.IsGenerated(file) {
		c.fail(rel, fmt.Sprintf("has %d lines, at most %d are allowed", lines, maxLines))
	}
	c.calls(fset, file, test, isMain(dir))
	if test {
		return nil
	}
	p.production = true
	p.documented = p.documented || file.Doc != nil
	c.imports(rel, dir, file)
	c.symbols(rel, file)
	return nil
}

// isMain reports whether dir is a command, which may end the process.
func isMain(dir string) bool {
	return strings.HasPrefix(dir, "cmd/") || dir == "internal/lab/labctl"
}

// imports checks levels and restrictions.
func (c *checker) imports(rel, dir string, file *ast.File) {
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		own, isOwn := strings.CutPrefix(imported, module+"/")
		from, known := c.levels[dir]
		if to, ok := c.levels[own]; isOwn && known && ok && to >= from {
			c.fail(rel, fmt.Sprintf("imports %s of level %d, but %s is on level %d and may import lower ones only (%s)",
				own, to, dir, from, levelReason(dir)))
		}
		if dir == "internal/lab" || strings.HasPrefix(dir, "internal/lab/") {
			continue
		}
		for _, r := range Restrictions() {
			if !slices.Contains(r.By, dir) && slices.ContainsFunc(r.Imports, func(pattern string) bool { return covers(pattern, imported) }) {
				c.fail(rel, fmt.Sprintf("imports %s, which only %s may: %s", imported, strings.Join(r.By, " and "), r.Reason))
			}
		}
	}
}

func levelReason(dir string) string {
	i := slices.IndexFunc(Levels(), func(l Level) bool { return l.Package == dir })
	return Levels()[i].Reason
}

// covers reports whether an import path of a Restriction means imported.
func covers(pattern, imported string) bool {
	base, below := strings.CutSuffix(pattern, "/...")
	return imported == base || below && strings.HasPrefix(imported, base+"/")
}

// calls finds banned functions and init.
func (c *checker) calls(fset *token.FileSet, file *ast.File, test, main bool) {
	names := importNames(file)
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncDecl:
			if n.Name.Name == "init" && n.Recv == nil {
				c.fail(position(fset, n), "declares init: make it an explicit call")
			}
		case *ast.SelectorExpr:
			x, ok := n.X.(*ast.Ident)
			if !ok {
				return true
			}
			for _, b := range Bans() {
				if b.InTests && names["synctest"] != "" {
					continue // in a bubble, sleeping only moves the clock
				}
				if names[x.Name] == b.Import && slices.Contains(b.Names, n.Sel.Name) && test == b.InTests && (test || !main) {
					c.fail(position(fset, n), fmt.Sprintf("calls %s.%s: %s", b.Import, n.Sel.Name, b.Reason))
				}
			}
		}
		return true
	})
}

// importNames maps the names by which a file calls its imports to their paths.
func importNames(file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(imported)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		names[name] = imported
	}
	return names
}

func position(fset *token.FileSet, n ast.Node) string {
	at := fset.Position(n.Pos())
	return at.Filename + ":" + strconv.Itoa(at.Line)
}

// symbols counts the exported symbols of a file and those with a comment.
func (c *checker) symbols(rel string, file *ast.File) {
	count := func(name string, exported, documented bool) {
		if !exported {
			return
		}
		c.exported++
		if documented {
			c.documented++
		} else {
			c.undocumented = append(c.undocumented, path.Dir(rel)+"."+name)
		}
	}
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			count(d.Name.Name, d.Name.IsExported() && exportedReceiver(d), d.Doc != nil)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				switch s := spec.(type) {
				case *ast.TypeSpec:
					count(s.Name.Name, s.Name.IsExported(), d.Doc != nil || s.Doc != nil || s.Comment != nil)
				case *ast.ValueSpec:
					for _, name := range s.Names {
						count(name.Name, name.IsExported(), d.Doc != nil || s.Doc != nil || s.Comment != nil)
					}
				}
			}
		}
	}
}

// exportedReceiver reports whether a function is no method, or one of an
// exported type.
func exportedReceiver(d *ast.FuncDecl) bool {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return true
	}
	t := d.Recv.List[0].Type
	if star, ok := t.(*ast.StarExpr); ok {
		t = star.X
	}
	if generic, ok := t.(*ast.IndexExpr); ok {
		t = generic.X
	}
	name, ok := t.(*ast.Ident)
	return ok && name.IsExported()
}
