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

// Secret is a secret in an image: everyone who may pull it has it, whatever later layers delete. It never holds the value.
type Secret struct {
	Rule     string
	Where    string // file, env, history, config
	Path     string // of a file
	Line     int    // in it, from 1; 0 for the whole file
	Name     string // of an environment variable or a build arg
	Layer    int    // of a file, or the one that the step made; 0 if none
	GoneBy   int    // the layer that replaces or deletes the file, which does not take it back; 0 if a container sees it
	Severity secrets.Severity
	Message  string
	Base     bool // in a layer of the base image
}

// Places that a secret may be in.
const (
	inFile    = "file"
	inEnv     = "env"
	inHistory = "history"
	inConfig  = "config"
)

const unshown = "… (not shown: it holds what looks like a secret)"

// secrets gathers what was found in files and looks at the image's own texts. What holds a secret is replaced there.
func (a *Analysis) secrets(ctx context.Context, scanner *secrets.Scanner, r *resolved) error {
	for n, l := range a.stack.layers {
		for _, f := range l.secrets {
			e := l.entries[f.entry]
			s := Secret{
				Rule: f.Rule, Where: inFile, Path: f.Path, Line: f.Line, Layer: n + 1, Severity: f.Severity,
				Message: strings.TrimSuffix(f.Message, imageless(f.Message)),
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

// imageless is the part of a finding's message that is about build contexts, where it has one.
func imageless(message string) string {
	for _, cut := range []string{"; keep it out of the context", "; ignore .git"} {
		if at := strings.Index(message, cut); at >= 0 {
			return message[at:]
		}
	}
	return ""
}

// goneBy returns the layer that took a file away which layer n brought.
func (a *Analysis) goneBy(node, n int32) int {
	for m := n; int(m) < len(a.stack.layers); m++ {
		if a.stack.takes(node, n, m) {
			return int(m) + 1
		}
	}
	return int(n) + 1
}

// takes reports whether layer m replaces or deletes what layer n has at a path.
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

// secretName matches names of variables that hold secrets, and openName those that look alike and are public.
var (
	secretName = regexp.MustCompile(`(?i)(?:^|_)(?:PASS|PASSWD|PASSWORD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIALS?|(?:API|ACCESS|PRIVATE|SECRET|ENCRYPTION|SIGNING|LICEN[CS]E|AUTH)_?KEY|APIKEY|AUTH|JWT|DSN)(?:_?[0-9]+)?$|(?i)(?:PASSWORD|SECRET|TOKEN)$`)
	openName   = regexp.MustCompile(`(?i)(?:^|_)(?:GPG_KEYS?|SHA(?:1|256|512)(?:SUM)?|DIGEST|CHECKSUM|VERSION|PUBLIC_KEY|FINGERPRINT|KEYRING|KEY_ID|URL|URI|PATH|DIR|FILE|NAME|HOST|PORT)$|^(?:PWD|OLDPWD)$`)
	// plainValue are values that are none, or say where one is.
	plainValue = regexp.MustCompile(`(?i)^$|^(?:true|false|yes|no|on|off|none|null|0|1)$|^\$|^/|^<.*>$|^x+$|^\*+$|change_?me|example|placeholder`)
)

// texts looks at what an image says of itself.
type texts struct {
	ctx     context.Context
	scanner *secrets.Scanner
	found   []Secret
	seen    map[string]bool
	err     error
}

// scan returns the rule that a text breaks, "" if none.
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

func (t *texts) add(s Secret) {
	s.Severity = secrets.Error
	if key := fmt.Sprint(s.Where, s.Name, s.Layer, s.Rule); !t.seen[key] {
		t.seen[key] = true
		t.found = append(t.found, s)
	}
}

// variable judges NAME=value.
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

// config looks at what containers get.
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

// history looks at what steps say they were.
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

// argsOf returns the names and values of the build args that the history keeps of a step: what RUN saw, and what ARG
// gave. Those of ENV are in the configuration too.
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
