package discover

import (
	"context"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/docker/go-units"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	buildctx "github.com/stokerd/stoker/context"
	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/lab"
)

// TestBakeIsBuildx reads testdata/bake, each with what buildx makes of the same
// files: "printed" is its --print, "refused" stands where it fails. Lines of the
// comment that begin with "env " set a variable.
func TestBakeIsBuildx(t *testing.T) {
	names, err := filepath.Glob("testdata/bake/*.txtar")
	if err != nil || len(names) < 25 {
		t.Fatalf("%d bake files: %v", len(names), err)
	}
	for _, name := range names {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(name)
			if err != nil {
				t.Fatal(err)
			}
			c := newBakeCase(t, archive)
			if *Update {
				c.print(t)
				if err := os.WriteFile(name, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			got, err := c.read(t)
			if c.printed == nil {
				if err == nil {
					t.Errorf("buildx refuses this, and was read: %v", got)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want(t), got); diff != "" {
				t.Errorf("differs from buildx (-buildx +stoker):\n%s", diff)
			}
		})
	}
}

// A bakeCase is a folder of bake files.
type bakeCase struct {
	archive *txtar.Archive
	root    string
	env     map[string]string
	files   candidates
	printed []byte // nil where buildx refuses
}

func newBakeCase(t *testing.T, archive *txtar.Archive) *bakeCase {
	c := &bakeCase{archive: archive, root: t.TempDir(), env: map[string]string{}}
	for line := range strings.Lines(string(archive.Comment)) {
		if kv, ok := strings.CutPrefix(strings.TrimSpace(line), "env "); ok {
			k, v, _ := strings.Cut(kv, "=")
			c.env[k] = v
		}
	}
	var bases []string
	for _, f := range archive.Files {
		switch f.Name {
		case "printed":
			c.printed = f.Data
		case "refused":
		default:
			bases = append(bases, f.Name)
			if err := os.WriteFile(filepath.Join(c.root, f.Name), f.Data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	(&finder{}).group(".", bases, &c.files)
	return c
}

// print has buildx print the files, and puts that into the archive.
func (c *bakeCase) print(t *testing.T) {
	buildx, err := lab.Buildx(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), buildx, "bake", "--print", "*")
	cmd.Dir = c.root
	cmd.Env = []string{"BUILDX_NO_DEFAULT_ATTESTATIONS=1", "HOME=" + t.TempDir()}
	for k, v := range c.env {
		cmd.Env = append(cmd.Env, k+"="+v)
	}
	out, err := cmd.Output()
	last := &c.archive.Files[len(c.archive.Files)-1]
	if last.Name != "printed" && last.Name != "refused" {
		c.archive.Files = append(c.archive.Files, txtar.File{})
		last = &c.archive.Files[len(c.archive.Files)-1]
	}
	if err != nil {
		c.printed, *last = nil, txtar.File{Name: "refused"}
		return
	}
	c.printed, *last = out, txtar.File{Name: "printed", Data: out}
}

// A printedTarget is what of a target decides what is built.
type printedTarget struct {
	Context    string            `json:"context"`
	Dockerfile string            `json:"dockerfile"`
	Inline     string            `json:"dockerfile-inline"`
	Target     string            `json:"target"`
	Args       map[string]string `json:"args"`
	Platforms  []string          `json:"platforms"`
	Contexts   map[string]string `json:"contexts"`

	Network       string              `json:"network"`
	ExtraHosts    map[string]string   `json:"extra-hosts"`
	ShmSize       string              `json:"shm-size"`
	Ulimits       []string            `json:"ulimits"`
	NoCache       bool                `json:"no-cache"`
	NoCacheFilter []string            `json:"no-cache-filter"`
	CacheFrom     []map[string]string `json:"cache-from"`
	Imports       []buildctx.Import
	Options       dockerfile.Options
}

// want is what buildx printed, with its paths resolved as its builds do.
func (c *bakeCase) want(t *testing.T) map[string]printedTarget {
	var file struct{ Target map[string]printedTarget }
	if err := json.Unmarshal(c.printed, &file); err != nil {
		t.Fatal(err)
	}
	abs := func(base, p string) string {
		if p = strings.TrimPrefix(p, "cwd://"); strings.Contains(p, ":") || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(base, p)
	}
	plain := strings.NewReplacer("$${", "${", "%%{", "%{") // as --print escapes
	for name, p := range file.Target {
		p.Context = abs(c.root, p.Context)
		base := p.Context
		if strings.HasPrefix(p.Dockerfile, "cwd://") {
			base = c.root
		}
		p.Inline = plain.Replace(p.Inline)
		if p.Inline != "" {
			p.Dockerfile = ""
		} else if !strings.Contains(p.Context, ":") {
			p.Dockerfile = abs(base, p.Dockerfile)
		}
		for k, v := range p.Args {
			p.Args[k] = plain.Replace(v)
		}
		for k, v := range p.Contexts {
			p.Contexts[k] = abs(c.root, v)
		}
		p.Options = dockerfile.Options{Network: p.Network, Hosts: p.ExtraHosts}
		if p.ShmSize != "" {
			size, err := units.RAMInBytes(p.ShmSize)
			if err != nil {
				t.Fatal(err)
			}
			p.Options.ShmSize = size
		}
		limits := map[string]string{}
		for _, text := range p.Ulimits { // the last of a name counts (docker: opts.UlimitOpt)
			limit, err := units.ParseUlimit(text)
			if err != nil {
				t.Fatal(err)
			}
			limits[limit.Name] = limit.String()
		}
		p.Options.Ulimits = slices.Sorted(maps.Values(limits))
		p.Network, p.ExtraHosts, p.ShmSize, p.Ulimits = "", nil, "", nil
		for _, attrs := range p.CacheFrom {
			imports, err := buildctx.NewImports(attrs, c.env)
			if err != nil {
				t.Fatal(err)
			}
			p.Imports = append(p.Imports, imports...)
		}
		p.CacheFrom = nil
		file.Target[name] = p
	}
	return file.Target
}

// read is what stoker reads of the same files.
func (c *bakeCase) read(t *testing.T) (map[string]printedTarget, error) {
	f := &finder{root: c.root, options: Options{Env: c.env}, files: map[string]bool{}}
	targets, err := f.targets(t.Context(), c.files.bake[0], c.env)
	if err != nil {
		return nil, err
	}
	got := map[string]printedTarget{}
	for _, target := range targets {
		d := target.definition("", c.root, c.env)
		p := printedTarget{
			Context: d.Context, Dockerfile: d.Dockerfile, Inline: d.Inline, Target: d.Target, Args: d.Args, Platforms: d.Platforms,
			Contexts: d.NamedContexts, Options: d.Options, NoCache: d.NoCache, NoCacheFilter: d.NoCacheStages,
			Imports: d.Imports,
		}
		got[target.Name] = p
	}
	return got, nil
}
