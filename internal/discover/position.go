package discover

import (
	"bytes"
	"errors"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// lineOf returns the line of a compose file that a message of compose's loader is about:
// the line that it names, else that of the key whose path it contains, else the first line
// with a file that it names, else 0.
func lineOf(data []byte, message string) int {
	if m := regexp.MustCompile(`\bline (\d+)`).FindStringSubmatch(message); m != nil {
		line, _ := strconv.Atoi(m[1])
		return line
	}
	var keys []string
	if m := regexp.MustCompile(`[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+`).FindString(strings.NewReplacer("[", ".", "]", "").Replace(message)); m != "" {
		keys = strings.Split(m, ".")
	}
	// "additional properties 'x' not allowed" means the key x below the path.
	if m := regexp.MustCompile(`additional properties '([^']+)'`).FindStringSubmatch(message); m != nil {
		keys = append(keys, m[1])
	}
	root := parseYAML(data)
	line := 0
	for _, key := range keys {
		entry := child(root, key)
		if entry == nil {
			break
		}
		line, root = entry.Key.GetToken().Position.Line, entry.Value
	}
	if line == 0 {
		line = lineNaming(data, message)
	}
	return line
}

// lineNaming returns the first line with the name of a file that message names, or 0.
func lineNaming(data []byte, message string) int {
	for word := range strings.FieldsSeq(message) {
		word = path.Base(strings.Trim(word, `:,"'`))
		if at := bytes.Index(data, []byte(word)); at >= 0 && strings.Contains(strings.Trim(word, "."), ".") {
			return 1 + bytes.Count(data[:at], []byte("\n"))
		}
	}
	return 0
}

// vetIncludes returns an error for an env_file in an `include`. Compose's loader opens such
// a file without asking, and in an unknown repository it may be a device that never ends.
// They are rare, and few variables matter to a definition.
func vetIncludes(data []byte) error {
	include := child(parseYAML(data), "include")
	if include == nil {
		return nil
	}
	list, ok := include.Value.(*ast.SequenceNode)
	if !ok {
		return nil
	}
	for _, item := range list.Values {
		if entry := child(item, "env_file"); entry != nil {
			return errors.New("line " + strconv.Itoa(entry.Key.GetToken().Position.Line) +
				": env_file of an include is not read; put the variables into the .env file beside the included file")
		}
	}
	return nil
}

// mayBuild reports whether a compose file, which compose's loader rejects, may build a
// service: it has a build section, or an extends or include that may lead to one. A file
// that cannot be parsed may.
func mayBuild(data []byte) bool {
	file := parseAll(data)
	if file == nil {
		return true
	}
	found := keys{"build": false, "include": false, "extends": false}
	for _, doc := range file.Docs {
		ast.Walk(found, doc)
	}
	return found["build"] || found["include"] || found["extends"]
}

// keys is an ast.Visitor that finds out which of its keys a document has, at any depth
// since anchors may be anywhere.
type keys map[string]bool

// Visit implements ast.Visitor.
func (k keys) Visit(n ast.Node) ast.Visitor {
	if entry, ok := n.(*ast.MappingValueNode); ok && entry.Key != nil && entry.Key.GetToken() != nil {
		if _, asked := k[entry.Key.GetToken().Value]; asked {
			k[entry.Key.GetToken().Value] = true
		}
	}
	return k
}

// parseYAML returns the first document of data, nil if there is none to read.
func parseYAML(data []byte) ast.Node {
	file := parseAll(data)
	if file == nil || len(file.Docs) == 0 || file.Docs[0] == nil {
		return nil
	}
	return file.Docs[0].Body
}

// parseAll returns all documents of data, nil if they cannot be parsed.
func parseAll(data []byte) (file *ast.File) {
	// This parser is used for positions. Compose's own decides what is valid, so that a
	// panic here costs no more than a line number.
	defer func() {
		if recover() != nil {
			file = nil
		}
	}()
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil
	}
	return file
}

// child returns the entry of key in a mapping, or nil.
func child(n ast.Node, key string) *ast.MappingValueNode {
	if anchor, ok := n.(*ast.AnchorNode); ok {
		n = anchor.Value
	}
	var entries []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		entries = m.Values
	case *ast.MappingValueNode:
		entries = []*ast.MappingValueNode{m}
	}
	for _, entry := range entries {
		if entry.Key != nil && entry.Key.GetToken() != nil && entry.Key.GetToken().Value == key {
			return entry
		}
	}
	return nil
}
