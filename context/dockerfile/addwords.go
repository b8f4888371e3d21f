package dockerfile

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// triggered returns the instruction that node is, or that its ONBUILD holds back.
func triggered(node *parser.Node) *parser.Node {
	if strings.EqualFold(node.Value, "onbuild") && node.Next != nil && len(node.Next.Children) > 0 {
		return node.Next.Children[0]
	}
	return node
}

// addWords returns the words of an ADD, none for other instructions.
func addWords(node *parser.Node) (words []string) {
	if !strings.EqualFold(node.Value, "add") {
		return nil
	}
	for n := node.Next; n != nil; n = n.Next {
		words = append(words, n.Value)
	}
	return words
}

// literal returns the word that expands to source.
func literal(source string, escape rune) string {
	if source == "" {
		return `""`
	}
	var word strings.Builder
	for i, c := range source {
		if c == escape || strings.ContainsRune("$<'\"", c) || i == 0 && c == '-' {
			word.WriteRune(escape)
		}
		word.WriteRune(c)
	}
	return word.String()
}

// jsonText returns word as it is written in a list.
func jsonText(word string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the parser would not mind, but a step's name shows it
	if enc.Encode(word) != nil {
		return `""` // never: it is a string
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// shellWord matches what the parser splits an ADD into (BuildKit:
// frontend/dockerfile/parser, parseStringsWhitespaceDelimited).
var shellWord = regexp.MustCompile(`[^\t\v\f\r ]+`)

// wordsOf returns from where to where in line each of its last words stands; nil
// if it does not end in them.
func wordsOf(line string, words []string, isJSON bool) [][]int {
	if isJSON {
		return jsonWordsOf(line, words)
	}
	line = strings.TrimRightFunc(line, unicode.IsSpace)
	at := shellWord.FindAllStringIndex(line, -1)
	if len(at) < len(words) {
		return nil
	}
	at = at[len(at)-len(words):]
	for i, span := range at {
		if line[span[0]:span[1]] != words[i] {
			return nil
		}
	}
	return at
}

// jsonWordsOf does the same for a line that ends in a list.
func jsonWordsOf(line string, words []string) [][]int {
	for from := range len(line) {
		var list []string
		if line[from] != '[' || json.Unmarshal([]byte(line[from:]), &list) != nil || !slices.Equal(list, words) {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(line[from:]))
		at := make([][]int, 0, len(words))
		for {
			begin := int(dec.InputOffset())
			token, err := dec.Token()
			if err != nil {
				return at
			}
			if _, ok := token.(string); ok {
				end := int(dec.InputOffset())
				at = append(at, []int{from + begin + strings.IndexByte(line[from+begin:], '"'), from + end})
			}
		}
	}
	return nil
}
