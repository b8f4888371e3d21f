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

// A Line is an instruction of a Dockerfile that decides about operations, for
// comparing two versions of the file.
type Line struct {
	Number  int    // where it starts, counting from 1
	Keyword string // in capitals
	Stage   int    // number of the stage, from 0; -1 above the first FROM
	// Text is the instruction as the Dockerfile writes it (see [Instructions]), for
	// ARG and ENV their names alone: what they say may be a secret.
	Text string
	// Name is the name that FROM gives to the stage, in lower case, and Base what
	// it starts from, as written; empty for others.
	Name, Base string
	// Defines are the variables of ARG and ENV, Uses those whose values BuildKit
	// puts into the instruction; each as written.
	Defines, Uses []string
	// Sum is a plain hash over all of the text, which stays in memory.
	Sum string
}

// outlined are the keywords of instructions that operations depend on; what the
// others say stands in the image's configuration alone.
var outlined = []string{"FROM", "ARG", "ENV", "RUN", "COPY", "ADD", "WORKDIR", "USER", "SHELL", "ONBUILD"}

// Outline returns the instructions of a Dockerfile that decide about operations.
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
		raw := node.Original
		uses := raw
		if l.Keyword == "RUN" {
			uses = strings.Join(node.Flags, " ") // the rest is the shell's
		}
		for _, h := range node.Heredocs {
			raw += "\n" + h.Content
			if h.Expand && l.Keyword != "RUN" {
				uses += "\n" + h.Content
			}
		}
		l.Uses, l.Sum = variables(uses), digest.FromString(raw).String()
		if l.Keyword == "ARG" || l.Keyword == "ENV" {
			l.Defines = defined(node)
			l.Text = strings.Join(append([]string{l.Keyword}, l.Defines...), " ")
		}
		lines = append(lines, l)
	}
	return lines, nil
}

// stageOf returns what FROM starts from and the name that it gives.
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

// defined returns the names that ARG or ENV gives values to.
func defined(node *parser.Node) []string {
	command, err := instructions.ParseCommand(node)
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

var variable = regexp.MustCompile(`\$\{?([A-Za-z_][A-Za-z0-9_]*)`)

// variables returns the names of the variables in text.
func variables(text string) []string {
	var names []string
	for _, m := range variable.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}
