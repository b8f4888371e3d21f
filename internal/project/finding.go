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

// A Severity says how bad a finding is.
type Severity string

// The severities. A check fails if there is an Error.
const (
	Error   Severity = "error"
	Warning Severity = "warning"
	Note    Severity = "note"
)

// The rules of this package. Those for secrets are in context/secrets.
const (
	RuleLarge         = "large-file"          // over the budget for one file
	RuleMissingSource = "copy-source-missing" // a COPY of a path that does not exist
	RuleIgnoredSource = "copy-source-ignored" // a COPY of a path that the ignore file excludes
	RuleUnreadable    = "unreadable-file"     // a file that BuildKit's client will fail to read
	RuleSpecial       = "special-file"        // a FIFO, socket or device
	RuleBrokenLink    = "broken-link"         // a symbolic link to a path that the context does not have
)

// A Finding is something wrong with a file in a build's context.
type Finding struct {
	Rule       string
	Severity   Severity
	Definition string // the name of the build
	Path       string // relative to the repository, slash-separated
	Line       int    // in the file, from 1; 0 for the file as a whole
	Size       int64  // bytes
	Message    string // without the path
	Reach      buildctx.Reach
	Step       string // name of the step that takes the file; "" for none
	StepLine   int    // its line in the Dockerfile
	// Fingerprint identifies the finding across runs. It does not depend on Line.
	Fingerprint string

	secret bool
}

// Secret reports whether the finding is a secret in a file.
func (f Finding) Secret() bool { return f.secret }

// inspect returns what is wrong with a file of l, apart from secrets; false if nothing is.
func inspect(l buildctx.Local, f buildctx.File, budget config.Budget) (Finding, bool) {
	found := Finding{Path: f.Path, Size: f.Size}
	switch {
	case budget.File > 0 && f.Bytes > budget.File && !inGit(f.Path):
		found.Rule, found.Severity = RuleLarge, Error
		if budget.File == config.Default().Budget.File {
			found.Severity = Warning // nobody asked for the built-in limit
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

// inGit reports whether name is in a .git folder. There is one finding for such a folder,
// and not one for each file in it.
func inGit(name string) bool {
	return strings.HasPrefix(name, ".git/") || strings.Contains(name, "/.git/")
}

func size(n int64) string { return units.HumanSizeWithPrecision(float64(n), 3) }

func isSpecial(e buildctx.Entry) bool { return kind(e) != "" }

// kind returns the type of a special file in words; "" for a regular file, directory or
// symbolic link.
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

// leadsNowhere reports whether the target of a relative link is not in the context.
// Absolute links are not checked, because they are meant for the file system of the image.
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

// linked returns the target of f, relative to the context. ok is false if f is not a
// relative link that is sent, or if the target is outside the context.
func linked(f buildctx.File) (string, bool) {
	if f.Link == "" || !f.Sent || path.IsAbs(f.Link) {
		return "", false
	}
	target := path.Join(path.Dir(f.Path), f.Link)
	return target, target != "." && target != ".." && !strings.HasPrefix(target, "../")
}

// placed returns f with how far the file gets in the build, and which step takes it.
func (f Finding) placed(s *buildctx.Selection, l buildctx.Local, file buildctx.File) Finding {
	reach, step := s.Reach(l, file)
	f.Reach = reach
	if step >= 0 {
		f.Step, f.StepLine = s.Plan.Steps[step].Name, s.Plan.Steps[step].Lines.From
	}
	return f
}

// missingSources finds the sources of COPY, ADD and bind mounts that do not exist, so that
// the build will fail. A source with wildcards may match nothing: see needed.
func (k look) missingSources() []Finding {
	var list []Finding
	for _, step := range k.selection.Plan.Steps {
		for _, t := range step.Takes {
			if t.Local != k.local.Name {
				continue
			}
			name := needed(t)
			if _, ok := k.local.Resolve(name); ok || name == "." {
				continue
			}
			list = append(list, k.missingSource(step, name))
		}
	}
	return list
}

// LacksSource reports whether a COPY, an ADD or a bind mount of the build takes what is not in
// its context: as that is now, the build fails. It is made from another folder, or once
// something else has made those files.
func (b *Build) LacksSource() bool {
	return slices.ContainsFunc(b.found, func(f found) bool { return len(f.sources) > 0 })
}

// missingSource returns the finding that step takes name, which does not exist, with the
// most likely reason.
func (k look) missingSource(step dockerfile.Step, name string) Finding {
	where := fmt.Sprintf("line %d", step.Lines.From)
	if k.selection.Definition.Inline == "" {
		where = fmt.Sprintf("%s:%d", k.picture.Relative(k.selection.Definition.Dockerfile), step.Lines.From)
	}
	f := Finding{
		Rule: RuleMissingSource, Severity: Error, Path: name, Reach: buildctx.IsSent,
		Step: step.Name, StepLine: step.Lines.From,
		Message: where + " takes it, and it does not exist: the build will fail",
	}
	if d := k.local.Explain(name); d.Ignored {
		f.Rule = RuleIgnoredSource
		line := fmt.Sprintf("%s:%d (%s)", path.Base(k.local.Ignore.Path), d.By.Number, d.By.Pattern)
		f.Message = fmt.Sprintf("%s takes it, and %s leaves it out: the build will fail", where, line)
		if !k.local.IgnoresBelow(name) {
			// An exception would let some of it through, if that existed.
			f.Message = fmt.Sprintf("%s takes it, and nothing is there but what %s leaves out: the build will fail", where, line)
		}
		return f
	}
	rel := k.picture.Relative(filepath.Join(k.local.Root, filepath.FromSlash(name)))
	if dir := k.picture.lacksCheckout(rel); dir != "" {
		f.Message = fmt.Sprintf("%s takes it, and the submodule %s is not checked out (git submodule update --init): the build will fail", where, dir)
	} else if args := k.withoutValue(step); len(args) > 0 {
		f.Message = fmt.Sprintf("%s takes it, without a value for %s (--build-arg, or args in stoker.yaml), and it does not exist: the build will fail", where, strings.Join(args, " and "))
	}
	return f
}

var (
	// variable matches a variable in an instruction that has no default there.
	variable = regexp.MustCompile(`\$(?:\{(\w+)\}|(\w+))`)
	// ofBuild matches the names of the build args that BuildKit sets itself.
	ofBuild = regexp.MustCompile(`^(TARGET|BUILD)(PLATFORM|OS|OSVERSION|ARCH|VARIANT|STAGE)$`)
)

// withoutValue returns the names of the ARGs without a value, which is then empty, that the
// sources of a COPY or ADD contain.
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
	bare := map[string]bool{} // by name, whether it is declared by an ARG but never set
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
			// An ARG that is declared only above the first FROM is not visible here, even if
			// it was given a value.
			here := slices.ContainsFunc(st.Instructions[:at], func(ins dockerfile.Instruction) bool { return slices.Contains(ins.Names, name) })
			if here && bare[name] && !slices.Contains(def.ArgNames(), name) && !ofBuild.MatchString(name) && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// needed returns the path that must exist for a source: the source itself or, if it has
// wildcards, the directory above the first one, since these may match nothing (BuildKit:
// fsutil copy.ResolveWildcards).
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

// wildcards are the characters with a meaning in a pattern.
const wildcards = `*?[\`

// merge returns the findings of all builds that are not allowed, the worst first. Of the
// same rule, file and line in several builds, it takes the one of the build in which the
// file gets furthest.
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

// FindingsOf returns the findings of some of p's builds, the worst first. It is not enough
// to select those in p.Findings by build: they have only the build in which a file gets
// furthest.
func (p *Picture) FindingsOf(builds []*Build) []Finding { return merge(builds, p.Config.Allow) }

// accepted reports whether the configuration allows a finding.
func accepted(f Finding, allow []config.Allow) bool {
	return slices.ContainsFunc(allow, func(a config.Allow) bool { return a.Covers(f.Path, f.Rule) })
}

// rank orders how far a file gets, from the context to the final image.
func rank(r buildctx.Reach) int {
	return slices.Index([]buildctx.Reach{buildctx.InContext, buildctx.IsSent, buildctx.Intermediate, buildctx.InFinal}, r)
}

func weight(s Severity) int { return slices.Index([]Severity{Error, Warning, Note}, s) }

// fingerprint returns the fingerprint of a finding by its rule and path.
func fingerprint(rule, path string) string {
	sum := sha256.Sum256([]byte(rule + "\x00" + path))
	return hex.EncodeToString(sum[:12])
}
