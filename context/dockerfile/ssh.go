package dockerfile

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/gitutil"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
)

// When the frontend converts an address of a git repository over ssh, it connects to the
// host to ask for its key (BuildKit: client/llb, Git). A conversion must not connect to
// wherever a Dockerfile says, so the frontend never sees such an address. It gets the
// same repository over the git protocol instead, which makes the same operation but for
// the options of ssh, and has the same key if the address names a full commit.

// overSSH reports whether the frontend would take address for a repository over ssh.
func overSSH(address string) bool {
	u, err := gitutil.ParseURL(address)
	return err == nil && u.Scheme == gitutil.SSHProtocol
}

// withoutSSH returns address with the git protocol in place of ssh.
func withoutSSH(address string) string {
	u, err := gitutil.ParseURL(address)
	if err != nil || u.Scheme != gitutil.SSHProtocol {
		return address
	}
	plain := url.URL{Scheme: gitutil.GitProtocol, Host: u.Host, Path: path.Join("/", u.Path), RawQuery: u.Query.Encode()}
	if u.Opts != nil {
		if plain.Fragment = u.Opts.Ref; u.Opts.Subdir != "" {
			plain.Fragment += ":" + u.Opts.Subdir
		}
	}
	return plain.String()
}

// A guard rewrites the ADD instructions of a Dockerfile, and those of ONBUILD triggers,
// so that the frontend sees no source over ssh, whatever the values of variables.
//
// The value of a source that begins with a variable is found out by a probe: the source
// is replaced by a URL that has it as its query. The frontend expands the variables in
// the URL, [guard.learn] reads the result from the converted build, and the Dockerfile
// is converted again with that in place of the source.
type guard struct {
	file     string             // for errors
	text     []byte             // the Dockerfile
	parsed   *parser.Result     // of text, never changed; nil if it cannot be parsed
	escape   rune               // the Dockerfile's escape character
	sources  map[string]*string // probe → expanded source; nil if it has several values
	triggers map[string]string  // rewritten ONBUILD trigger → original
	names    map[string]string  // rewritten address → original
}

func newGuard(file string, text []byte) *guard {
	g := &guard{
		file: file, text: text, escape: parser.DefaultEscapeToken,
		sources: map[string]*string{}, triggers: map[string]string{}, names: map[string]string{},
	}
	if parsed, err := parser.Parse(bytes.NewReader(text)); err == nil {
		g.parsed, g.escape = parsed, parsed.EscapeToken
	}
	return g
}

// probeHost begins the URLs of probes. Such a host never exists (RFC 2606), and nothing
// connects to it, since a plan is not solved.
const probeHost = "https://source.invalid/"

var (
	// probe matches the URL of a probe up to the source.
	probe = regexp.MustCompile(`https://source\.invalid/[\w.]+\?`)
	// checksumFlag matches the flag of ADD that has to go where a probe replaces the
	// source that it is the checksum of.
	checksumFlag = regexp.MustCompile(`(\s)--checksum=\S+`)
)

// learn reads from a converted build what the sources in probes were expanded to, and
// reports whether there were new probes.
func (g *guard) learn(def *pb.Definition) (bool, error) {
	ops, _, err := decode(def)
	if err != nil {
		return false, err
	}
	found := map[string]*string{}
	for _, v := range ops {
		id := v.op.GetSource().GetIdentifier()
		key := probe.FindString(id)
		if key == "" || !strings.HasPrefix(id, key) {
			continue
		}
		source := id[len(key):]
		if other, twice := found[key]; twice && (other == nil || *other != source) {
			found[key] = nil // an ONBUILD trigger with different values in several stages
			continue
		}
		found[key] = &source
	}
	more := false
	for key, source := range found {
		if _, known := g.sources[key]; !known {
			g.sources[key], more = source, true
		}
	}
	return more, nil
}

// rewrite returns text without sources over ssh. Instructions stay on their lines.
func (g *guard) rewrite(text []byte) ([]byte, error) {
	parsed := g.parsed // for each platform and each round of probes the text is the same
	if !bytes.Equal(text, g.text) {
		parsed, _ = parser.Parse(bytes.NewReader(text))
	}
	if parsed == nil {
		return text, nil // the frontend reports it, with more context
	}
	var out []byte
	lines := bytes.SplitAfter(text, []byte("\n"))
	done := 0
	for _, node := range parsed.AST.Children {
		written, err := g.instruction(node, strconv.Itoa(node.StartLine))
		if err != nil {
			return nil, &Error{File: g.file, Line: node.StartLine, Err: err, Hint: addHint}
		}
		if written == node.Original {
			continue
		}
		header := node.EndLine - node.StartLine + 1
		for _, doc := range node.Heredocs {
			header -= strings.Count(doc.Content, "\n") + 1
		}
		out = append(out, bytes.Join(lines[done:node.StartLine-1], nil)...)
		out = append(out, strings.Repeat(string(g.escape)+"\n", header-1)+written+"\n"...)
		done = node.StartLine - 1 + header
	}
	if done == 0 {
		return text, nil
	}
	out = append(out, bytes.Join(lines[done:], nil)...)
	return out, g.check(out)
}

// check returns an error if the frontend might still see a source over ssh in text, the
// result of rewriting. It parses text again, so that an instruction that was rewritten
// wrongly is noticed.
func (g *guard) check(text []byte) error {
	parsed, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return &Error{File: g.file, Err: errors.New(plainMessage(err))}
	}
	for _, node := range parsed.AST.Children {
		words := addWords(triggered(node))
		for i, word := range words {
			if i < len(words)-1 && !g.harmless(word) {
				return &Error{File: g.file, Line: node.StartLine, Err: errAddSources, Hint: addHint}
			}
		}
	}
	return nil
}

var errAddSources = errors.New("cannot read the sources of this ADD")

const addHint = "write them as plain words, without quotes and escapes"

// trigger rewrites an ONBUILD trigger of a base image.
func (g *guard) trigger(text string) (string, error) {
	parsed, err := parser.Parse(strings.NewReader(text))
	if err != nil || len(parsed.AST.Children) != 1 {
		return text, nil // the frontend refuses it
	}
	node := parsed.AST.Children[0]
	written, err := g.instruction(node, "t"+digest.FromString(text).Encoded())
	if err != nil {
		return "", fmt.Errorf("ONBUILD trigger of a base image: %w", err)
	}
	if written == node.Original {
		return text, nil
	}
	for _, doc := range node.Heredocs {
		written += "\n" + doc.Content + doc.Name
	}
	return written, g.check([]byte(written))
}

// config rewrites the ONBUILD triggers of an image's configuration.
func (g *guard) config(config []byte) ([]byte, error) {
	var image dockerspec.DockerOCIImage
	if err := json.Unmarshal(config, &image); err != nil || len(image.Config.OnBuild) == 0 {
		return config, nil // the frontend reports the error
	}
	for i, text := range image.Config.OnBuild {
		written, err := g.trigger(text)
		if err != nil {
			return nil, err
		}
		image.Config.OnBuild[i] = written
	}
	return json.Marshal(image)
}

// instruction returns the instruction of node without sources over ssh, on one line. It
// is node.Original if nothing has to be rewritten. Probes are numbered below name, which
// must be unique among instructions.
func (g *guard) instruction(node *parser.Node, name string) (string, error) {
	add := triggered(node)
	words := addWords(add)
	line, isJSON := node.Original, add.Attributes["json"]
	at := wordsOf(line, words, isJSON)
	// The last word is the destination. Going backwards keeps the positions in at valid.
	for i := len(words) - 2; i >= 0; i-- {
		word := g.word(words[i], fmt.Sprintf("%s%s.%d?", probeHost, name, i), isJSON)
		if word == words[i] {
			continue
		}
		if at == nil {
			return "", errAddSources
		}
		if isJSON {
			word = jsonText(word)
		}
		line = line[:at[i][0]] + word + line[at[i][1]:]
	}
	if at != nil && strings.Contains(line, probeHost) {
		line = checksumFlag.ReplaceAllString(line[:at[0][0]], "$1") + line[at[0][0]:]
	}
	if add != node && line != node.Original {
		g.triggers[expression(line)] = expression(node.Original)
	}
	return line, nil
}

var onBuildWord = regexp.MustCompile(`(?i)^\s*ONBUILD\s*`)

// expression returns the trigger that an ONBUILD instruction sets (BuildKit:
// frontend/dockerfile/instructions, parseOnBuild).
func expression(line string) string { return onBuildWord.ReplaceAllString(line, "") }

// originals returns triggers as they were before they were rewritten.
func (g *guard) originals(triggers []string) []string {
	triggers = slices.Clone(triggers)
	for i, text := range triggers {
		line, docs, more := strings.Cut(text, "\n")
		was, ok := g.triggers[line]
		if !ok {
			continue
		}
		if triggers[i] = was; more {
			triggers[i] += "\n" + docs
		}
	}
	return triggers
}

// harmless reports whether a word cannot be expanded to a source over ssh.
func (g *guard) harmless(word string) bool {
	if parser.MustParseHeredoc(word) != nil {
		return true
	}
	if strings.Contains(word, "$") {
		plain := word
		if word[0] == '"' || word[0] == '\'' {
			plain = word[1:] // what stands behind a quote begins the value
		}
		return beginsPlain(plain[:max(strings.IndexAny(plain, "$<'\""+string(g.escape)), 0)])
	}
	source, _, err := shell.NewLex(g.escape).ProcessWord(word, shell.EnvsFromSlice(nil))
	return err != nil || !overSSH(source)
}

// word returns what replaces a source: itself if it is harmless, a rewritten address if
// its value is known, else a probe.
func (g *guard) word(word, probe string, isJSON bool) string {
	if g.harmless(word) {
		return word
	}
	if !strings.Contains(word, "$") {
		source, _, _ := shell.NewLex(g.escape).ProcessWord(word, shell.EnvsFromSlice(nil)) // as in harmless
		return literal(g.replace(source), g.escape)
	}
	source := g.sources[probe]
	if source == nil || !isJSON && strings.ContainsFunc(*source, unicode.IsSpace) {
		return probe + word
	}
	return literal(g.replace(*source), g.escape)
}

// beginsPlain reports whether a source with this prefix cannot be one over ssh.
func beginsPlain(prefix string) bool {
	before, _, found := strings.Cut(prefix, "/")
	return found && !strings.ContainsAny(before, ":@") || strings.HasPrefix(prefix, "https://") || strings.HasPrefix(prefix, "http://")
}

// replace returns source without ssh, and remembers how to undo that.
func (g *guard) replace(source string) string {
	if !overSSH(source) {
		return source
	}
	plain := withoutSSH(source)
	g.names[plain] = source
	return plain
}

// restore undoes replace in v: in its name, and in the paths that it requests from the
// client, among which the frontend also lists addresses.
func (g *guard) restore(v *vertex) {
	if len(g.names) == 0 {
		return
	}
	plain := slices.SortedFunc(maps.Keys(g.names), func(a, b string) int { // the longest first
		return cmp.Or(cmp.Compare(len(b), len(a)), cmp.Compare(a, b))
	})
	byPath := map[string]string{}
	var pairs []string
	for _, address := range plain {
		pairs = append(pairs, address, g.names[address])
		byPath[relative(address)] = relative(g.names[address])
	}
	v.name = strings.NewReplacer(pairs...).Replace(v.name)
	attrs := v.op.GetSource().GetAttrs()
	follow := jsonList(attrs[pb.AttrFollowPaths])
	for i, name := range follow {
		follow[i] = cmp.Or(byPath[name], name)
	}
	if text, err := json.Marshal(follow); err == nil && follow != nil {
		attrs[pb.AttrFollowPaths] = string(text)
	}
}
