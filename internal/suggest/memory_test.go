package suggest_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/suggest"
)

// TestMemoryChangesNothing holds that each build of a Dockerfile gets the same answers with what was
// worked out for the others, and for itself before, as without.
func TestMemoryChangesNothing(t *testing.T) {
	names, err := filepath.Glob("testdata/*/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		s := load(t, name)
		if _, several := s.sections["builds"]; !several && filepath.Base(filepath.Dir(name)) != "repositories" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			in := s.input(t, s.files)
			for i, b := range in.Builds {
				in.Builds[i].Files = "files of " + b.Dir
			}
			memory := suggest.NewMemory()
			for range 2 {
				for i := range in.Builds {
					asked := in
					asked.Builds = slices.Concat(in.Builds[i:i+1], in.Builds[:i], in.Builds[i+1:])
					want := suggest.Suggest(asked)
					asked.Memory = memory
					if diff := cmp.Diff(want, suggest.Suggest(asked)); diff != "" {
						t.Errorf("%s, without memory and with:\n%s", asked.Builds[0].Name, diff)
					}
				}
			}
		})
	}
}

// A readContext counts how often the lock file is read.
type readContext struct {
	suggest.Context
	reads *int
}

func (c readContext) Read(name string) ([]byte, error) {
	if name == "package-lock.json" {
		*c.reads++
	}
	return c.Context.Read(name)
}

// workspace has a Dockerfile with several builds that start from a stage which installs a workspace.
func workspace() scenario {
	s := scenario{sections: map[string]string{"builds": "", "history": "5 a/index.js\n5 b/index.js\n2 package-lock.json\n"}, files: map[string]string{
		"package.json": `{"workspaces": ["a", "b"]}`, "package-lock.json": "{}",
		"a/package.json": `{"name": "a"}`, "a/index.js": "1", "b/package.json": `{"name": "b"}`, "b/index.js": "2",
		"Dockerfile": "FROM node:24 AS base\nWORKDIR /app\nCOPY package.json package-lock.json ./\nCOPY a/ a/\nCOPY b/ b/\nRUN npm ci\n",
	}}
	for _, name := range strings.Fields("one two three four five six") {
		s.sections["builds"] += name + " " + name + "\n"
		s.files["Dockerfile"] += "FROM base AS " + name + "\nCOPY a/index.js /" + name + "/\nRUN npm run " + name + "\n"
	}
	return s
}

// each asks about each build, with a memory or without, and returns how often the lock file is read.
func each(in suggest.Input, memory *suggest.Memory) (reads int) {
	in.Builds = slices.Clone(in.Builds)
	for i, b := range in.Builds {
		in.Builds[i].Context, in.Builds[i].Files = readContext{b.Context, &reads}, "the same"
	}
	for i := range in.Builds {
		asked := in
		asked.Memory = memory
		asked.Builds = slices.Concat(in.Builds[i:i+1], in.Builds[:i], in.Builds[i+1:])
		suggest.Suggest(asked)
	}
	return reads
}

// TestMemorySpares holds that what an install reads is worked out once for each build.
func TestMemorySpares(t *testing.T) {
	s, memory := workspace(), suggest.NewMemory()
	in := s.input(t, s.files)
	in.Silenced = []string{"non-root"} // it looks through all files for each question
	if first, again := each(in, memory), each(in, memory); first == 0 || again > 0 {
		t.Errorf("the lock file is read %d times, and %d times when the same is asked again", first, again)
	}
}

// BenchmarkBuilds asks about each of six builds of a Dockerfile.
func BenchmarkBuilds(b *testing.B) {
	s := workspace()
	in := s.input(b, s.files)
	for i := range in.Builds {
		in.Builds[i].Convert = suggest.Remembered(in.Builds[i].Convert)
	}
	for name, memory := range map[string]func() *suggest.Memory{"memory": suggest.NewMemory, "none": func() *suggest.Memory { return nil }} {
		b.Run(name, func(b *testing.B) {
			reads := 0
			for b.Loop() {
				reads = each(in, memory())
			}
			b.ReportMetric(float64(reads), "lock-reads")
		})
	}
}

// TestOtherStagesAreNotConverted holds that a build is not converted with edits of stages that it does
// not need: they save it nothing, and a conversion costs more than all else.
func TestOtherStagesAreNotConverted(t *testing.T) {
	text := "FROM alpine:3.22 AS tool\nCOPY . /opt/all\nCOPY one /opt/one\nRUN --mount=type=tmpfs,target=/tmp make\n" +
		"FROM alpine:3.22 AS site\nCOPY three /opt/three\n"
	files := map[string]string{"Dockerfile": text, "one/x": "1\n", "three/x": "3\n"}
	s := scenario{files: files, sections: map[string]string{"history": "4 one/x\n4 three/x\n", "builds": "site site\ntool tool\n"}}
	for _, rule := range []string{"link-copy", "unnarrowed"} {
		in := s.input(t, files)
		in.Only = []string{rule}
		convert, texts := in.Builds[0].Convert, 0
		in.Builds[0].Convert = func(text []byte) (*dockerfile.Plan, error) {
			if strings.Contains(string(text), "--link one") || strings.Contains(string(text), "from=scratch") {
				texts++
			}
			return convert(text)
		}
		if list := suggest.Suggest(in); len(list) > 0 || texts > 0 {
			t.Errorf("%s: the site was converted with %d edits of the tool, for %+v", rule, texts, list)
		}
	}
}
