package config

import (
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// builds reads `builds`.
func (r *reader) builds(n ast.Node) []Build {
	var builds []Build
	for _, entry := range r.entries(n, "builds") {
		b := Build{Name: entry.Key.GetToken().Value}
		if pos := entry.Key.GetToken().Position; pos != nil {
			b.Line = pos.Line
		}
		if err := checkName(b.Name); err != nil {
			r.fail(entry.Key, "build name "+quote(b.Name)+" "+err.Error(), "use letters, digits, and . _ - between them")
		}
		r.mapping(entry.Value, "build "+b.Name, fields{
			"context":    func(n ast.Node) { b.Context = r.localPath(n, "context") },
			"dockerfile": func(n ast.Node) { b.Dockerfile = r.localPath(n, "dockerfile") },
			"target":     func(n ast.Node) { b.Target, _ = r.text(n, "target") },
			"args":       func(n ast.Node) { b.Args = r.args(n) },
			"platforms":  func(n ast.Node) { b.Platforms = r.platforms(n) },
		})
		if b.Context == "" {
			b.Context = "."
		}
		if b.Dockerfile == "" {
			b.Dockerfile = "Dockerfile"
		}
		builds = append(builds, b)
	}
	return builds
}

// checkName returns an error, which continues a sentence that begins with the name, if it
// cannot be used on a command line and in file names.
func checkName(name string) error {
	const outer = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	switch {
	case name == "":
		return errors.New("is empty")
	case strings.Trim(name, outer+"._-") != "", !strings.ContainsAny(name[:1], outer):
		return errors.New("is not a name")
	case len(name) > 100:
		return errors.New("is too long")
	}
	return nil
}

// localPath reads a relative path, or the URL of a remote context; "" if it is neither.
func (r *reader) localPath(n ast.Node, where string) string {
	text, ok := r.text(n, where)
	switch {
	case !ok:
	case text == "":
		r.fail(n, where+" is empty", "write . for the repository's root, or remove the key")
	case strings.Contains(text, "://"), strings.HasPrefix(text, "git@"):
		return text
	case strings.HasPrefix(text, "/"):
		r.fail(n, where+" "+quote(text)+" is absolute", "write it relative, so that it holds on every machine")
	case where == "context" && escapes(text):
		r.fail(n, where+" "+quote(text)+" leads out of the repository", "")
	default:
		return path.Clean(text)
	}
	return ""
}

// escapes reports whether a relative path leads out of the folder that it is relative to.
func escapes(name string) bool {
	name = path.Clean(name)
	return name == ".." || strings.HasPrefix(name, "../")
}

// args reads build args. Messages name an arg, never its value.
func (r *reader) args(n ast.Node) map[string]string {
	args := map[string]string{}
	for _, entry := range r.entries(n, "args") {
		name := entry.Key.GetToken().Value
		if value, ok := r.text(entry.Value, "build arg "+name); ok {
			args[name] = value
		}
	}
	return args
}

// platforms reads `platforms`. It does not check whether BuildKit knows the names.
func (r *reader) platforms(n ast.Node) []string {
	var platforms []string
	for _, item := range r.list(n, "platforms") {
		text, ok := r.text(item, "platform")
		if !ok {
			continue
		}
		parts := strings.Split(text, "/")
		if len(parts) < 2 || len(parts) > 3 || strings.Trim(text, "/ ") != text || strings.Contains(text, "//") {
			r.fail(item, "platform "+quote(text)+" is not os/architecture", "write it like linux/amd64 or linux/arm/v7")
			continue
		}
		platforms = append(platforms, text)
	}
	return platforms
}

// budget reads `budget`.
func (r *reader) budget(n ast.Node, s *settings) {
	r.mapping(n, "budget", fields{
		"context": func(n ast.Node) { s.context = parsed(r, n, ParseSize) },
		"sent":    func(n ast.Node) { s.sent = parsed(r, n, ParseSize) },
		"file":    func(n ast.Node) { s.file = parsed(r, n, ParseSize) },
		"files":   func(n ast.Node) { s.files = parsed(r, n, parseCount) },
	})
}

// findings reads `findings`.
func (r *reader) findings(n ast.Node, f *File) {
	r.mapping(n, "findings", fields{"allow": func(n ast.Node) {
		for _, item := range r.list(n, "findings.allow") {
			var a Allow
			if tk := firstToken(item); tk != nil && tk.Position != nil {
				a.Line = tk.Position.Line
			}
			before := len(r.errs)
			r.mapping(item, "findings.allow", fields{
				"path":   func(n ast.Node) { a.Path = r.pattern(n) },
				"rule":   func(n ast.Node) { a.Rule, _ = r.text(n, "rule") },
				"reason": func(n ast.Node) { a.Reason, _ = r.text(n, "reason") },
			})
			if a.Path == "" && len(r.errs) == before {
				r.fail(item, "entry of findings.allow has no path", `give it one; "**" accepts the rule everywhere`)
			}
			f.Allow = append(f.Allow, a)
		}
	}})
}

// pattern reads the path of a findings.allow entry.
func (r *reader) pattern(n ast.Node) string {
	text, ok := r.text(n, "path")
	if !ok {
		return ""
	}
	if err := checkPattern(text); err != nil {
		r.fail(n, "path "+quote(text)+" "+err.Error(), `write it like "test/fixtures/**" or "**/*.pem"`)
		return ""
	}
	return text
}

// BuildKitRules is the prefix of the names of rules that are BuildKit's own checks.
const BuildKitRules = "buildkit/"

// Rules returns the names of the rules that make suggestions, in the order in which they
// are applied, without those of BuildKit.
func Rules() []string {
	return []string{
		"manifests-first", "narrow-copy", "reorder", "late-arg", "bind-instead-of-copy", "cache-mount", "unnarrowed", "link-copy", "split-stage", "secret-in-layer", "alternating-context", "ignore", "ignore-lint", "chown-layer", "package-hygiene",
		"multi-stage", "slim-base", "static-go", "exec-form", "init", "non-root",
		"healthcheck", "pin", "buildkit",
	}
}

// silenced reads `suggest`.
func (r *reader) silenced(n ast.Node) []string {
	var rules []string
	r.mapping(n, "suggest", fields{"ignore": func(n ast.Node) {
		for _, item := range r.list(n, "suggest.ignore") {
			name, ok := r.text(item, "rule")
			switch {
			case !ok:
			case slices.Contains(Rules(), name), strings.HasPrefix(name, BuildKitRules):
				rules = append(rules, name)
			default:
				hint := "write the name that stoker suggest shows"
				if near := nearest(name, Rules()); near != "" {
					hint = "did you mean " + near + "?"
				}
				r.fail(item, "rule "+quote(name)+" is not known", hint)
			}
		}
	}})
	return rules
}

// prewarm reads `prewarm`. Only the user may say which secrets a prewarm gets, so they are
// an error in the file of a repository: user says whether it is the user's file.
func (r *reader) prewarm(n ast.Node, f *File, user bool) {
	r.mapping(n, "prewarm", fields{
		"level": func(n ast.Node) { f.settings.level = parsed(r, n, ParseLevel) },
		"quiet": func(n ast.Node) { f.settings.quiet = parsed(r, n, parseQuiet) },
		"secrets": func(n ast.Node) {
			if !user {
				r.fail(n, "secrets cannot be named by a repository", "name them in your own configuration (~/.config/stoker/config.yaml)")
				return
			}
			for _, item := range r.list(n, "prewarm.secrets") {
				if id, ok := r.text(item, "secret"); ok {
					f.Secrets = append(f.Secrets, id)
				}
			}
		},
	})
}
