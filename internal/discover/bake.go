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

// Bounds of a bake file. The evaluator recurses at each level of nesting and takes some
// 10 KiB of stack per level, so that a file of brackets could crash the process. Real files
// stay below a tenth of either.
const (
	maxBakeSize = 128 << 10
	maxNesting  = 8000 // number of characters that begin a level: see nesting
)

// bake reads the bake files of a directory together, as buildx does, and adds a definition
// for each target that they define or change. The services of compose files beside them
// are targets too (buildx: bake.ParseFiles).
//
// The files are evaluated in process by buildx's own parser. The language has no function
// that reads a file, runs a program or uses the network, and sees only the variables of
// [Options].Env. So this is safe without asking the user.
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
		if t.untouched || t.template || t.asks() { // compose defines it already, or nobody builds it
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

// targets evaluates the files with the variables of env, and returns all targets with what
// they inherit.
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

// shownInline returns, by target, the text in which an inline Dockerfile may be shown if it
// differs from the real one: without values from the environment. It evaluates the files
// once more with every variable set to its own name, as ${NAME}. If that fails, nothing of
// the Dockerfile is shown.
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

// nothingShown is a Dockerfile without instructions.
const nothingShown = "#"

// evaluate reads the files into config. Targets that it has already are overridden.
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
		// The evaluator panics at values of a type that it does not expect, and the file
		// may have any.
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

// parseBake parses a bake file in HCL, or in JSON by its name.
func parseBake(data []byte, rel string) (*hcl.File, hcl.Diagnostics) {
	if path.Ext(rel) == ".json" {
		return json.Parse(data, rel)
	}
	return hclsyntax.ParseConfig(data, rel, hcl.InitialPos)
}

// slowCall returns an error for a call of a function that is slow by design: one line of an
// untrusted file could keep a processor busy for days. Its results are random, so that no
// build needs it. In JSON, where calls are inside strings, the text is searched.
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

// bakeDir returns the directory in which bake is run, which the paths in its files are
// relative to: the nearest, from that of the file main up to the root, that has all
// Dockerfiles. If none has, it is that of the file.
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

// lacksDockerfile reports whether the Dockerfile of a definition is missing, and records
// that it was looked for.
func (f *finder) lacksDockerfile(d buildctx.Definition) bool {
	if d.Remote() || d.Inline != "" {
		return false
	}
	f.read(d.Dockerfile)
	_, err := os.Stat(f.actual(d.Dockerfile))
	return err != nil
}

// A bakeError says why bake files cannot be evaluated, without values of variables.
type bakeError struct {
	file string // "" for the first file
	line int
	text string
}

func (e *bakeError) Error() string { return e.text }

// bakeProblem turns an error into a problem of the file that it is about, or of main.
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

// asBakeError returns the first error of the evaluator. Its detail may quote a value and is
// dropped, unless the error is about syntax or about a name.
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

// innermost returns the error inside a function that a bake file defines, instead of the
// error of the call, which only says that it failed.
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
