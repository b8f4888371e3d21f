package discover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	buildctx "github.com/stokerd/stoker/context"
)

// bakeTimeout is far above the tenths of a second that evaluation takes.
const bakeTimeout = 20 * time.Second

// bakeFile is the JSON form of a bake file, which `bake --print` writes too.
type bakeFile struct {
	Target map[string]bakeTarget `json:"target"`
}

// bakeTarget is what matters to a definition; nil is absent (buildx:
// bake.Target).
type bakeTarget struct {
	Inherits   []string           `json:"inherits"`
	Context    *string            `json:"context"`
	Dockerfile *string            `json:"dockerfile"`
	Inline     *string            `json:"dockerfile-inline"`
	Target     *string            `json:"target"`
	Args       map[string]*string `json:"args"`
	Platforms  []string           `json:"platforms"`
	Contexts   map[string]string  `json:"contexts"`
}

// bake reads the bake files of one directory as buildx reads them together.
//
// `bake --print` with local files loads no builder and dials nothing (buildx:
// commands/bake.go), but it opens the secret and ssh files that targets name
// and evaluates functions of the repository's making: it waits for consent.
// JSON without expressions is read here, before consent and without buildx.
func (f *finder) bake(ctx context.Context, files []string) {
	targets, err := f.readJSON(files)
	switch {
	case err == nil:
	case !errors.Is(err, errNeedsBuildx):
		f.problem(Problem{File: files[0], Text: err.Error(), Hint: "see `docker buildx bake --print`"})
		return
	case !f.options.Allowed:
		f.note(files[0], 0, "was not read, because docker buildx evaluates it only once the repository is allowed (stoker allow)")
		return
	default:
		if targets, err = f.print(ctx, files); errors.Is(err, errNoBuildx) {
			f.note(files[0], 0, "was not read, because docker buildx is not installed")
			return
		} else if err != nil {
			f.problem(Problem{File: files[0], Text: err.Error(), Hint: "see `docker buildx bake --print`"})
			return
		}
	}
	dir := filepath.Join(f.root, filepath.FromSlash(path.Dir(files[0])))
	for _, name := range slices.Sorted(maps.Keys(targets)) {
		f.definitions = append(f.definitions, targets[name].definition(name, files[0], dir))
	}
}

var (
	errNeedsBuildx = errors.New("needs docker buildx to be evaluated")
	errNoBuildx    = errors.New("docker buildx is not installed")
)

// readJSON reads bake files that need no evaluation.
func (f *finder) readJSON(files []string) (map[string]bakeTarget, error) {
	merged := map[string]bakeTarget{}
	needs := false
	for _, rel := range files {
		data, err := f.readFile(rel)
		if err != nil {
			return nil, fmt.Errorf("cannot be read: %s", reason(err))
		}
		var keys map[string]json.RawMessage
		switch err := json.Unmarshal(data, &keys); {
		case path.Ext(rel) == ".hcl", bytes.Contains(data, []byte("${")), bytes.Contains(data, []byte("%{")),
			bytes.Contains(data, []byte(`"matrix"`)):
			needs = true
		case err != nil:
			return nil, errors.New("is not JSON")
		default:
			if _, ok := keys["variable"]; ok {
				needs = true
			}
		}
		if needs {
			continue
		}
		var file bakeFile
		if err := json.Unmarshal(data, &file); err != nil {
			return nil, fmt.Errorf("is not a bake file: %w", err)
		}
		for name, t := range file.Target {
			merged[name] = merged[name].under(t)
		}
	}
	if needs {
		return nil, errNeedsBuildx
	}
	resolved := map[string]bakeTarget{}
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		t, err := inherit(merged, name, nil)
		if err != nil {
			return nil, err
		}
		resolved[name] = t
	}
	return resolved, nil
}

// inherit returns target name with what it inherits below it: the later of two
// parents wins, the target's own values win over both (buildx: Config.loadLinks).
func inherit(all map[string]bakeTarget, name string, from []string) (bakeTarget, error) {
	t, ok := all[name]
	if !ok {
		return t, fmt.Errorf("target %s inherits from %s, which does not exist", from[len(from)-1], name)
	}
	if slices.Contains(from, name) {
		return t, fmt.Errorf("target %s inherits from itself", name)
	}
	var base bakeTarget
	for _, parent := range t.Inherits {
		p, err := inherit(all, parent, append(from, name))
		if err != nil {
			return t, err
		}
		base = base.under(p)
	}
	return base.under(t), nil
}

// under returns t with the values that over gives in their place.
func (t bakeTarget) under(over bakeTarget) bakeTarget {
	pick := func(to **string, from *string) {
		if from != nil {
			*to = from
		}
	}
	pick(&t.Context, over.Context)
	pick(&t.Dockerfile, over.Dockerfile)
	pick(&t.Inline, over.Inline)
	pick(&t.Target, over.Target)
	if over.Platforms != nil {
		t.Platforms = over.Platforms
	}
	if over.Inherits != nil {
		t.Inherits = over.Inherits
	}
	t.Args = overlay(t.Args, over.Args)
	t.Contexts = overlay(t.Contexts, over.Contexts)
	return t
}

func overlay[V any](base, over map[string]V) map[string]V {
	if len(base)+len(over) == 0 {
		return nil
	}
	out := maps.Clone(base)
	if out == nil {
		out = map[string]V{}
	}
	maps.Copy(out, over)
	return out
}

// definition resolves t's paths: the context is relative to dir, where bake is
// run, and the Dockerfile to the context.
func (t bakeTarget) definition(name, origin, dir string) buildctx.Definition {
	text := func(s *string, otherwise string) string {
		if s == nil || *s == "" {
			return otherwise
		}
		return *s
	}
	local := func(ref, base string) string {
		if (buildctx.Definition{Context: ref}).Remote() || filepath.IsAbs(ref) {
			return ref
		}
		return filepath.Join(base, ref)
	}
	d := buildctx.Definition{
		Name: name, Origin: origin, Context: local(text(t.Context, "."), dir), Inline: text(t.Inline, ""),
		Target: text(t.Target, ""), Platforms: t.Platforms,
	}
	if d.Inline == "" {
		d.Dockerfile = text(t.Dockerfile, "Dockerfile")
		if !d.Remote() {
			d.Dockerfile = local(d.Dockerfile, d.Context)
		}
	}
	for arg, value := range t.Args {
		if value != nil {
			d.Args = overlay(d.Args, map[string]string{arg: *value})
		}
	}
	for as, ref := range t.Contexts {
		d.NamedContexts = overlay(d.NamedContexts, map[string]string{as: local(ref, dir)})
	}
	return d
}

// print has buildx evaluate the files, every target of them.
func (f *finder) print(ctx context.Context, files []string) (map[string]bakeTarget, error) {
	docker := f.options.Docker
	if docker == "" {
		docker = lookPath("docker", f.options.Env["PATH"])
	}
	if docker == "" {
		return nil, errNoBuildx
	}
	ctx, cancel := context.WithTimeout(ctx, bakeTimeout)
	defer cancel()
	args := []string{"buildx", "bake", "--print"}
	for _, rel := range files {
		args = append(args, "--file", path.Base(rel))
	}
	cmd := exec.CommandContext(ctx, docker, append(args, "*")...)
	cmd.Dir = filepath.Join(f.root, filepath.FromSlash(path.Dir(files[0])))
	cmd.WaitDelay = time.Second // a plugin that outlives docker keeps its pipes open
	cmd.Env = []string{"BUILDX_NO_DEFAULT_ATTESTATIONS=1"}
	for name, value := range f.options.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if strings.Contains(stderr.String(), "is not a docker command") || strings.Contains(stderr.String(), "unknown command: docker buildx") {
			return nil, errNoBuildx
		}
		return nil, fmt.Errorf("docker buildx bake --print: %s", bakeComplaint(stderr.String(), err))
	}
	var file bakeFile
	if err := json.Unmarshal(stdout.Bytes(), &file); err != nil {
		return nil, fmt.Errorf("docker buildx bake --print: %w", err)
	}
	return file.Target, nil
}

// bakeComplaint picks the line of buildx's output that says file and line. Its
// excerpt of the file stays out: that may hold a value.
func bakeComplaint(stderr string, err error) string {
	if m := regexp.MustCompile(`[^\s:]+:\d+(,\d+-\d+)?: [^;\n]+`).FindString(stderr); m != "" {
		return m
	}
	return err.Error()
}

// lookPath finds a command on a PATH that is not this process's own. Relative
// entries do not count: they would name files of the repository.
func lookPath(command, searchPath string) string {
	for _, dir := range filepath.SplitList(searchPath) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if found, err := exec.LookPath(filepath.Join(dir, command)); err == nil {
			return found
		}
	}
	return ""
}
