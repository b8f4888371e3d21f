package dockerfile

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode"

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
	keyword, rest := strings.TrimSpace(node.Original), ""
	if end := strings.IndexFunc(keyword, unicode.IsSpace); end >= 0 {
		keyword, rest = keyword[:end], keyword[end:]
	}
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

// instructions returns the instructions of the text that is built, as they may
// be shown. Where what is shown does not tell, the keyword has to do.
func (in Input) instructions(text []byte) (map[int]string, error) {
	byLine, err := Instructions(text)
	if err != nil || in.Shown == nil {
		return byLine, err
	}
	shown, err := Instructions(in.Shown)
	if err != nil {
		shown = nil
	}
	for line, instruction := range byLine {
		keyword := firstWord(instruction)
		if byLine[line] = keyword; firstWord(shown[line]) == keyword {
			byLine[line] = shown[line]
		}
	}
	return byLine, nil
}

// A value of up to this many bytes is no secret, and would be found in words
// that have nothing to do with it.
const shortValue = 3

// redact puts the names of build args where msg repeats their values, as the
// frontend's messages do for what they were expanded to, and leaves out words
// that came into the text from the environment.
func (in Input) redact(msg string) string {
	names := slices.SortedFunc(maps.Keys(in.Args), func(a, b string) int { // the longest value first
		return cmp.Or(cmp.Compare(len(in.Args[b]), len(in.Args[a])), cmp.Compare(a, b))
	})
	for _, name := range names {
		if value := in.Args[name]; len(value) > shortValue {
			msg = strings.ReplaceAll(msg, value, "${"+name+"}")
		}
	}
	if in.Shown == nil {
		return msg
	}
	shown := strings.Fields(string(in.Shown))
	for word := range strings.FieldsSeq(string(in.Text)) {
		if len(word) > shortValue && !slices.Contains(shown, word) {
			msg = strings.ReplaceAll(msg, word, "…")
		}
	}
	return msg
}
