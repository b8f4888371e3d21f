package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// ParseRepository parses the text of a repository's stoker.yaml. name is the file's
// name in errors, which are one or several [*Error]s, joined.
func ParseRepository(name string, data []byte) (*File, error) {
	return parse(name, data, func(r *reader, f *File, root ast.Node) {
		r.mapping(root, "", fields{
			"builds":   func(n ast.Node) { f.Builds = r.builds(n) },
			"budget":   func(n ast.Node) { r.budget(n, &f.settings) },
			"findings": func(n ast.Node) { r.findings(n, f) },
			"suggest":  func(n ast.Node) { f.Silenced = r.silenced(n) },
			"prewarm":  func(n ast.Node) { r.prewarm(n, f, false) },
			"builder":  func(n ast.Node) { f.settings.builder = parsed(r, n, ParseBuilder) },
		})
	})
}

// ParseUser parses the text of a user's configuration, as ParseRepository does.
func ParseUser(name string, data []byte) (*File, error) {
	return parse(name, data, func(r *reader, f *File, root ast.Node) {
		elsewhere := func(n ast.Node) { r.fail(n, "this key is a repository's own", "write it into its "+FileName) }
		r.mapping(root, "", fields{
			"builds":   elsewhere,
			"budget":   func(n ast.Node) { r.budget(n, &f.settings) },
			"findings": elsewhere,
			"suggest":  elsewhere,
			"prewarm":  func(n ast.Node) { r.prewarm(n, f, true) },
			"builder":  func(n ast.Node) { f.settings.builder = parsed(r, n, ParseBuilder) },
			"metrics": func(n ast.Node) {
				if address := parsed(r, n, parseLoopback); address != nil {
					f.Metrics = *address
				}
			},
		})
	})
}

// parse parses data. read reads the keys of the root into a File.
func parse(name string, data []byte, read func(*reader, *File, ast.Node)) (*File, error) {
	data, err := normalize(name, data)
	if err != nil {
		return nil, err
	}
	r := &reader{file: name, anchors: map[string]ast.Node{}}
	root, err := r.parseYAML(data)
	if err != nil {
		return nil, err
	}
	f := &File{}
	if root != nil {
		ast.Walk(r, root)
		read(r, f, root)
	}
	if len(r.errs) > 0 {
		// Errors are almost in the order of the file. The exception is that an entry
		// is checked as a whole after its keys.
		slices.SortStableFunc(r.errs, func(a, b *Error) int {
			if a.Line != b.Line {
				return a.Line - b.Line
			}
			return a.Column - b.Column
		})
		joined := make([]error, len(r.errs))
		for i, e := range r.errs {
			joined[i] = e
		}
		return nil, errors.Join(joined...)
	}
	return f, nil
}

// fields are the keys that a mapping may have, each with the function that reads its
// value.
type fields map[string]func(ast.Node)

// reader reads values from a syntax tree, and collects errors.
type reader struct {
	file    string              // the name of the file, for errors
	anchors map[string]ast.Node // by name, to resolve aliases
	errs    []*Error
}

// Visit implements [ast.Visitor]. It collects the anchors.
func (r *reader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		r.anchors[a.Name.GetToken().Value] = a.Value
	}
	return r
}

// maxNesting bounds brackets and indents. The parser is recursive: a file of nothing
// but brackets would take it minutes, and gigabytes of memory.
const maxNesting = 200

// parseYAML returns the only document of data, nil if it is empty.
func (r *reader) parseYAML(data []byte) (root ast.Node, err error) {
	if line := tooDeep(data); line > 0 {
		return nil, &Error{File: r.file, Line: line, Column: 1, Text: "is nested too deeply", Hint: "no key needs more than a few levels"}
	}
	// If the parser panics because of a file, the daemon must not end.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, &Error{File: r.file, Text: "is not YAML that the parser can read"}
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, r.syntaxError(err)
	}
	for _, doc := range file.Docs {
		if doc == nil || doc.Body == nil || doc.Body.Type() == ast.NullType || doc.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			return nil, r.at(doc.Body, "a second document is not read", "keep one, without --- between")
		}
		root = doc.Body
	}
	return root, nil
}

// tooDeep returns the line at which brackets, list markers or indents are nested deeper
// than maxNesting, or 0. It also counts those in quotes.
func tooDeep(data []byte) int {
	open, line := 0, 1
	for text := range strings.Lines(string(data)) {
		indent := len(text) - len(strings.TrimLeft(text, " -?:\t"))
		open += strings.Count(text, "[") + strings.Count(text, "{")
		open -= strings.Count(text, "]") + strings.Count(text, "}")
		if indent > maxNesting || open > maxNesting || strings.Count(text, "[")+strings.Count(text, "{") > maxNesting {
			return line
		}
		line++
	}
	return 0
}

// syntaxError returns an error of the parser as an *Error, without the excerpt of the
// file, in which there may be the value of a build arg.
func (r *reader) syntaxError(err error) error {
	var ye yaml.Error
	if !errors.As(err, &ye) {
		return &Error{File: r.file, Text: "is not YAML"}
	}
	e := &Error{File: r.file, Text: firstLine(ye.GetMessage()), Hint: "mend the YAML here or just above"}
	if tk := ye.GetToken(); tk != nil && tk.Position != nil {
		e.Line, e.Column = tk.Position.Line, tk.Position.Column
	}
	return e
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// at returns an error at the position of n.
func (r *reader) at(n ast.Node, text, hint string) *Error {
	e := &Error{File: r.file, Text: text, Hint: hint}
	if tk := firstToken(n); tk != nil && tk.Position != nil {
		e.Line, e.Column = tk.Position.Line, tk.Position.Column
	}
	return e
}

// fail adds an error at the position of n.
func (r *reader) fail(n ast.Node, text, hint string) {
	r.errs = append(r.errs, r.at(n, text, hint))
}

// firstToken is where n begins; a block mapping's own token is the colon of
// its first entry.
func firstToken(n ast.Node) *token.Token {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0]
	}
	if v, ok := n.(*ast.MappingValueNode); ok {
		n = v.Key
	}
	if n == nil {
		return nil
	}
	return n.GetToken()
}

// resolve follows anchors, aliases and tags to the node that holds the value;
// nil if it is absent. It returns false after it has recorded an error.
func (r *reader) resolve(n ast.Node) (ast.Node, bool) {
	// Aliases of aliases are never longer than this in a file written by hand,
	// and one that names itself would not end.
	for range 16 {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			target, ok := r.anchors[v.Value.GetToken().Value]
			if !ok {
				r.fail(n, "alias names no anchor", "define it with & first")
				return nil, false
			}
			n = target
		case *ast.NullNode, nil:
			return nil, true
		default:
			return n, true
		}
	}
	r.fail(n, "alias refers to itself", "write the value out")
	return nil, false
}

// mapping hands each value of n to the field of its key. where names the
// mapping in messages ("budget"). An absent value is an empty mapping.
func (r *reader) mapping(n ast.Node, where string, known fields) {
	for _, entry := range r.entries(n, where) {
		key := entry.Key.GetToken().Value
		if read, ok := known[key]; ok {
			read(entry.Value)
			continue
		}
		names := make([]string, 0, len(known))
		for name := range known {
			names = append(names, name)
		}
		slices.Sort(names)
		text := "unknown key " + quote(key)
		if where != "" {
			text += " in " + where
		}
		if near := nearest(key, names); near != "" {
			r.fail(entry.Key, text, "did you mean "+near+"?")
		} else {
			r.fail(entry.Key, text, "known are "+strings.ReplaceAll(oneOf(names), " or ", " and "))
		}
	}
}

// entries returns the entries of a mapping.
func (r *reader) entries(n ast.Node, where string) []*ast.MappingValueNode {
	var values []*ast.MappingValueNode
	value, _ := r.resolve(n)
	switch v := value.(type) {
	case nil:
	case *ast.MappingNode:
		values = v.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{v}
	default:
		if where == "" {
			where = "the file"
		}
		r.fail(v, where+" is not a mapping", "write it as key: value lines")
	}
	return slices.DeleteFunc(slices.Clone(values), func(v *ast.MappingValueNode) bool {
		if v.Key == nil || v.Key.GetToken() == nil {
			return true
		}
		if v.Key.IsMergeKey() {
			r.fail(v.Key, "merge keys are not read", "write the keys out")
			return true
		}
		return false
	})
}

// list returns the values of a sequence.
func (r *reader) list(n ast.Node, where string) []ast.Node {
	value, _ := r.resolve(n)
	switch v := value.(type) {
	case nil:
		return nil
	case *ast.SequenceNode:
		return v.Values
	default:
		r.fail(v, where+" is not a list", "write it as [a, b] or as - lines")
		return nil
	}
}

// text returns a scalar as it is written, so that 1.10 stays 1.10. An absent
// value and a bad one give false and an error.
func (r *reader) text(n ast.Node, where string) (string, bool) {
	value, ok := r.resolve(n)
	if !ok {
		return "", false
	}
	switch v := value.(type) {
	case nil:
		r.fail(n, where+" has no value", "give it one or remove the key")
		return "", false
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		return v.Value.Value, true
	case ast.ScalarNode:
		return v.GetToken().Value, true
	default:
		r.fail(v, where+" is not a single value", "write it on one line")
		return "", false
	}
}

// parsed reads a scalar with a parser of ours, and puts the parser's error
// where the value stands.
func parsed[T any](r *reader, n ast.Node, read func(string) (T, error)) *T {
	text, ok := r.text(n, "the key")
	if !ok {
		return nil
	}
	value, err := read(text)
	if err == nil {
		return &value
	}
	var e *Error
	if errors.As(err, &e) {
		r.fail(n, e.Text, e.Hint)
	} else {
		r.fail(n, err.Error(), "")
	}
	return nil
}

// parseQuiet reads the quiet period.
func parseQuiet(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, &Error{Text: fmt.Sprintf("%s is not a duration", quote(text)), Hint: "write it like 500ms, 2s or 1m"}
	}
	return d, nil
}
