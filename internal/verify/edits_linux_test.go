package verify_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stokerd/stoker/context/dockerfile"
	"github.com/stokerd/stoker/internal/advise"
	"github.com/stokerd/stoker/internal/changes"
	"github.com/stokerd/stoker/internal/lab"
	repo "github.com/stokerd/stoker/internal/project"
	"github.com/stokerd/stoker/internal/randtest"
	"github.com/stokerd/stoker/internal/suggest"
	"github.com/stokerd/stoker/internal/verify"
)

// TestRandomEditsAreProven draws repositories and builds what suggest makes of them by
// construction, each edit alone and all together: that makes the same images. An edit that is made
// is not proposed again, and all together are what they are one by one.
func TestRandomEditsAreProven(t *testing.T) {
	if lab.For(t).Real() {
		t.Skip("its base images are stand-ins")
	}
	builder, g := connect(t), readGrammar(t, "testdata/dockerfiles.grammar")
	proposed := map[string]int{}
	for seed := range randtest.Seeds(t, 3, 300) {
		r := rand.New(rand.NewPCG(seed, 23))
		for { // one in two has edits, and most of these build
			c := drawRepository(t, r, g)
			c.seed = seed
			edits := c.edits(t)
			if len(edits) == 0 || !c.prove(t, builder, edits) {
				continue
			}
			for _, e := range edits {
				proposed[e.rule]++
			}
			c.oneByOne(t)
			break
		}
	}
	t.Logf("edits by rule: %v", proposed)
}

// A drawnRepository is a random repository with a past.
type drawnRepository struct {
	seed    uint64
	root    string
	opener  *repo.Opener
	history advise.History
	costs   advise.Costs
	picture *repo.Picture
	text    string // its Dockerfile
}

// An edit is what a rule proposes, or all together.
type edit struct {
	rule    string
	changes []suggest.Change
}

func (e edit) diff() string { return suggest.Suggestion{Changes: e.changes}.Diff() }

// repositoryFiles are what there is to be copied.
var repositoryFiles = map[string]string{
	"src/f1": "abc 1\n", "src/f2.txt": "abc 2\n", "src/d/g": "abc g\n", "one/file.txt": "abc one\n", "one/f1": "abc other\n", "tool": "#!/bin/sh\ntouch /opt/by-tool\n",
	"a b/c d": "abc space\n", ".env.example": "A=1\n", ".cfg/rc": "rc\n", "lib/f1": "lib 1\n", "lib/f2": "lib 2\n", "modes/x": "x\n", "modes/y/z": "z\n", "test.txt": "t\n",
	"package.json":      `{"name": "x", "scripts": {"build": "x"}, "dependencies": {"left": "1.0.0"}, "devDependencies": {"right": "2.0.0"}}`,
	"package-lock.json": `{"lockfileVersion": 3, "packages": {"node_modules/left": {"version": "1.0.0"}, "node_modules/right": {"version": "2.0.0", "dev": true}}}`,
	"requirements.txt":  "flask==1.0\n", "constraints.txt": "flask<2\n", "pyproject.toml": "[project]\nname = \"x\"\nversion = \"1\"\n",
	"go.mod": "module example.com/app\n\ngo 1.26\n\nrequire golang.org/x/text v0.3.0\n", "go.sum": "golang.org/x/text v0.3.0 h1:x\n", "main.go": "package main\nfunc main() {}\n",
	"web/package.json":      `{"name": "web", "scripts": {"build": "x"}, "dependencies": {"left": "1.0.0"}}`,
	"web/package-lock.json": `{"left": "1.0.0"}`, "web/src/i.js": "i\n", "web/requirements.txt": "flask==2.0\n", "links/hard1": "abc hard\n",
	"arc.tar.gz": tarred("#!/bin/sh\n"),
}

var (
	repositoryModes = map[string]os.FileMode{
		"tool": 0o755, "modes/x": 0o600, "modes/y": 0o700, "modes": 0o750, "lib/f2": os.ModeSetuid | 0o755, "one/f1": 0o777, "web": 0o775, "web/src": os.ModeSetgid | 0o770,
	}
	repositoryLinks = map[string]string{"links/to-file": "../src/f1", "links/to-dir": "../lib", "links/nowhere": "none", "links/d": "/opt", "links/f1": "to-file"}
	ignoreFiles     = []string{"Dockerfile\n.dockerignore\n", "*.md\n", "**\n!src\n!one\n!tool\n!package*.json\n", "src/d\n!src/d/g\nnode_modules\n", ""}
)

func drawRepository(t *testing.T, r *rand.Rand, g grammar) *drawnRepository {
	t.Helper()
	c := &drawnRepository{root: lab.Dir(t), opener: &repo.Opener{}, text: drawStages(r, g)}
	files := maps.Clone(repositoryFiles)
	files["Dockerfile"], files[".dockerignore"] = c.text, ignoreFiles[r.IntN(len(ignoreFiles))]
	if r.IntN(8) == 0 {
		files["compose.yaml"] = "services:\n  app: {build: {context: ., args: {V: b, COMMIT: abc}}}\n  other: {build: {context: ., target: one}}\n"
	}
	for name, text := range files {
		put(t, filepath.Join(c.root, name), text)
	}
	var errs []error
	for name, mode := range repositoryModes {
		errs = append(errs, os.Chmod(filepath.Join(c.root, name), mode))
	}
	for name, to := range repositoryLinks {
		errs = append(errs, os.Symlink(to, filepath.Join(c.root, name)))
	}
	for _, name := range []string{"links/hard2", "src/hard3"} {
		errs = append(errs, os.Link(filepath.Join(c.root, "links/hard1"), filepath.Join(c.root, name)))
	}
	file, err := dockerfile.Parse("Dockerfile", []byte(c.text))
	if err := errors.Join(append(errs, err)...); err != nil {
		t.Fatalf("%v\n%s", err, c.text)
	}
	c.history.Commits = drawPast(r)
	seconds, slow := map[string]float64{}, r.IntN(3) == 0 // slow says that there are large files
	for _, st := range file.Stages {
		for _, ins := range st.Instructions {
			if ins.Run != nil || ins.Copy != nil && slow {
				seconds[ins.Text] = 1 + 19*r.Float64()
			}
		}
	}
	c.costs = func(string) map[string]float64 { return seconds }
	c.open(t)
	return c
}

func (c *drawnRepository) open(t *testing.T) {
	t.Helper()
	var err error
	if c.picture, err = c.opener.Open(t.Context(), c.root, false); err != nil {
		t.Fatal(err)
	}
}

// drawPast returns commits, in which two files change much more often than others.
func drawPast(r *rand.Rand) *changes.Log {
	names := slices.Concat(slices.Sorted(maps.Keys(repositoryFiles)), slices.Sorted(maps.Keys(repositoryLinks)))
	often := names[r.IntN(len(names))]
	var list []changes.Commit
	now := map[string]changes.Entry{}
	for i := range 40 {
		var set []changes.Change
		for _, name := range []string{often, "src/f1", names[r.IntN(len(names))]} {
			if r.IntN(3) == 0 || slices.ContainsFunc(set, func(c changes.Change) bool { return c.Path == name }) {
				continue
			}
			next := changes.Entry{Mode: 0o100644, OID: fmt.Sprint(i)}
			set = append(set, changes.Change{Path: name, Old: now[name], New: next})
			now[name] = next
		}
		list = append(list, changes.Commit{ID: fmt.Sprint(i), Changes: set})
	}
	return changes.NewLog(list)
}

// applicable returns what may be applied to the repository as in a picture.
func (c *drawnRepository) applicable(t *testing.T, p *repo.Picture) (list []suggest.Suggestion) {
	t.Helper()
	for _, a := range advise.Suggest(t.Context(), p, p.Builds, c.history, c.costs) {
		for _, s := range a.Suggestions {
			if s.Proof != suggest.Advice {
				list = append(list, s)
			}
		}
	}
	return list
}

// together returns what all suggestions make of the files.
func (c *drawnRepository) together(t *testing.T) []suggest.Change {
	t.Helper()
	_, made := advise.Together(t.Context(), c.opener, c.picture, c.picture.Builds, c.history, c.costs, nil)
	return made
}

// edits returns what may be applied, each alone and, where that is another, all together. It
// checks that BuildKit reads each, and that it is not proposed again.
func (c *drawnRepository) edits(t *testing.T) (list []edit) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range c.applicable(t, c.picture) {
		e := edit{s.Rule, s.Changes}
		if seen[e.diff()] {
			continue // of another build
		}
		seen[e.diff()] = true
		list = append(list, e)
		texts := map[string][]byte{}
		for _, change := range s.Changes {
			texts[filepath.Join(c.root, change.Path)] = change.New
		}
		next := c.opener.With(t.Context(), c.picture, texts)
		for i, b := range next.Builds {
			if b.Problem != nil && c.picture.Builds[i].Problem == nil {
				t.Errorf("seed %d, %s: %s\n%s", c.seed, s.Rule, b.Problem.Text, e.diff())
			}
		}
		for _, again := range c.applicable(t, next) {
			if again.Rule == s.Rule && again.Title == s.Title && again.Lines == s.Lines {
				t.Errorf("seed %d, %s: once it is made it is proposed again:\n%s%s", c.seed, s.Rule, e.diff(), again.Diff())
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	if all := (edit{"together", c.together(t)}); !seen[all.diff()] {
		list = append(list, all)
	}
	return list
}

// prove builds the repository as it is and with each edit. It reports false if it does not build
// as it is.
func (c *drawnRepository) prove(t *testing.T, builder verify.Builder, list []edit) (built bool) {
	t.Helper()
	for _, b := range c.picture.Builds {
		o, err := verify.Open(t.Context(), builder, b.Definition, verify.Options{})
		if err != nil {
			continue
		}
		built = true
		for _, e := range list {
			var set []verify.Change
			for _, change := range e.changes {
				set = append(set, verify.Change{Path: filepath.Join(c.root, change.Path), Old: change.Old, New: change.New})
			}
			result, err := o.Check(t.Context(), set)
			if err != nil {
				t.Fatalf("seed %d: %v", c.seed, err)
			}
			if !result.Equal() {
				t.Errorf("seed %d, %s: another image: %s\n%s\n%s-- Dockerfile --\n%s", c.seed, e.rule, result.Failure, told(result.Differences), e.diff(), c.text)
			}
		}
	}
	return built
}

// oneByOne applies on disk what is proposed first, again and again, and checks that this is what
// all together make of the files.
func (c *drawnRepository) oneByOne(t *testing.T) {
	t.Helper()
	made, rules := c.together(t), []string(nil)
	for list := c.applicable(t, c.picture); len(list) > 0; list = c.applicable(t, c.picture) {
		if rules = append(rules, list[0].Rule); len(rules) > 30 {
			t.Errorf("seed %d: there is no end: %q\n%s", c.seed, rules, c.text)
			return
		}
		for _, change := range list[0].Changes {
			put(t, filepath.Join(c.root, change.Path), string(change.New))
		}
		c.open(t)
	}
	for _, change := range made {
		if now, err := os.ReadFile(filepath.Join(c.root, change.Path)); err != nil || string(now) != string(change.New) {
			t.Errorf("seed %d, %q: %s is, one by one, %v\n%s\n-- and together --\n%s\n-- Dockerfile --\n%s", c.seed, rules, change.Path, err, now, change.New, c.text)
		}
	}
}
