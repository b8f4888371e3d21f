package discover

import (
	"context"
	"errors"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/platforms"
	"github.com/docker/buildx/bake/hclparser"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/json"

	buildctx "github.com/stokerd/stoker/context"
)

// Bounds of a bake file. The evaluator recurses with the nesting of the text,
// at some 10 KiB of stack a level, so that a file of brackets alone could end the
// process. What people write is a tenth of either.
const (
	maxBakeSize = 128 << 10
	maxNesting  = 8000 // characters that may nest, in all
)

// bake reads the bake files of one directory as buildx reads them together:
// over the compose files beside them, which are targets too (buildx:
// bake.ParseFiles).
//
// The language is evaluated by buildx's own parser, in process. It has no
// function that reads a file, runs a program or asks the network, and its
// variables are those of [Options].Env, as in a compose file; so it needs no
// consent.
func (f *finder) bake(ctx context.Context, files bakeFiles) {
	main := files.bake[0]
	if ctx.Err() != nil {
		return
	}
	targets, err := f.targets(ctx, files, f.options.Env)
	if err != nil {
		f.problem(bakeProblem(main, err))
		return
	}
	dir := f.bakeDir(main, targets)
	all := map[string]buildctx.Definition{}
	shown := f.shownInline(ctx, files, targets)
	for _, t := range targets {
		d := t.definition(main, dir, f.options.Env)
		d.Shown = shown[t.Name]
		all[t.Name] = d
	}
	for _, t := range targets {
		if t.untouched || t.template || t.asks() { // compose's own definition says it, or nobody builds it
			continue
		}
		d, err := link(all, t.Name)
		if err != nil {
			f.problem(bakeProblem(main, err))
			continue
		}
		f.definitions = append(f.definitions, d)
	}
}

// targets evaluates the files with variables from env.
func (f *finder) targets(ctx context.Context, files bakeFiles, env map[string]string) ([]*bakeTarget, error) {
	config := &bakeConfig{}
	if len(files.compose) > 0 {
		config.Targets = f.composeTargets(ctx, files.compose)
	}
	if err := f.evaluate(files.bake, config, env); err != nil {
		return nil, err
	}
	return config.resolveAll()
}

// shownInline returns the Dockerfiles of targets that have theirs in the file, as
// they may be shown: the files are evaluated once more, with the names of
// variables in place of what the environment gives them. Where that cannot be,
// only keywords are shown.
func (f *finder) shownInline(ctx context.Context, files bakeFiles, targets []*bakeTarget) map[string]string {
	if !slices.ContainsFunc(targets, func(t *bakeTarget) bool { return t.Inline != nil && *t.Inline != "" }) {
		return nil
	}
	names := map[string]string{}
	for name := range f.options.Env {
		names[name] = "${" + name + "}"
	}
	shown := map[string]string{}
	named, err := f.targets(ctx, files, names)
	for _, t := range targets {
		if t.Inline == nil {
			continue
		}
		at := slices.IndexFunc(named, func(n *bakeTarget) bool { return err == nil && n.Name == t.Name && n.Inline != nil })
		switch {
		case t.shown != "":
			shown[t.Name] = t.shown
		case at < 0:
			shown[t.Name] = nothingShown
		case *named[at].Inline != *t.Inline:
			shown[t.Name] = *named[at].Inline
		}
	}
	return shown
}

// nothingShown is a text without instructions.
const nothingShown = "#"

// evaluate reads the files into config, over the targets that it holds.
func (f *finder) evaluate(files []string, config *bakeConfig, env map[string]string) (err error) {
	var parsed []*hcl.File
	for _, rel := range files {
		data, err := f.readFile(rel)
		if err != nil {
			return &bakeError{file: rel, text: "cannot be read: " + reason(err)}
		}
		if len(data) > maxBakeSize || nesting(data) > maxNesting {
			return &bakeError{file: rel, text: "is too large to be evaluated"}
		}
		file, diags := parseBake(data, rel)
		if diags.HasErrors() {
			return asBakeError(diags, true)
		}
		if refused := slowCall(file); refused != nil {
			return refused
		}
		parsed = append(parsed, file)
	}
	defer func() {
		// Values of a type that nobody thought of are programmer errors to
		// the evaluator, and what a stranger wrote to us.
		if p := recover(); p != nil {
			err = &bakeError{text: "cannot be evaluated"}
		}
	}()
	_, diags := hclparser.Parse(hclparser.MergeFiles(parsed), hclparser.Opt{
		LookupVar: func(name string) (string, bool) {
			value, ok := env[name]
			return value, ok
		},
		// buildx: commands/bake.go
		Vars: map[string]string{
			"BAKE_CMD_CONTEXT":    workingDirectory,
			"BAKE_LOCAL_PLATFORM": platforms.Format(platforms.DefaultSpec()),
		},
		ValidateLabel: validTarget,
	}, config)
	if diags.HasErrors() {
		return asBakeError(diags, false)
	}
	return nil
}

// nesting counts the characters that begin an expression within another.
func nesting(data []byte) (n int) {
	for _, c := range data {
		if strings.IndexByte("([{?!-", c) >= 0 {
			n++
		}
	}
	return n
}

func parseBake(data []byte, rel string) (*hcl.File, hcl.Diagnostics) {
	if path.Ext(rel) == ".json" {
		return json.Parse(data, rel)
	}
	return hclsyntax.ParseConfig(data, rel, hcl.InitialPos)
}

// slowCall finds a call that is made to take long: one line of a stranger's
// file would keep a processor busy for days. Its result is random, so that no
// build can depend on it. Calls in JSON hide in strings; there the name will do.
func slowCall(file *hcl.File) error {
	const name = "bcrypt"
	body, ok := file.Body.(*hclsyntax.Body)
	if !ok {
		if strings.Contains(string(file.Bytes), name+"(") {
			return &bakeError{text: name + " is not evaluated"}
		}
		return nil
	}
	var found *bakeError
	_ = hclsyntax.VisitAll(body, func(n hclsyntax.Node) hcl.Diagnostics {
		if call, ok := n.(*hclsyntax.FunctionCallExpr); ok && call.Name == name && found == nil {
			found = &bakeError{file: call.NameRange.Filename, line: call.NameRange.Start.Line, text: name + " is not evaluated"}
		}
		return nil
	})
	if found == nil {
		return nil
	}
	return found
}

// bakeDir returns the folder that the paths in a bake file count from, which is
// where bake is run: the file's own or one above it, whichever is the first to
// have the Dockerfiles.
func (f *finder) bakeDir(main string, targets []*bakeTarget) string {
	own := path.Dir(main)
	for at := own; ; at = path.Dir(at) {
		dir := filepath.Join(f.root, filepath.FromSlash(at))
		if !slices.ContainsFunc(targets, func(t *bakeTarget) bool {
			return !t.template && f.lacksDockerfile(t.definition(main, dir, f.options.Env))
		}) {
			if at != own {
				f.note(main, 0, "is taken to be run in "+shownDir(at)+", because its Dockerfiles are there and not in "+own)
			}
			return dir
		}
		if at == "." {
			return filepath.Join(f.root, filepath.FromSlash(own))
		}
	}
}

func (f *finder) lacksDockerfile(d buildctx.Definition) bool {
	if d.Remote() || d.Inline != "" {
		return false
	}
	f.read(d.Dockerfile)
	_, err := os.Stat(f.actual(d.Dockerfile))
	return err != nil
}

// A bakeError is why bake files have no targets. It holds no values.
type bakeError struct {
	file string // "" for the first file
	line int
	text string
}

func (e *bakeError) Error() string { return e.text }

func bakeProblem(main string, err error) Problem {
	p := Problem{File: main, Text: err.Error(), Hint: "see `docker buildx bake --print`"}
	var located *bakeError
	if errors.As(err, &located) {
		p.Line = located.line
		if located.file != "" {
			p.File = located.file
		}
	}
	return p
}

// asBakeError takes the first error of the evaluator. Its detail may quote a
// value, except where it is about the syntax or a name.
func asBakeError(diags hcl.Diagnostics, syntax bool) *bakeError {
	e := &bakeError{text: "cannot be evaluated"}
	for _, d := range diags {
		if d.Severity != hcl.DiagError {
			continue
		}
		d = innermost(d)
		e.text = d.Summary
		if v, ok := d.Expression.(*hclsyntax.ScopeTraversalExpr); ok && strings.Contains(d.Detail, "is null") {
			e.text += ": " + v.Traversal.RootName() + " has no value"
		}
		if syntax || d.Summary == "Unknown variable" || d.Summary == "Call to unknown function" || d.Summary == "Unsupported attribute" {
			e.text += ": " + strings.TrimSuffix(d.Detail, ".")
		}
		if d.Subject != nil {
			e.file, e.line = d.Subject.Filename, d.Subject.Start.Line
		}
		break
	}
	return e
}

// innermost returns the error in the body of a function that a bake file declares, in
// place of the one of the call, which says nothing but that it failed.
func innermost(d *hcl.Diagnostic) *hcl.Diagnostic {
	for {
		call, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](d)
		if !ok {
			return d
		}
		var inner hcl.Diagnostics
		if !errors.As(call.FunctionCallError(), &inner) || len(inner) == 0 {
			return d
		}
		at := slices.IndexFunc(inner, func(i *hcl.Diagnostic) bool { return i.Severity == hcl.DiagError })
		if at < 0 {
			return d
		}
		d = inner[at]
	}
}
