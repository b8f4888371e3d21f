package dockerfile

import (
	"bytes"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// Instructions returns the instructions of a Dockerfile by the line on which
// they start, each as BuildKit names it: keyword in capitals, continuation
// lines joined, variables as written, and for a heredoc its first line.
func Instructions(text []byte) (map[int]string, error) {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	byLine := make(map[int]string, len(parsed.AST.Children))
	for _, node := range parsed.AST.Children {
		byLine[node.StartLine] = instructionText(node)
	}
	return byLine, nil
}

func instructionText(node *parser.Node) string {
	keyword, rest, _ := strings.Cut(strings.TrimSpace(node.Original), " ")
	text := strings.TrimSpace(strings.ToUpper(keyword) + " " + strings.TrimSpace(rest))
	// Only RUN shows what its heredoc holds (dockerfile2llb.dispatchRun).
	if len(node.Heredocs) > 0 && strings.EqualFold(node.Value, "run") {
		first, more, _ := strings.Cut(strings.TrimSpace(node.Heredocs[0].Content), "\n")
		first = strings.TrimSuffix(first, "\r")
		if more != "" {
			first += "..."
		}
		text += " (" + first + ")"
	}
	return text
}
