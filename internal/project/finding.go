package project

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/docker/go-units"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/config"
)

// A Severity orders findings; a check fails on errors.
type Severity string

// The severities.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// The rules of this package; those for secrets are gitleaks' and secrets'.
const (
	RuleLarge         = "large-file"          // over the budget for one file
	RuleMissingSource = "copy-source-missing" // COPY of what is not there
	RuleIgnoredSource = "copy-source-ignored" // COPY of what the ignore file excludes
	RuleUnreadable    = "unreadable-file"     // BuildKit's client will fail on it
	RuleSpecial       = "special-file"        // a FIFO, socket or device
	RuleBrokenLink    = "broken-link"         // a link to nowhere within the context
)

// A Finding is something wrong with a build's context.
type Finding struct {
	Rule       string
	Severity   Severity
	Definition string
	Path       string // relative to the repository
	Line       int
	Size       int64
	Message    string // without the path
	Reach      buildctx.Reach
	Step       string // the step that takes the file; "" for none
	StepLine   int
	// Fingerprint is stable across runs, and where lines move.
	Fingerprint string

	secret bool
}

// Secret reports a finding of context/secrets.
func (f Finding) Secret() bool { return f.secret }

// wrong says what is wrong with a file of l, apart from secrets.
func wrong(l buildctx.Local, f buildctx.File, budget config.Budget) (Finding, bool) {
	found := Finding{Path: f.Path, Size: f.Size}
	switch {
	case budget.File > 0 && f.Bytes > budget.File && !inGit(f.Path):
		found.Rule, found.Severity = RuleLarge, Error
		if budget.File == config.Default().Budget.File {
			found.Severity = Warning // a limit that somebody set is meant; the built-in one is not
		}
		found.Message = fmt.Sprintf("%s, over the limit of %s for one file", size(f.Size), size(budget.File))
	case f.Sent && isSpecial(f.Entry):
		found.Rule, found.Severity = RuleSpecial, Warning
		found.Message = "a " + kind(f.Entry) + " is sent as one: add it to the ignore file"
	case f.Sent && f.Link != "" && leadsNowhere(l, f):
		found.Rule, found.Severity = RuleBrokenLink, Note
		found.Message = fmt.Sprintf("link to %s, which is not in the context", f.Link)
	default:
		return Finding{}, false
	}
	return found, true
}

// inGit reports whether name lies in a folder of git's: what is wrong there is
// told once, for the folder.
func inGit(name string) bool {
	return strings.HasPrefix(name, ".git/") || strings.Contains(name, "/.git/")
}

func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func isSpecial(e buildctx.Entry) bool { return kind(e) != "" }

// kind names what is neither file, directory nor link.
func kind(e buildctx.Entry) string {
	switch buildctx.TypeOf(e.Mode) {
	case "fifo":
		return "FIFO"
	case "socket":
		return "socket"
	case "device":
		return "device node"
	}
	return ""
}

// leadsNowhere reports whether a relative link names something in the context
// that is not there. Absolute links are for inside the image.
func leadsNowhere(l buildctx.Local, f buildctx.File) bool {
	if path.IsAbs(f.Link) {
		return false
	}
	target, ok := linked(f)
	if !ok {
		return path.Join(path.Dir(f.Path), f.Link) != "."
	}
	_, ok = l.Lookup(target)
	return !ok
}

// linked returns what in the context a relative link names that is sent.
func linked(f buildctx.File) (string, bool) {
	if f.Link == "" || !f.Sent || path.IsAbs(f.Link) {
		return "", false
	}
	target := path.Join(path.Dir(f.Path), f.Link)
	return target, target != "." && target != ".." && !strings.HasPrefix(target, "../")
}

// placed completes f with how far the file gets.
func (f Finding) placed(s *buildctx.Selection, l buildctx.Local, file buildctx.File) Finding {
	reach, step := s.Reach(l, file)
	f.Reach = reach
	if step >= 0 {
		f.Step, f.StepLine = s.Plan.Steps[step].Name, s.Plan.Steps[step].Lines.From
	}
	return f
}

// missingSources finds the sources of COPY, ADD and bind mounts for which the
// build will fail. Wildcards may match nothing, and then need no more than a
// directory to look through.
func (k look) missingSources() []Finding {
	s, l := k.selection, k.local
	where := func(step dockerfile.Step) string {
		if s.Definition.Inline != "" {
			return fmt.Sprintf("line %d", step.Lines.From)
		}
		return fmt.Sprintf("%s:%d", k.picture.Relative(s.Definition.Dockerfile), step.Lines.From)
	}
	var list []Finding
	for _, step := range s.Plan.Steps {
		for _, t := range step.Takes {
			if t.Local != l.Name {
				continue
			}
			name := needed(t)
			if _, ok := l.Resolve(name); ok || name == "." {
				continue
			}
			f := Finding{
				Rule: RuleMissingSource, Severity: Error, Path: name, Reach: buildctx.IsSent,
				Step: step.Name, StepLine: step.Lines.From,
				Message: where(step) + " takes it, and it does not exist: the build will fail",
			}
			if dir := k.picture.lacksCheckout(k.picture.Relative(filepath.Join(l.Root, filepath.FromSlash(name)))); dir != "" {
				f.Message = fmt.Sprintf("%s takes it, and the submodule %s is not checked out (git submodule update --init): the build will fail", where(step), dir)
			} else if args := k.withoutValue(step); len(args) > 0 {
				f.Message = fmt.Sprintf("%s takes it, without a value for %s (--build-arg, or args in stoker.yaml), and it does not exist: the build will fail", where(step), strings.Join(args, " and "))
			}
			if d := l.Explain(name); d.Ignored {
				line := d.By
				f.Rule = RuleIgnoredSource
				f.Message = fmt.Sprintf("%s takes it, and %s:%d (%s) leaves it out: the build will fail",
					where(step), path.Base(l.Ignore.Path), line.Number, line.Pattern)
			}
			list = append(list, f)
		}
	}
	return list
}

// variable matches one that stands in an instruction, without a default there; ofBuild
// those that BuildKit gives values.
var (
	variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)
	ofBuild  = regexp.MustCompile(`^(TARGET|BUILD)(PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE)$`)
)

// withoutValue returns the ARGs that the sources of a COPY or ADD are made of and that
// have no value: they count as empty.
func (k look) withoutValue(step dockerfile.Step) (names []string) {
	def := k.selection.Definition
	text, err := []byte(def.Inline), error(nil)
	if def.Inline == "" {
		text, err = k.picture.Text(def.Dockerfile)
	}
	if err != nil {
		return nil
	}
	file, err := dockerfile.Parse("Dockerfile", text)
	if err != nil {
		return nil
	}
	bare := map[string]bool{} // declared, and nothing else
	note := func(list []dockerfile.Instruction) {
		for _, ins := range list {
			for _, a := range ins.Vars {
				if _, before := bare[a.Name]; !before || a.Set {
					bare[a.Name] = ins.Keyword == "ARG" && !a.Set
				}
			}
		}
	}
	note(file.Globals)
	for _, st := range file.Stages {
		at := slices.IndexFunc(st.Instructions, func(ins dockerfile.Instruction) bool { return ins.Lines.From == step.Lines.From })
		if at < 0 || st.Instructions[at].Copy == nil {
			continue
		}
		note(st.Instructions[:at])
		for _, m := range variable.FindAllStringSubmatch(strings.Join(st.Instructions[at].Copy.Sources, " "), -1) {
			name := m[1] + m[2]
			// One that stands above the first FROM alone has no value here, whatever is given.
			here := slices.ContainsFunc(st.Instructions[:at], func(ins dockerfile.Instruction) bool { return slices.Contains(ins.Names, name) })
			if here && bare[name] && !slices.Contains(def.ArgNames(), name) && !ofBuild.MatchString(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// needed returns what of a source must be there: all of it without wildcards,
// else the directory above the first one (BuildKit: fsutil copy.ResolveWildcards).
func needed(t dockerfile.Take) string {
	name := t.Path
	if len(t.Include) == 1 && !strings.ContainsAny(t.Path+t.Include[0], wildcards) {
		return path.Join(t.Path, t.Include[0]) // COPY --parents
	}
	if t.Mount || !t.Wildcard {
		return name
	}
	for strings.ContainsAny(name, wildcards) {
		name = path.Dir(name)
	}
	return name
}

const wildcards = `*?[\`

// merge brings the findings of all builds together: one per file, rule and
// line, from the build in which it gets furthest, the worst first.
func merge(builds []*Build, allow []config.Allow) []Finding {
	type key struct {
		rule, path string
		line       int
	}
	best := map[key]Finding{}
	for _, b := range builds {
		for _, f := range b.findings {
			if accepted(f, allow) {
				continue
			}
			k := key{f.Rule, f.Path, f.Line}
			if have, ok := best[k]; !ok || rank(f.Reach) > rank(have.Reach) {
				best[k] = f
			}
		}
	}
	list := make([]Finding, 0, len(best))
	for _, f := range best {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b Finding) int {
		return cmp.Or(
			cmp.Compare(weight(a.Severity), weight(b.Severity)), -cmp.Compare(rank(a.Reach), rank(b.Reach)),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return list
}

// FindingsOf returns the findings of some of the builds, the worst first. Those
// of p itself name the build in which a file gets furthest, which may be
// another one.
func (p *Picture) FindingsOf(builds []*Build) []Finding { return merge(builds, p.Config.Allow) }

func accepted(f Finding, allow []config.Allow) bool {
	return slices.ContainsFunc(allow, func(a config.Allow) bool { return a.Covers(f.Path, f.Rule) })
}

func rank(r buildctx.Reach) int {
	return slices.Index([]buildctx.Reach{buildctx.InContext, buildctx.IsSent, buildctx.Intermediate, buildctx.InFinal}, r)
}

func weight(s Severity) int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// fingerprint identifies a finding by what does not move.
func fingerprint(rule, path string) string {
	sum := sha256.Sum256([]byte(rule + "\x00" + path))
	return hex.EncodeToString(sum[:12])
}
