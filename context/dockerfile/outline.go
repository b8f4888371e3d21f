package dockerfile

import (
	"bytes"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	digest "github.com/opencontainers/go-digest"
)

// A Line is an instruction of a Dockerfile on which operations can depend. Two versions of
// a file are compared by their Lines.
type Line struct {
	Number  int    // of its first line in the file, from 1
	Keyword string // in capitals
	Stage   int    // index of the stage, from 0; -1 above the first FROM
	// Text is the instruction as the Dockerfile writes it (see [Instructions]), but of
	// ARG and ENV only the names, since the values may be secrets.
	Text string
	// Name is the name that FROM gives to the stage, in lower case, and Base the image
	// or stage that it names, as written; "" for other instructions.
	Name, Base string
	// Defines are the names that ARG and ENV set, Uses those of the variables that
	// BuildKit expands in the instruction; both as written.
	Defines, Uses []string
	// Sum is a plain hash over the text with its heredocs. It must stay in memory.
	Sum string
}

// outlined are the keywords of instructions on which operations can depend. What the
// others set is in the image's configuration only.
var outlined = []string{"FROM", "ARG", "ENV", "RUN", "COPY", "ADD", "WORKDIR", "USER", "SHELL", "ONBUILD"}

// Outline returns the instructions of a Dockerfile on which operations can depend. It fails
// if the text cannot be parsed.
func Outline(text []byte) ([]Line, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	var lines []Line
	stage := -1
	for _, node := range parsed.AST.Children {
		l := Line{Number: node.StartLine, Keyword: strings.ToUpper(node.Value), Text: instructionText(node)}
		if !slices.Contains(outlined, l.Keyword) {
			continue
		}
		if l.Keyword == "FROM" {
			stage++
			l.Base, l.Name = stageOf(node)
		}
		l.Stage = stage
		written := node.Original
		expanded := written
		if l.Keyword == "RUN" {
			expanded = strings.Join(node.Flags, " ") // the shell expands the rest
		}
		for _, h := range node.Heredocs {
			written += "\n" + h.Content
			if h.Expand && l.Keyword != "RUN" {
				expanded += "\n" + h.Content
			}
		}
		l.Uses, l.Sum = variables(expanded), digest.FromString(written).String()
		if l.Keyword == "ARG" || l.Keyword == "ENV" {
			l.Defines = defined(node)
			l.Text = strings.Join(append([]string{l.Keyword}, l.Defines...), " ")
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// stageOf returns the image or stage that a FROM names, and the name that it gives to its
// own stage.
func stageOf(node *parser.Node) (base, name string) {
	if node.Next == nil {
		return "", ""
	}
	base = node.Next.Value
	if as := node.Next.Next; as != nil && as.Next != nil && strings.EqualFold(as.Value, "as") {
		name = strings.ToLower(as.Next.Value)
	}
	return base, name
}

// defined returns the names of the variables that ARG or ENV sets.
func defined(node *parser.Node) []string {
	command, err := parseInstruction(node)
	if err != nil {
		return nil
	}
	var names []string
	switch c := command.(type) {
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			names = append(names, a.Key)
		}
	case *instructions.EnvCommand:
		for _, e := range c.Env {
			names = append(names, e.Key)
		}
	}
	return names
}

// variable matches the beginning of a variable in a Dockerfile, up to the end of its name.
var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// variables returns the names of the variables in text, each once.
func variables(text string) []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}
