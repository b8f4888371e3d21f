package image

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/stokerd/stoker/context/secrets"
)

// Secret is a secret in an image. Everyone who can pull the image can read it, even if a later layer deletes the file.
// The value is not in here.
type Secret struct {
	Rule     string
	Where    string // file, env, history, config
	Path     string // of a file
	Line     int    // in the file, from 1; 0 for the file as a whole
	Name     string // of an environment variable, a build arg or a label
	Layer    int    // number of the layer with the file, or that the step made; 0 for none
	GoneBy   int    // number of the layer that replaces or deletes the file; 0 if a container sees it
	Severity secrets.Severity
	Message  string
	Base     bool // it is in a layer of the base image
}

// The values of Secret.Where.
const (
	inFile    = "file"
	inEnv     = "env"
	inHistory = "history"
	inConfig  = "config"
)

// unshown replaces texts of the image in which a secret was found.
const unshown = "… (not shown: it holds what looks like a secret)"

// secrets sets the secrets: those that were found in files, and those in the configuration and the history. Texts in
// which a secret was found are replaced by unshown.
func (a *Analysis) secrets(ctx context.Context, scanner *secrets.Scanner, r *resolved) error {
	for n, l := range a.stack.layers {
		for _, f := range l.secrets {
			e := l.entries[f.entry]
			s := Secret{
				Rule: f.Rule, Where: inFile, Path: f.Path, Line: f.Line, Layer: n + 1, Severity: f.Severity,
				Message: strings.TrimSuffix(f.Message, contextAdvice(f.Message)),
			}
			if e.kind == Dir {
				continue
			}
			if live := a.stack.live[e.node]; live.layer != int32(n) || live.at != int32(f.entry) {
				s.GoneBy = a.goneBy(e.node, int32(n))
			}
			a.Secrets = append(a.Secrets, s)
		}
	}
	t := texts{ctx: ctx, scanner: scanner, seen: map[string]bool{}}
	t.history(a, r.config.History)
	t.config(a)
	if t.err != nil {
		return t.err
	}
	a.Secrets = append(a.Secrets, t.found...)
	return nil
}

// contextAdvice returns the end of a message that says what to do in a build context, which does not apply to an image;
// "" if there is none.
func contextAdvice(message string) string {
	for _, cut := range []string{"; keep it out of the context", "; ignore .git"} {
		if at := strings.Index(message, cut); at >= 0 {
			return message[at:]
		}
	}
	return ""
}

// goneBy returns the number of the layer that replaced or deleted the file at a path which the layer with the index n has.
func (a *Analysis) goneBy(node, n int32) int {
	for m := n; int(m) < len(a.stack.layers); m++ {
		if a.stack.takes(node, n, m) {
			return int(m) + 1
		}
	}
	return int(n) + 1
}

// takes reports whether layer m replaces or deletes what layer n has at a path. Both are indexes.
func (s *stack) takes(node, n, m int32) bool {
	for at := node; at >= root; at = s.nodes[at].parent {
		for _, way := range []way{overwritten, deleted, covered} {
			if way == covered && at == node || m == n && way != overwritten {
				continue
			}
			if _, ok := s.losses[lossKey{at, m, way}]; ok {
				return true
			}
		}
	}
	return false
}

// Names and values of variables.
var (
	// secretName matches names of variables with secrets.
	secretName = regexp.MustCompile(`(?i)(?:^|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|LICEN[CS]E|AUTH)_?KEY|APIKEY|AUTH|JWT|DSN)(?:_?[0-9]+)?$|(?i)(?:PASSWORD|SECRET|TOKEN)$`)
	// openName matches names that secretName may match, too, but that have public values.
	openName = regexp.MustCompile(`(?i)(?:^|_)(?:GPG_KEYS?|SHA(?:1|256|512)(?:SUM)?|DIGEST|CHECKSUM|VERSION|PUBLIC_KEY|FINGERPRINT|KEYRING|KEY_ID|URL|URI|PATH|DIR|FILE|NAME|HOST|PORT)$|^(?:PWD|OLDPWD)$`)
	// plainValue matches values that are not secrets: placeholders, paths, and references to other variables.
	plainValue = regexp.MustCompile(`(?i)^$|^(?:true|false|yes|no|on|off|none|null|0|1)$|^\$|^/|^<.*>$|^x+$|^\*+$|change_?me|example|placeholder`)
)

// texts searches the configuration and the history of an image. After an error, it searches nothing.
type texts struct {
	ctx     context.Context
	scanner *secrets.Scanner
	found   []Secret
	seen    map[string]bool // what is in found: see add
	err     error
}

// scan returns the rule of the first secret in a text, "" if there is none.
func (t *texts) scan(text string) string {
	if t.err != nil || text == "" {
		return ""
	}
	list, err := t.scanner.ScanFile(t.ctx, "history", strings.NewReader(text), int64(len(text)))
	if err != nil {
		t.err = err
		return ""
	}
	if len(list) == 0 {
		return ""
	}
	return list[0].Rule
}

// add adds a secret, unless one of the same rule was found at the same place.
func (t *texts) add(s Secret) {
	s.Severity = secrets.Error
	if key := fmt.Sprint(s.Where, s.Name, s.Layer, s.Rule); !t.seen[key] {
		t.seen[key] = true
		t.found = append(t.found, s)
	}
}

// variable searches the value of an environment variable or build arg. layer is the number of the layer that the step
// made, or 0.
func (t *texts) variable(where, name, value string, layer int) {
	value = strings.Trim(value, `"'`)
	if openName.MatchString(name) || plainValue.MatchString(value) {
		return
	}
	rule := t.scan(name + "=" + value + "\n")
	if rule == "" && secretName.MatchString(name) {
		rule = "secret-variable"
	}
	if rule == "" {
		return
	}
	s := Secret{Rule: rule, Where: where, Name: name, Layer: layer}
	if where == inEnv {
		s.Message = "environment variable with what looks like a secret; set it when the container runs"
	} else {
		s.Message = "the history keeps the value of this build arg, which looks like a secret; use RUN --mount=type=secret"
	}
	t.add(s)
}

// config searches the configuration.
func (t *texts) config(a *Analysis) {
	c := &a.Config
	for _, name := range c.Env {
		t.variable(inEnv, name, c.env[name], 0)
	}
	for _, list := range []*[]string{&c.Entrypoint, &c.Cmd} {
		if rule := t.scan(strings.Join(*list, " ")); rule != "" {
			t.add(Secret{Rule: rule, Where: inConfig, Message: "the command of the image holds what looks like a secret; set it when the container runs"})
			*list = []string{unshown}
		}
	}
	if rule := t.scan(c.Healthcheck); rule != "" {
		t.add(Secret{Rule: rule, Where: inConfig, Message: "the health check holds what looks like a secret"})
		c.Healthcheck = unshown
	}
	labels := map[string]string{}
	for name, value := range c.Labels {
		if rule := t.scan(name + "=" + value + "\n"); rule != "" {
			t.add(Secret{Rule: rule, Where: inConfig, Name: name, Message: "a label holds what looks like a secret"})
			value = unshown
		}
		labels[name] = value
	}
	c.Labels = labels
	slices.SortFunc(t.found, func(x, y Secret) int {
		return strings.Compare(fmt.Sprintf("%06d%s%s%s", x.Layer, x.Where, x.Name, x.Rule), fmt.Sprintf("%06d%s%s%s", y.Layer, y.Where, y.Name, y.Rule))
	})
}

// history searches the history: the values of build args, and the text of steps.
func (t *texts) history(a *Analysis, list []ocispec.History) {
	made := history(list, len(a.Layers))
	layerOf := map[int]int{}
	for n, m := range made {
		if m.at >= 0 {
			layerOf[m.at] = n + 1
		}
	}
	for i, h := range list {
		layer := layerOf[i]
		for _, pair := range argsOf(h.CreatedBy) {
			t.variable(inHistory, pair[0], pair[1], layer)
		}
		rule := t.scan(instruction(h.CreatedBy))
		if rule == "" {
			continue
		}
		t.add(Secret{Rule: rule, Where: inHistory, Layer: layer, Message: "the step's own text holds what looks like a secret; use RUN --mount=type=secret"})
		if layer > 0 {
			word, _, _ := strings.Cut(a.Layers[layer-1].Instruction, " ")
			a.Layers[layer-1].Instruction = word + " " + unshown
		}
	}
}

// argsOf returns the names and values of the build args that the history has for a step, which is a RUN or an ARG. Those
// of ENV are left out, because they are in the configuration as well.
func argsOf(text string) [][2]string {
	text = strings.TrimSpace(nop.ReplaceAllString(strings.TrimSpace(text), ""))
	rest := ""
	if m := argCount.FindString(text); m != "" {
		rest = text[len(m):]
		if end := shell.FindStringIndex(rest); end != nil {
			rest = rest[:end[0]]
		}
	} else if after, ok := strings.CutPrefix(text, "ARG "); ok {
		rest = after
	}
	var out [][2]string
	for _, m := range assignment.FindAllStringSubmatch(rest, -1) {
		out = append(out, [2]string{strings.Trim(m[2], `"`), m[3]})
	}
	return out
}
